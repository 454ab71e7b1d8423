use super::super::label_meaning::{LabelColumns, LabelMeaning, LabelSource};
use super::super::{Labels, Task};
use super::*;

/// An NPY file as NumPy writes it (version 1: header padded to 64 bytes).
pub(in crate::data) fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

pub(in crate::data) fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn array<T>(mut bytes: &[u8], read: impl Fn(NpyArray<'_>) -> Result<T>) -> Result<T> {
    let limit = bytes.len() as u64;
    read(NpyArray::new(Path::new("a.npz"), "x", &mut bytes, limit))
}

fn values(bytes: &[u8]) -> NpyValues {
    array(bytes, |a| a.read_values(NumberType::U8)).unwrap()
}

fn values_error(bytes: &[u8]) -> String {
    let error = array(bytes, |a| a.read_values(NumberType::U8))
        .err()
        .unwrap();
    assert!(matches!(error, Error::Format { .. }), "{error}");
    error.to_string()
}

fn labels_error(bytes: &[u8]) -> String {
    let error = array(bytes, |a| a.read_labels()).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error}");
    error.to_string()
}

#[test]
fn each_type_in_both_byte_orders() {
    let v = values(&npy("|u1", false, "(2, 3)", &[1, 2, 3, 4, 5, 255]));
    assert_eq!(v.features, Features::U8(vec![1, 2, 3, 4, 5, 255]));
    assert_eq!((v.width, v.image), (3, None));

    let singles = [1.5f32, -2.0, 3e-9, 4.0];
    let expected = Features::F32(singles.to_vec());
    let little = npy("<f4", false, "(2, 2)", &f32s(&singles));
    assert_eq!(values(&little).features, expected);
    let big: Vec<u8> = singles.iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(
        values(&npy(">f4", false, "(2, 2)", &big)).features,
        expected
    );

    let doubles = [1.5f64, -2.0, 3e-99];
    let expected = Features::F64(doubles.to_vec());
    let little: Vec<u8> = doubles.iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(
        values(&npy("<f8", false, "(3, 1)", &little)).features,
        expected
    );
    let big: Vec<u8> = doubles.iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(
        values(&npy(">f8", false, "(1, 3)", &big)).features,
        expected
    );
}

#[test]
fn versions_two_and_three() {
    let text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2)}";
    for version in [2, 3] {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([version, 0]);
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text);
        bytes.extend([8, 9]);
        assert_eq!(values(&bytes).features, Features::U8(vec![8, 9]));
    }
}

#[test]
fn image_shapes() {
    let image = |shape: &str| values(&npy("|u1", false, shape, &[7; 12])).image;
    let expected = Some(ImageShape {
        height: 2,
        width: 3,
    });
    for shape in ["(2, 2, 3)", "(2, 2, 3, 1)", "(2, 1, 2, 3)"] {
        assert_eq!(image(shape), expected, "{shape}");
    }
    for shape in ["()", "(12,)", "(1, 2, 2, 3)", "(1, 1, 1, 2, 6)"] {
        let message = values_error(&npy("|u1", false, shape, &[7; 12]));
        assert!(message.contains("array x, shape"), "{message}");
    }
}

#[test]
fn fortran_order_is_transposed() {
    // The matrix 1 2 3 / 4 5 6 column by column.
    let v = values(&npy("|u1", true, "(2, 3)", &[1, 4, 2, 5, 3, 6]));
    assert_eq!(v.features, Features::U8(vec![1, 2, 3, 4, 5, 6]));
    // x[i, j, k] = 100 i + 10 j + k for shape (2, 3, 2), first index fastest.
    let data = [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121];
    let v = values(&npy("|u1", true, "(2, 3, 2)", &data));
    let expected = vec![0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121];
    assert_eq!(v.features, Features::U8(expected));
}

/// What the labels of an array mean.
fn meaning(bytes: &[u8]) -> Result<(LabelMeaning, Labels)> {
    let columns = array(bytes, |a| a.read_labels())?;
    let names = (0..columns.len()).map(|i| format!("y{i}")).collect();
    let source = LabelSource {
        path: Path::new("a.npz"),
        what: "y",
        lines: None,
        is_table: false,
        room: u64::MAX,
    };
    let columns = LabelColumns {
        columns,
        names,
        source,
    };
    LabelMeaning::of(columns, None)
}

/// The names of the classes, and the class of each label.
fn labels(bytes: &[u8]) -> (Vec<String>, Vec<u32>) {
    let (meaning, labels) = meaning(bytes).unwrap();
    assert_eq!(meaning.task, Task::Classification);
    (meaning.classes.names, labels.classes().to_vec())
}

