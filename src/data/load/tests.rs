#![cfg(all(feature = "gzip", feature = "png", feature = "zip"))]

use std::io::{Cursor, Write};
use std::path::PathBuf;

use super::super::idx::tests::{image_file, label_file};
use super::super::npy::tests::{f32s, npy};
use super::super::open::tests::gzip;
use super::*;
use crate::data::{TestPart, TestSet, load, load_test};

struct DataFolder(tempfile::TempDir);

impl DataFolder {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let folder = DataFolder(tempfile::tempdir().unwrap());
        for (name, bytes) in files {
            fs::write(folder.path(name), bytes).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, name: &str, test: bool) -> Result<Dataset> {
        load(&LoadOptions {
            path: Some(self.path(name)),
            test,
            ..LoadOptions::default()
        })
    }

    /// The test part for a model of so many inputs.
    fn load_test(&self, name: &str, width: usize) -> Result<Option<TestSet>> {
        let options = LoadOptions {
            path: Some(self.path(name)),
            ..LoadOptions::default()
        };
        match load_test(&options, &Schema::by_position(width, None))? {
            TestPart::Found(test) => Ok(Some(*test)),
            TestPart::None(_) => Ok(None),
        }
    }

    fn read(&self, name: &str, width: usize) -> Result<(FileKind, InputRows)> {
        let columns = Schema::by_position(width, None);
        read_input(&self.path(name), &columns, None, &TableOptions::default())
    }

    fn error(&self, name: &str) -> String {
        let error = self.load(name, true).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    }
}

fn npz(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn x(rows: usize, width: usize) -> Vec<u8> {
    let values: Vec<f32> = (0..rows * width).map(|i| i as f32 / 2.0).collect();
    npy("<f4", false, &format!("({rows}, {width})"), &f32s(&values))
}

fn y(labels: &[u8]) -> Vec<u8> {
    npy("|u1", false, &format!("({},)", labels.len()), labels)
}

fn idx_files(test_labels: Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("train-images-idx3-ubyte", image_file([3, 2, 2], &[5; 12])),
        (
            "train-labels-idx1-ubyte.gz",
            gzip(&label_file(3, &[0, 7, 1])),
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            gzip(&image_file([1, 2, 2], &[6; 4])),
        ),
        ("t10k-labels-idx1-ubyte", test_labels),
    ]
}

