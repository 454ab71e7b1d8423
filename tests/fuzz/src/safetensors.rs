//! The files of models and checkpoints: the length of a header, the header in JSON, the numbers.

use serde_json::{Map, Value, json};

/// Bytes of the length of a header.
const LENGTH_BYTES: usize = 8;

/// The most bytes of numbers in a file that is put right.
const MAX_DATA: usize = 1 << 16;

/// A file with the right length of its header, with its tensors behind each other in the order of their old places, and
/// with as many bytes of numbers as their shapes ask for. `None` if the header is no JSON, or the numbers are many.
pub(crate) fn repaired(file: &[u8]) -> Option<Vec<u8>> {
    let (mut header, data) = parts(file)?;
    let mut tensors: Vec<(&String, &mut Value)> = header
        .iter_mut()
        .filter(|(name, _)| *name != "__metadata__")
        .collect();
    tensors.sort_by_key(|(_, info)| info["data_offsets"][0].as_u64());
    let mut end = 0_usize;
    for (_, info) in tensors {
        let sizes = info.get("shape")?.as_array()?.iter();
        let sizes: Option<Vec<usize>> = sizes
            .map(|size| usize::try_from(size.as_u64()?).ok())
            .collect();
        let bytes = match info.get("dtype")?.as_str()? {
            "F64" | "I64" => 8,
            "F32" => 4,
            _ => 2,
        };
        let length = sizes?.into_iter().try_fold(bytes, usize::checked_mul)?;
        let start = end;
        end = start.checked_add(length)?;
        info.as_object_mut()?
            .insert("data_offsets".into(), json!([start, end]));
    }
    (end <= MAX_DATA).then(|| {
        let numbers: Vec<u8> = data.iter().chain([&0]).copied().cycle().take(end).collect();
        let header = Value::Object(header).to_string();
        [
            &(header.len() as u64).to_le_bytes()[..],
            header.as_bytes(),
            &numbers,
        ]
        .concat()
    })
}

/// The header and what follows it, wherever the length says that it ends.
pub(crate) fn parts(file: &[u8]) -> Option<(Map<String, Value>, &[u8])> {
    let rest = file.get(LENGTH_BYTES..)?;
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
    let header = match values.next()? {
        Ok(Value::Object(header)) => header,
        _ => return None,
    };
    Some((header, &rest[values.byte_offset()..]))
}

/// What the program says of the file in its metadata.
pub(crate) fn description(file: &[u8]) -> Option<String> {
    let (header, _) = parts(file)?;
    Some(
        header
            .get("__metadata__")?
            .get("chainrule")?
            .as_str()?
            .to_owned(),
    )
}