#[track_caller]
fn expect_labels(bytes: &[u8], names: &[&str], expected: &[u32]) {
    let (found, labels) = labels(bytes);
    assert_eq!(found, names);
    assert_eq!(labels, expected);
}

fn le<const N: usize, T>(values: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(bytes).collect()
}

#[test]
fn tables_of_each_type() {
    let table = |descr: &str, data: &[u8]| {
        let v = values(&npy(descr, false, "(2, 2)", data));
        assert!(v.is_table && v.image.is_none(), "{descr}");
        v.features
    };
    let truth = [0.0, 1.0, 1.0, 0.0];
    assert_eq!(table("|b1", &[0, 1, 1, 0]), Features::F32(truth.to_vec()));
    let small = Features::F32(vec![-1.0, 2.0, 3.0, -128.0]);
    assert_eq!(table("|i1", &[255, 2, 3, 128]), small);
    let halves = le(&[0x3c00_u16, 0xc000, 0x3800, 0], |x| x.to_le_bytes());
    assert_eq!(
        table("<f2", &halves),
        Features::F32(vec![1.0, -2.0, 0.5, 0.0])
    );
    let wide = [-1_i64, 1 << 40, 3, 4];
    let expected = Features::F64(wide.map(|x| x as f64).to_vec());
    assert_eq!(table("<i8", &le(&wide, |x| x.to_le_bytes())), expected);
    assert_eq!(table(">i8", &le(&wide, |x| x.to_be_bytes())), expected);
    assert_eq!(
        table("<u2", &[0, 1, 1, 0, 255, 255, 0, 0]),
        Features::F32(vec![256.0, 1.0, 65535.0, 0.0])
    );
    let unsigned = le(&[u32::MAX, 0, 1, 2], |x| x.to_le_bytes());
    let expected = Features::F64(vec![4_294_967_295.0, 0.0, 1.0, 2.0]);
    assert_eq!(table("<u4", &unsigned), expected);
    // Bytes are pixels.
    assert!(!values(&npy("|u1", false, "(2, 2)", &[1; 4])).is_table);
    let text = values_error(&npy("<U1", false, "(2, 2)", &[0; 16]));
    assert!(text.contains("expected numbers, found U1"), "{text}");
}

#[test]
fn a_missing_value_of_a_table_is_the_one_nan() {
    let strange = f32::from_bits(0x7fc0_1234);
    let v = values(&npy("<f4", false, "(2, 1)", &f32s(&[1.0, strange])));
    let Features::F32(found) = v.features else {
        panic!("not f32")
    };
    assert_eq!(found[1].to_bits(), f32::NAN.to_bits());
    let strange = f64::from_bits(0xfff8_0000_0000_0001);
    let v = values(&npy("<f8", false, "(1, 1)", &strange.to_le_bytes()));
    let Features::F64(found) = v.features else {
        panic!("not f64")
    };
    assert_eq!(found[0].to_bits(), f64::NAN.to_bits());
}

#[test]
fn pictures_of_each_type() {
    let picture = |descr: &str, data: &[u8]| {
        let v = values(&npy(descr, false, "(1, 1, 2)", data));
        assert!(!v.is_table && v.image.is_some(), "{descr}");
        v.features
    };
    assert_eq!(picture("|b1", &[0, 1]), Features::U8(vec![0, 1]));
    let pixels = le(&[0_i64, 255], |x| x.to_le_bytes());
    assert_eq!(picture("<i8", &pixels), Features::U8(vec![0, 255]));
    assert_eq!(
        picture("<f4", &f32s(&[0.5, 300.0])),
        Features::F32(vec![0.5, 300.0])
    );
    for strange in [-1_i16, 256] {
        let data = le(&[7, strange], |x| x.to_le_bytes());
        let message = values_error(&npy("<i2", false, "(1, 1, 2)", &data));
        let expected = format!(
            "value 1: expected a pixel from 0 to 255, as pictures of integers have them, found {strange}"
        );
        assert!(message.contains(&expected), "{message}");
    }
    let missing = npy("<f4", false, "(1, 1, 2)", &f32s(&[1.0, f32::NAN]));
    assert!(
        values_error(&missing).contains("sample 0, feature 1: expected a finite number, found NaN")
    );
}