fn change(files: &mut [(&'static str, Vec<u8>)], name: &str, bytes: Vec<u8>) {
    files.iter_mut().find(|file| file.0 == name).unwrap().1 = bytes;
}

#[test]
fn a_folder_of_idx_files() {
    let folder = DataFolder::new(&idx_files(label_file(1, &[9])));
    let data = folder.load(".", true).unwrap();
    assert_eq!(data.train.features, Features::U8(vec![5; 12]));
    assert_eq!(data.train.labels.classes(), [0, 7, 1]);
    assert_eq!(data.test.unwrap().labels.classes(), [9]);
    assert_eq!(data.validation, None);
    assert_eq!((data.image.unwrap().height, data.train.width), (2, 4));
    let digits: Vec<String> = (0..10).map(|i| i.to_string()).collect();
    assert_eq!(data.class_names, digits);
    assert!(data.notices[0].contains("not the official"));
    assert_eq!(
        data.name,
        folder.0.path().file_name().unwrap().to_string_lossy()
    );
}

#[test]
fn test_files_stay_closed_unless_asked_for() {
    let folder = DataFolder::new(&idx_files(b"damaged".to_vec()));
    assert_eq!(folder.load(".", false).unwrap().test, None);
    assert!(folder.error(".").contains("t10k-labels"));

    let members = [
        ("x.npy", x(2, 3)),
        ("y.npy", y(&[0, 1])),
        ("x_test.npy", vec![]),
        ("y_test.npy", vec![]),
    ];
    let folder = DataFolder::new(&[("a.npz", npz(&members))]);
    assert_eq!(folder.load("a.npz", false).unwrap().test, None);
    assert!(folder.error("a.npz").contains("array x_test"));
}

/// The training files may be damaged, because they are not read.
#[test]
fn the_test_part_is_read_by_itself() {
    let folder = DataFolder::new(&idx_files(label_file(1, &[9])));
    for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"] {
        fs::write(folder.path(name), "damaged").unwrap();
    }
    let test = folder.load_test(".", 4).unwrap().unwrap();
    assert_eq!(test.samples.features, Features::U8(vec![6; 4]));
    assert_eq!(
        (test.samples.labels, test.class_names.len()),
        (vec![9].into(), 10)
    );
    assert_eq!(test.image.unwrap().height, 2);
    assert!(test.notices[0].contains("not the official"));

    let damaged = npy("|u1", false, "(2, 3)", &[7]);
    let doubles: Vec<u8> = [0.5_f64; 3].iter().flat_map(|x| x.to_le_bytes()).collect();
    let members = [
        ("x.npy", damaged),
        ("y.npy", vec![]),
        ("x_val.npy", npy("<f8", false, "(1, 3)", &doubles)),
        ("y_val.npy", vec![]),
        ("x_test.npy", npy("|u1", false, "(1, 3)", &[1, 2, 3])),
        ("y_test.npy", y(&[4])),
    ];
    let folder = DataFolder::new(&[
        ("a.npz", npz(&members)),
        ("a.csv", b"1,2,0\n".to_vec()),
        ("b.csv", b"1,2,0\n3,4,1\n".to_vec()),
    ]);
    let test = folder.load_test("a.npz", 3).unwrap().unwrap();
    let expected = Features::F64(vec![1.0, 2.0, 3.0]);
    assert_eq!(test.samples.features, expected, "as wide as x_val");
    assert_eq!(test.class_names, ["4"]);
    assert_eq!(
        (test.samples.labels, test.name.as_str()),
        (vec![0].into(), "a.npz")
    );
    assert!(
        folder.load_test("a.csv", 2).unwrap().is_none(),
        "a model knows its classes"
    );
    assert!(folder.load_test("b.csv", 2).unwrap().is_none());
}

#[test]
fn the_test_part_alone_equals_that_of_the_whole_data_set() {
    let mut files = idx_files(label_file(1, &[9]));
    let members = [
        ("x.npy", x(3, 2)),
        ("y.npy", y(&[0, 2, 1])),
        (
            "x_test.npy",
            npy("|u1", false, "(3, 2)", &[1, 2, 3, 4, 5, 6]),
        ),
        ("y_test.npy", y(&[2, 0, 1])),
    ];
    files.push(("a.npz", npz(&members)));
    let folder = DataFolder::new(&files);
    for (name, width) in [(".", 4), ("a.npz", 2)] {
        let all = folder.load(name, true).unwrap();
        let test = folder.load_test(name, width).unwrap().unwrap();
        let names = |names: &[String], labels: &[u32]| -> Vec<String> {
            labels
                .iter()
                .map(|&label| names[label as usize].clone())
                .collect()
        };
        let of_all = all.test.unwrap();
        assert_eq!(test.samples.features, of_all.features);
        assert_eq!(
            names(&test.class_names, test.samples.labels.classes()),
            names(&all.class_names, of_all.labels.classes())
        );
        assert_eq!(
            (test.name, test.path, test.image),
            (all.name, all.path, all.image)
        );
    }
    change(&mut files, "t10k-labels-idx1-ubyte", b"damaged".to_vec());
    let error = DataFolder::new(&files).load_test(".", 4).unwrap_err();
    assert!(error.to_string().contains("t10k-labels"), "{error}");
    files.retain(|file| !file.0.starts_with("t10k"));
    assert!(DataFolder::new(&files).load_test(".", 4).unwrap().is_none());
}

#[test]
fn incomplete_idx_folders() {
    let mut files = idx_files(label_file(1, &[9]));
    files.remove(1);
    let message = DataFolder::new(&files).error(".");
    assert!(
        message.contains("train-labels-idx1-ubyte: no such file"),
        "{message}"
    );
    let mut files = idx_files(label_file(1, &[9]));
    files.pop();
    assert!(
        DataFolder::new(&files)
            .error(".")
            .contains("t10k-labels-idx1-ubyte: no such file")
    );
    files.pop();
    assert_eq!(DataFolder::new(&files).load(".", true).unwrap().test, None);
    let folder = DataFolder::new(&[("notes.txt", vec![])]);
    let message = folder.error(".");
    assert!(
        message.contains("train-images-idx3-ubyte[.gz]") && message.contains("notes.txt"),
        "{message}"
    );
    assert!(DataFolder::new(&[]).error(".").contains("no files"));
}

#[test]
fn idx_files_that_do_not_fit_each_other() {
    let mut files = idx_files(label_file(1, &[9]));
    change(
        &mut files,
        "train-labels-idx1-ubyte.gz",
        label_file(2, &[0, 1]),
    );
    let message = DataFolder::new(&files).error(".");
    assert!(message.contains("byte 4: expected 3 labels"), "{message}");
    assert!(message.ends_with("found 2"), "{message}");

    let mut files = idx_files(label_file(1, &[9]));
    change(
        &mut files,
        "t10k-images-idx3-ubyte.gz",
        image_file([1, 2, 3], &[6; 6]),
    );
    let message = DataFolder::new(&files).error(".");
    assert!(
        message.contains("images of 2×2 as for training, found 2×3"),
        "{message}"
    );
}

#[test]
fn an_npz_file_and_the_same_folder() {
    let members = [
        ("x.npy", x(3, 2)),
        ("y.npy", y(&[0, 2, 1])),
        ("x_val.npy", x(1, 2)),
        ("y_val.npy", y(&[4])),
        ("x_test.npy", x(2, 2)),
        ("y_test.npy", y(&[5, 0])),
    ];
    let mut all = members.to_vec();
    let bytes = npz(&members);
    all.push(("a.npz", bytes.clone()));
    all.push(("packed", gzip(&bytes)));
    let folder = DataFolder::new(&all);
    for name in ["a.npz", "packed", "."] {
        let data = folder.load(name, true).unwrap();
        let expected = vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5];
        assert_eq!(data.train.features, Features::F32(expected), "{name}");
        assert_eq!(data.train.labels.classes(), [0, 2, 1]);
        assert_eq!(data.validation.as_ref().unwrap().labels.classes(), [3]);
        assert_eq!(data.test.as_ref().unwrap().labels.classes(), [4, 0]);
        assert_eq!(data.class_names, ["0", "1", "2"]);
        assert_eq!(data.unseen, ["4", "5"]);
        assert!(data.notices[0].ends_with("not in the loss: 4, 5"));
        assert_eq!(data.hash, folder.load("a.npz", false).unwrap().hash);
    }
}

