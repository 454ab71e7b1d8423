//! Reading takes at most 4 times the expanded size of a file, plus 50 MB.

use std::fs;
use std::path::Path;

use chainrule::Result;
use chainrule::data::{self, FileKind, InputRows, LoadOptions, Schema, TableOptions};
use chainrule::model::Model;

use super::{Files, alone, npy, npy_header, safetensors, write_gzip, write_npz};

const MIB: usize = 1 << 20;

/// The largest memory of this process since the last call, in bytes; `None` where the system does not say.
fn peak() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let peak: usize = line.trim().trim_end_matches(" kB").parse().ok()?;
    fs::write("/proc/self/clear_refs", "5").ok()?;
    Some(peak << 10)
}

/// Checks the memory that `read` takes for a file of `expanded` bytes, and that it ends as expected.
#[track_caller]
fn bounded<T>(name: &str, expanded: usize, good: bool, read: impl FnOnce() -> Result<T>) {
    peak();
    let before = peak();
    let result = read();
    if let Err(error) = &result {
        assert_eq!(error.exit_code(), 2, "{name}: {error}");
    }
    assert_eq!(result.is_ok(), good, "{name}: {:?}", result.err());
    let Some((before, after)) = before.zip(peak()) else {
        return;
    };
    let taken = after.saturating_sub(before);
    assert!(
        taken <= 4 * expanded + 50_000_000,
        "{name}: {} MiB for {} MiB",
        taken / MIB,
        expanded / MIB
    );
}

#[track_caller]
fn data_bounded(files: &Files, name: &str, expanded: usize, good: bool) {
    let path = files.path(name);
    let options = LoadOptions {
        path: Some(path),
        test: true,
        ..LoadOptions::default()
    };
    bounded(name, expanded, good, || data::load(&options));
}

#[test]
fn arrays_take_little_memory() {
    let _alone = alone();
    let files = Files::new();
    let n = 48 * MIB;
    let u1 = |shape: String| npy_header("|u1", false, &shape);
    // The first label is 0, the others are as they are filled.
    let y = |count: usize| {
        let header = [u1(format!("({count},)")), vec![0]].concat();
        ("y.npy", header, count - 1)
    };
    let x = ("x.npy", u1(format!("({n}, 1)")), n);
    write_npz(&files.path("labels.npz"), &[x.clone(), y(n)]);
    data_bounded(&files, "labels.npz", 2 * n, true);

    let fortran = |descr: &str, shape: String| npy_header(descr, true, &shape);
    let wide = ("x.npy", fortran("|u1", format!("(2, {})", n / 2)), n);
    write_npz(&files.path("fortran.npz"), &[wide, y(2)]);
    data_bounded(&files, "fortran.npz", n, true);

    let wide = (
        "x.npy",
        npy_header("<f4", false, &format!("(2, {})", n / 8)),
        n,
    );
    write_npz(&files.path("wide.npz"), &[wide, y(2)]);
    data_bounded(&files, "wide.npz", n, false);

    let validation = |descr: &str, size: usize| {
        let header = npy_header(descr, false, "(1, 1)");
        [
            ("x_val.npy", header, size),
            ("y_val.npy", u1("(1,)".into()), 1),
        ]
    };
    for (name, descr, size, good) in [("f4.npz", "<f4", 4, true), ("f8.npz", "<f8", 8, false)] {
        let members = [vec![x.clone(), y(n)], validation(descr, size).to_vec()].concat();
        write_npz(&files.path(name), &members);
        data_bounded(&files, name, 2 * n, good);
    }
}

/// Tables of narrow numbers, which are kept in wider ones, and labels of other types than integers.
#[test]
fn arrays_of_other_types_take_little_memory() {
    let _alone = alone();
    let files = Files::new();
    let n = 48 * MIB;
    let y =
        |descr: &str, shape: String, size: usize| ("y.npy", npy_header(descr, false, &shape), size);
    // Every byte is 1, so that there is one class, which is refused when all is read.
    for (name, descr, width) in [
        ("bool", "|b1", 1),
        ("i1", "|i1", 1),
        ("i2", "<i2", 2),
        ("f2", "<f2", 2),
        ("i4", "<i4", 4),
    ] {
        let rows = n / 16 / width;
        let shape = format!("({rows}, 16)");
        let words = y("|S3", format!("({rows},)"), 3 * rows);
        for fortran in [false, true] {
            let file = format!("{name}-{fortran}.npz");
            let x = ("x.npy", npy_header(descr, fortran, &shape), n);
            write_npz(&files.path(&file), &[x, words.clone()]);
            data_bounded(&files, &file, n + 3 * rows, false);
        }
    }
    let rows = n / 2;
    let x = (
        "x.npy",
        npy_header("|u1", false, &format!("({rows}, 1)")),
        rows,
    );
    let one_hot = y("|b1", format!("({rows}, 2)"), n);
    write_npz(&files.path("one-hot.npz"), &[x.clone(), one_hot]);
    data_bounded(&files, "one-hot.npz", n + rows, false);
    let text = y("<U6", format!("({},)", rows / 12), 2 * rows);
    write_npz(&files.path("text.npz"), &[x, text]);
    data_bounded(&files, "text.npz", 3 * rows, false);
}