#[test]
fn labels_of_each_integer_type() {
    let numbers = |descr: &str, shape: &str, data: &[u8], names: &[&str]| {
        let expected: Vec<u32> = (0..names.len() as u32).collect();
        expect_labels(&npy(descr, false, shape, data), names, &expected);
    };
    expect_labels(
        &npy("|u1", false, "(3,)", &[0, 200, 3]),
        &["0", "3", "200"],
        &[0, 2, 1],
    );
    numbers("|i1", "(2, 1)", &[251, 127], &["-5", "127"]);
    numbers("<u2", "(2,)", &[1, 0, 0, 2], &["1", "512"]);
    numbers(">i2", "(2,)", &[0, 1, 2, 0], &["1", "512"]);
    numbers("<i4", "(1,)", &[3, 1, 0, 0], &["259"]);
    numbers(">u4", "(1,)", &[0, 0, 1, 3], &["259"]);
    let signs = le(&[-1_i64, 1], |x| x.to_le_bytes());
    numbers("<i8", "(2,)", &signs, &["-1", "1"]);
    numbers(">u8", "(1,)", &50667_u64.to_be_bytes(), &["50667"]);
    // Digits that f64 does not hold are kept.
    let large = le(&[u64::MAX - 1, u64::MAX], |x| x.to_le_bytes());
    numbers(
        "<u8",
        "(2,)",
        &large,
        &["18446744073709551614", "18446744073709551615"],
    );
}

#[test]
fn labels_that_are_truth_values_floats_and_words() {
    expect_labels(
        &npy("|b1", false, "(3,)", &[1, 0, 1]),
        &["False", "True"],
        &[1, 0, 1],
    );
    expect_labels(
        &npy("<f4", false, "(3,)", &f32s(&[2.0, -1.0, -0.0])),
        &["-1", "0", "2"],
        &[2, 0, 1],
    );
    let halves = le(&[0x3c00_u16, 0xc000], |x| x.to_le_bytes());
    expect_labels(&npy("<f2", false, "(2, 1)", &halves), &["-2", "1"], &[1, 0]);
    expect_labels(
        &npy("|S3", false, "(2,)", b"dogc\0\0"),
        &["c", "dog"],
        &[1, 0],
    );
    let text = |encode: fn(u32) -> [u8; 4]| -> Vec<u8> {
        let words = ["ant\0", "Bär\0", "ant\0"].concat();
        words.chars().flat_map(|c| encode(c as u32)).collect()
    };
    expect_labels(
        &npy("<U4", false, "(3,)", &text(u32::to_le_bytes)),
        &["Bär", "ant"],
        &[1, 0, 1],
    );
    expect_labels(
        &npy(">U4", false, "(3, 1)", &text(u32::to_be_bytes)),
        &["Bär", "ant"],
        &[1, 0, 1],
    );
    // Numbers as text keep their order, and their zeros.
    expect_labels(
        &npy("|S2", false, "(3,)", b"109\x0002"),
        &["02", "9", "10"],
        &[2, 1, 0],
    );
}

#[test]
fn one_hot_labels_of_each_type_and_order() {
    let names = ["0", "1", "2"];
    let rows = [0_u8, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1];
    let expected = [2, 1, 0, 2];
    for descr in ["|u1", "|b1", "|i1"] {
        expect_labels(&npy(descr, false, "(4, 3)", &rows), &names, &expected);
    }
    let floats: Vec<f32> = rows.iter().map(|&x| x.into()).collect();
    expect_labels(
        &npy("<f4", false, "(4, 3)", &f32s(&floats)),
        &names,
        &expected,
    );
    let columns = [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1];
    expect_labels(&npy("|u1", true, "(4, 3)", &columns), &names, &expected);
}

#[test]
fn several_numbers_a_sample() {
    let found = |shape: &str, fortran: bool, rows: &[f32]| {
        let (meaning, labels) = meaning(&npy("<f4", fortran, shape, &f32s(rows))).unwrap();
        (meaning.task, labels.values().to_vec())
    };
    let both = (Task::Multilabel, vec![0.0, 1.0, 0.0, 0.0]);
    assert_eq!(found("(2, 2)", false, &[0.0, 1.0, 0.0, 0.0]), both);
    let values = (Task::Regression, vec![0.25, 0.75, 1.0, 0.0]);
    assert_eq!(found("(2, 2)", false, &[0.25, 0.75, 1.0, 0.0]), values);
    assert_eq!(found("(2, 2)", true, &[0.25, 1.0, 0.75, 0.0]), values);
    // A row of which one number is missing has no labels.
    let rest = (Task::Regression, vec![0.5, 3.0]);
    assert_eq!(found("(2, 2)", false, &[f32::NAN, 1.0, 0.5, 3.0]), rest);
    let error = meaning(&npy("<f4", false, "(1, 2)", &f32s(&[2.0, 1.0])));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("position 0") && error.contains("--task"),
        "{error}"
    );
}