#[test]
fn npz_files_that_are_not_data_sets() {
    let error =
        |members: &[(&str, Vec<u8>)]| DataFolder::new(&[("a.npz", npz(members))]).error("a.npz");
    let message = error(&[
        ("x.npy", x(2, 3)),
        ("y.npy", y(&[0, 1])),
        ("x_vall.npy", x(1, 3)),
    ]);
    assert!(
        message.contains("only x, y, x_val, y_val, x_test, y_test, found \"x_vall\""),
        "{message}"
    );
    let message = error(&[
        ("x.npy", x(2, 3)),
        ("y.npy", y(&[0, 1])),
        ("x_val.npy", x(1, 3)),
    ]);
    assert!(
        message.contains("expected an array y_val, found x, "),
        "{message}"
    );
    assert!(error(&[("y.npy", y(&[0, 1]))]).contains("an array x"));
    assert!(error(&[]).contains("an array x, found none"));
    let message = error(&[("x.npy", x(2, 3)), ("y.npy", y(&[0, 1, 1]))]);
    assert!(
        message.contains("array y: expected 2 labels, one for each sample of x, found 3"),
        "{message}"
    );
    let message = error(&[
        ("x.npy", x(2, 3)),
        ("y.npy", y(&[0, 1])),
        ("x_val.npy", x(1, 4)),
        ("y_val.npy", y(&[0])),
    ]);
    assert!(
        message.contains("x_val: expected 3 values a sample, as in x, found 4"),
        "{message}"
    );
    let message = error(&[("x.npy", x(2, 3)), ("y.npy", y(&[0, 0]))]);
    assert!(
        message.contains("at least two classes, found only class 0"),
        "{message}"
    );
}