#[test]
fn tables_take_little_memory() {
    let _alone = alone();
    let files = Files::new();
    let rows = "1,1\n".repeat(MIB / 4) + "1,0\n";
    for (name, piece, good) in [
        ("rows", rows.as_str(), true),
        ("columns", "1,1,1,1,", false),
        ("commas", ",,,,,,,,", false),
        ("quoted", "\"\n\",1,1", false),
        ("cell", "aaaaaaaa", false),
        ("nothing", "\0\0\0\0\0\0\0\0", false),
    ] {
        let times = 48 * MIB / piece.len();
        write_gzip(&files.path(name), piece.as_bytes(), times);
        data_bounded(&files, name, times * piece.len(), good);
    }
}

/// An archive of zeros whose directory claims as many members as it has bytes.
#[test]
fn a_directory_takes_no_memory_for_what_it_claims() {
    let _alone = alone();
    let files = Files::new();
    let end = {
        let mut bytes = b"PK\x06\x06".to_vec();
        bytes.extend(44_u64.to_le_bytes());
        bytes.extend([0; 12]);
        let claimed = (40 * MIB) as u64;
        for number in [claimed, claimed, 47, claimed] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend((48 * MIB as u64).to_le_bytes());
        bytes.extend(b"\x01\0\0\0PK\x05\x06\0\0\0\0");
        bytes.extend([0xff; 12]);
        bytes.extend([0; 2]);
        bytes
    };
    let whole = [b"PK\x03\x04".to_vec(), vec![0; 48 * MIB - 4], end].concat();
    write_gzip(&files.path("a.npz"), &whole, 1);
    let expanded = whole.len();
    drop(whole);
    data_bounded(&files, "a.npz", expanded, false);
}

/// Packed twice, so that each layer by itself unpacks to little.
fn read_rows(path: &Path) -> Result<(FileKind, InputRows)> {
    let columns = Schema::by_position(1, None);
    data::read_input(path, &columns, None, &TableOptions::default())
}

#[test]
fn the_limit_holds_for_all_layers_together() {
    let _alone = alone();
    let files = Files::new();
    let n = 300 * MIB;
    write_npz(
        &files.path("inner"),
        &[("x.npy", npy_header("|u1", false, &format!("({n}, 1)")), n)],
    );
    let inner = fs::read(files.path("inner")).unwrap();
    write_gzip(&files.path("a.npz"), &inner, 1);
    let path = files.path("a.npz");
    let error = read_rows(&path).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("268435456 bytes"), "{error}");
    // The header is honest where the directory is not.
    let short = npy("|u1", "(9, 1)", &[1; 9]);
    write_npz(&path, &[("x.npy", short, n)]);
    let error = read_rows(&path).unwrap_err();
    assert!(
        error.to_string().contains("no bytes after the last value"),
        "{error}"
    );
}

#[test]
fn headers_of_models_take_little_memory() {
    let _alone = alone();
    let files = Files::new();
    let list = |item: &str| vec![item; 2_000_000].join(",");
    let described = |names: &str, hidden: &str| {
        let description = format!(
            concat!(
                r#"{{"format":1,"spec":{{"inputs":1,"hidden":[{}],"classes":2,"batch_norm":false,"#,
                r#""activation":"relu","dropout":0.0,"order":"dropout_activation"}},"#,
                r#""normalizer":{{"scale":[1.0],"shift":[0.0]}},"class_names":[{}]}}"#
            ),
            hidden, names
        );
        let quoted = serde_json::to_string(&description).unwrap();
        format!(r#"{{"__metadata__":{{"chainrule":{quoted}}}}}"#)
    };
    let tensor = |i: usize| format!(r#""{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
    let tensors: Vec<String> = (0..200_000).map(tensor).collect();
    for (name, header) in [
        ("names", described(&list(r#""a""#), "1")),
        ("layers", described(r#""a","b""#, &list("1"))),
        ("tensors", format!("{{{}}}", tensors.join(","))),
        ("lists", format!(r#"{{"a":[{}]}}"#, list("[]"))),
        (
            "shape",
            format!(r#"{{"a":{{"dtype":"U8","shape":[{}]}}}}"#, list("1")),
        ),
    ] {
        let path = files.write(name, &safetensors(&header, &[]));
        let size = header.len();
        drop(header);
        bounded(name, size, false, || Model::read(&path));
    }
}