#[test]
fn labels_that_are_not_classes() {
    let fractions = npy("<f4", false, "(2,)", &f32s(&[1.0, 2.5]));
    let (found, values) = meaning(&fractions).unwrap();
    assert_eq!(
        (found.task, values.values()),
        (Task::Regression, &[1.0, 2.5][..])
    );
    let message = labels_error(&npy("<f4", false, "(1,)", &f32s(&[f32::INFINITY])));
    assert!(
        message.contains("position 0") && message.ends_with("inf"),
        "{message}"
    );
    let many = le(&(0..65537_u32).collect::<Vec<_>>(), |x| x.to_le_bytes());
    let message = meaning(&npy("<u4", false, "(65537,)", &many)).unwrap_err();
    assert!(message.to_string().contains("--task"), "{message}");
    for (descr, data) in [
        ("|S1", &b"a\0"[..]),
        ("|S1", b"a "),
        ("|S1", b"a\xff"),
        ("<U1", b"a\0\0\0\0\xd8\0\0"),
    ] {
        let message = labels_error(&npy(descr, false, "(2,)", data));
        assert!(message.contains("position 1: "), "{message}");
    }
    for (descr, shape) in [("|S1", "(1, 2)"), ("|u1", "(1, 1, 2)"), ("|u1", "()")] {
        let message = labels_error(&npy(descr, false, shape, &[1; 2]));
        assert!(message.contains("one label a sample"), "{message}");
    }
}

#[test]
fn values_that_are_not_finite_are_named() {
    let mut data = [1.0f32; 6];
    data[5] = f32::INFINITY;
    let message = values_error(&npy("<f4", false, "(3, 2)", &f32s(&data)));
    let expected = "a.npz: array x, sample 2, feature 1: expected a finite number, found inf";
    assert_eq!(message, expected);
    // Sample 0, feature 1 in Fortran order is the third value.
    data[5] = 1.0;
    data[2] = f32::NEG_INFINITY;
    let message = values_error(&npy("<f4", true, "(2, 3)", &f32s(&data)));
    assert!(message.contains("sample 0, feature 1: expected a finite number, found -inf"));
}

#[test]
fn impossible_sizes_are_refused_before_reading() {
    for shape in [
        "(1152921504606846976, 4)",
        "(9223372036854775807, 9223372036854775807)",
        "(4294967296, 1)",
        "(5000, 784)",
    ] {
        let message = values_error(&npy("<f4", false, shape, &[0; 64]));
        assert!(message.contains("array x, shape"), "{message}");
    }
    assert!(values_error(&npy("|u1", false, "(0, 4)", &[])).contains("at least 1"));
    assert!(values_error(&npy("|u1", false, "(4, 0)", &[])).contains("at least 1"));
}

#[test]
fn truncated_and_too_long_arrays() {
    // The limit is the size of the whole file: the header's share shows when reading.
    let short = npy("<f4", false, "(2, 3)", &f32s(&[1.0; 5]));
    let message = values_error(&short);
    assert!(message.contains("value 5: expected 6 values"), "{message}");
    let torn = values_error(&short[..short.len() - 1]);
    assert!(torn.contains("value 4: expected 6 values"), "{torn}");
    let bytes = values_error(&npy("|u1", false, "(2, 3)", &[1; 5]));
    assert!(bytes.contains("value 5: expected 6 values"), "{bytes}");
    let long = values_error(&npy("|u1", false, "(2, 3)", &[1; 7]));
    assert!(long.contains("no bytes after the last value"), "{long}");
    let whole = npy("|u1", false, "(1, 1)", &[1]);
    for length in 0..whole.len() {
        values_error(&whole[..length]);
    }
}

#[test]
fn bytes_that_are_not_a_header() {
    assert!(values_error(b"not an array at all").contains("an NPY header"));
    let mut bytes = npy("|u1", false, "(1, 1)", &[1]);
    bytes[6] = 4;
    assert!(values_error(&bytes).contains("version 1, 2 or 3"));
    let object = values_error(&npy("|O", false, "(1, 1)", &[0]));
    assert!(
        object.contains("y.astype(str)") && object.contains("found \"|O\""),
        "{object}"
    );
    let long = npy("<U999999999", false, "(1, 1)", &[0; 8]);
    assert!(labels_error(&long).contains("values that fit into its"));
}