#[test]
fn names_of_arrays_in_any_case_and_with_train() {
    for [x_name, y_name, x_val, y_val] in [
        ["X", "Y", "X_val", "y_val"],
        ["x_train", "y_train", "x_val", "y_val"],
        ["X_train", "y", "X_VAL", "Y_Val"],
    ] {
        let arrays = [
            (x_name, x(2, 3)),
            (y_name, y(&[0, 1])),
            (x_val, x(1, 3)),
            (y_val, y(&[1])),
        ];
        let names = arrays.clone().map(|(name, _)| format!("{name}.npy"));
        let members: Vec<_> = names
            .iter()
            .map(String::as_str)
            .zip(arrays.map(|a| a.1))
            .collect();
        let mut files = members.clone();
        files.push(("a.npz", npz(&members)));
        let folder = DataFolder::new(&files);
        for name in ["a.npz", "."] {
            let data = folder.load(name, true).unwrap();
            assert_eq!(
                (data.train.len(), data.validation.unwrap().labels),
                (2, vec![1].into())
            );
        }
        assert_eq!(folder.read("a.npz", 3).unwrap().1.samples.len(), 2);
    }
    let error = |names: [&str; 3]| {
        let members = [x(2, 3), y(&[0, 1]), x(2, 3)];
        let members: Vec<_> = names.into_iter().zip(members).collect();
        DataFolder::new(&[("a.npz", npz(&members))]).error("a.npz")
    };
    let both = error(["x_train.npy", "y.npy", "x.npy"]);
    assert!(
        both.contains("expected one array x, found x and x_train"),
        "{both}"
    );
    let unknown = error(["x.npy", "y.npy", "x_val_train.npy"]);
    assert!(unknown.contains("found \"x_val_train\""), "{unknown}");
}

#[test]
fn damaged_npz_files() {
    let whole = npz(&[("x.npy", x(20, 3)), ("y.npy", y(&[1; 20]))]);
    for length in (4..whole.len()).step_by(7) {
        let folder = DataFolder::new(&[("a.npz", whole[..length].to_vec())]);
        folder.error("a.npz");
    }
    // A flipped bit in the packed values of x: found by the checksum, or earlier.
    for byte in (60..120).step_by(3) {
        let mut flipped = whole.clone();
        flipped[byte] ^= 16;
        DataFolder::new(&[("a.npz", flipped)]).error("a.npz");
    }
}

#[test]
fn the_wider_type_wins() {
    let pixels = npy("|u1", false, "(2, 2)", &[1, 2, 3, 4]);
    let doubles: Vec<u8> = [0.5f64, 1.5].iter().flat_map(|x| x.to_le_bytes()).collect();
    let members = [
        ("x.npy", pixels.clone()),
        ("y.npy", y(&[0, 1])),
        ("x_val.npy", npy("<f8", false, "(1, 2)", &doubles)),
        ("y_val.npy", y(&[0])),
        ("x_test.npy", pixels),
        ("y_test.npy", y(&[0, 1])),
    ];
    let data = DataFolder::new(&[("a.npz", npz(&members))])
        .load("a.npz", true)
        .unwrap();
    let expected = Features::F64(vec![1.0, 2.0, 3.0, 4.0]);
    assert_eq!(data.train.features, expected);
    assert_eq!(
        data.validation.unwrap().features,
        Features::F64(vec![0.5, 1.5])
    );
    assert_eq!(data.test.unwrap().features, expected);
    assert!(data.notices[0].contains("x is u8, x_val is f64"));
}

#[test]
fn csv_files_are_tables() {
    let row = |label: u8| format!("{}{label}\n", "0.5,".repeat(16));
    let text = row(0) + &row(2);
    let folder = DataFolder::new(&[
        ("a.csv", text.into_bytes()),
        ("b.csv", b"1,2,3,4,a\n1,2,3,4,b\n".to_vec()),
    ]);
    let data = folder.load("a.csv", true).unwrap();
    assert_eq!((data.image, data.is_table()), (None, true));
    assert_eq!(data.class_names, ["0", "2"]);
    assert_eq!(data.name, "a.csv");
    let data = folder.load("b.csv", true).unwrap();
    assert_eq!(data.class_names, ["a", "b"]);
}

#[test]
fn files_that_are_not_data_sets() {
    let folder = DataFolder::new(&[
        ("one.npy", x(2, 2)),
        ("one.idx", image_file([1, 1, 1], &[0])),
        ("one.png", b"\x89PNG\r\n\x1a\n".to_vec()),
        ("empty", vec![]),
        (
            "data.npz",
            npz(&[("x.npy", x(2, 2)), ("y.npy", y(&[0, 1]))]),
        ),
    ]);
    assert!(folder.error("one.npy").contains("found one NumPy array"));
    assert!(
        folder
            .error("one.idx")
            .contains("the folder that holds the IDX files")
    );
    assert!(folder.error("one.png").contains("a PNG image"));
    assert!(folder.error("empty").contains("an empty file"));
    assert!(folder.error("gone").contains("no such file"));
    let with_label = load(&LoadOptions {
        path: Some(folder.path("data.npz")),
        table: TableOptions {
            labels: vec!["0".to_owned()],
            ..TableOptions::default()
        },
        ..LoadOptions::default()
    });
    assert!(matches!(with_label, Err(Error::Setting { .. })));
}

