//! The header of a safetensors file: JSON that names the tensors. No more of it is kept than a network can need.

use std::fmt;

use safetensors::tensor::{Metadata, TensorInfo};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::nn::spec::MAX_LAYERS;

/// The most tensors of a file: a layer has seven.
const MAX_TENSORS: usize = 7 * MAX_LAYERS;

/// A header, checked: the tensors fill the data one after the other.
pub(super) struct TensorHeader {
    /// Our metadata, as JSON.
    pub(super) description: Option<String>,
    /// Shape, number type and place of each tensor.
    pub(super) tensors: Metadata,
}

/// The metadata of a file, with the one key that is ours. Several would be written in no fixed order.
#[derive(serde::Deserialize)]
struct FileMetadata {
    #[serde(rename = "chainrule")]
    description: Option<String>,
}

impl<'de> Deserialize<'de> for TensorHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = TensorHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TensorHeader, A::Error> {
        let (mut description, mut tensors) = (None, Vec::<(String, TensorInfo)>::new());
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                description = map
                    .next_value::<Option<FileMetadata>>()?
                    .and_then(|m| m.description);
            } else if tensors.len() == MAX_TENSORS {
                return Err(A::Error::custom(format!("more than {MAX_TENSORS} tensors")));
            } else {
                tensors.push((name, map.next_value()?));
            }
        }
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        let tensors = Metadata::new(None, tensors).map_err(A::Error::custom)?;
        Ok(TensorHeader {
            description,
            tensors,
        })
    }
}