#[test]
fn samples_without_a_label_are_left_out_of_tables() {
    let doubles: Vec<u8> = [0.0, f64::NAN, 1.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let y = npy("<f8", false, "(3,)", &doubles);
    let picture = npy("|u1", false, "(3, 2)", &[1; 6]);
    let folder = DataFolder::new(&[
        (
            "table.npz",
            npz(&[("x.npy", x(3, 2)), ("y.npy", y.clone())]),
        ),
        ("picture.npz", npz(&[("x.npy", picture), ("y.npy", y)])),
    ]);
    let data = folder.load("table.npz", true).unwrap();
    assert_eq!(data.train.features, Features::F32(vec![0.0, 0.5, 2.0, 2.5]));
    assert_eq!(data.train.labels.classes(), [0, 1]);
    let notice = "rows of x without a label are left out: 1 (the first at position 1)";
    assert_eq!(data.notices, [notice]);
    let error = folder.error("picture.npz");
    assert!(
        error.contains("array y, position 1: expected a class, found NaN"),
        "{error}"
    );
}

#[test]
fn the_hash_depends_on_type_width_values_and_labels() {
    let pixels = |shape: &str, data: &[u8]| npy("|u1", false, shape, data);
    let hash = |x: Vec<u8>, labels: &[u8]| {
        let members = [("x.npy", x), ("y.npy", y(labels))];
        let folder = DataFolder::new(&[("a.npz", npz(&members))]);
        folder.load("a.npz", false).unwrap().hash
    };
    let one = hash(pixels("(2, 2)", &[1, 2, 3, 4]), &[0, 1]);
    assert_eq!(one.len(), 64);
    assert_eq!(one, hash(pixels("(2, 2)", &[1, 2, 3, 4]), &[0, 1]));
    let others = [
        hash(pixels("(2, 2)", &[1, 2, 3, 5]), &[0, 1]),
        hash(pixels("(2, 2)", &[1, 2, 3, 4]), &[1, 0]),
        hash(pixels("(4, 1)", &[1, 2, 3, 4]), &[0, 1, 0, 1]),
        hash(
            npy("<f4", false, "(2, 2)", &f32s(&[1.0, 2.0, 3.0, 4.0])),
            &[0, 1],
        ),
    ];
    assert!(!others.contains(&one));
}

#[test]
fn rows_to_predict_of_each_kind() {
    let folder = DataFolder::new(&[
        ("a.csv", b"1,2,3,4\n5,6,7,8\n".to_vec()),
        ("a.npy", x(2, 4)),
        ("a.npy.gz", gzip(&x(2, 4))),
        ("a.npz", npz(&[("x.npy", x(2, 4)), ("other.npy", vec![])])),
        ("a.idx", image_file([2, 2, 2], &[9; 8])),
        ("a.png", b"\x89PNG\r\n\x1a\n".to_vec()),
    ]);
    let read = |name: &str, width| folder.read(name, width);
    for name in ["a.csv", "a.npy", "a.npy.gz", "a.npz", "a.idx"] {
        let rows = read(name, 4).unwrap().1.samples;
        assert_eq!((rows.len(), rows.width), (2, 4), "{name}");
        assert!(rows.labels.is_empty());
        let error = read(name, 7).unwrap_err();
        assert!(error.to_string().contains('7'), "{error}");
    }
    assert!(read("a.png", 4).is_err());
}

/// The real files, if the test runs inside of the repository.
#[test]
fn the_official_files_are_recognised() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fashion-mnist");
    if !path.exists() {
        return;
    }
    let data = load(&LoadOptions {
        path: Some(path),
        test: true,
        ..LoadOptions::default()
    })
    .unwrap();
    assert_eq!(data.name, "Fashion-MNIST");
    assert_eq!(data.class_names[9], "Ankle boot");
    assert_eq!(
        (data.train.len(), data.test.unwrap().len()),
        (60_000, 10_000)
    );
    assert!(data.notices.is_empty());
    let of_class = |class| {
        data.train
            .labels
            .classes()
            .iter()
            .filter(|&&l| l == class)
            .count()
    };
    assert!((0..10).all(|class| of_class(class) == 6000));
}
