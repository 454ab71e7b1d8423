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

#[test]
fn labels_of_each_integer_type() {
    let labels = |descr: &str, shape: &str, data: &[u8]| {
        array(&npy(descr, false, shape, data), |a| a.read_labels()).unwrap()
    };
    assert_eq!(labels("|u1", "(3,)", &[0, 200, 3]), [0, 200, 3]);
    assert_eq!(labels("|i1", "(2, 1)", &[5, 127]), [5, 127]);
    assert_eq!(labels("<u2", "(2,)", &[1, 0, 0, 2]), [1, 512]);
    assert_eq!(labels(">i2", "(2,)", &[0, 1, 2, 0]), [1, 512]);
    assert_eq!(labels("<i4", "(1,)", &[3, 1, 0, 0]), [259]);
    assert_eq!(labels(">u4", "(1,)", &[0, 0, 1, 3]), [259]);
    assert_eq!(labels("<i8", "(1,)", &9i64.to_le_bytes()), [9]);
    assert_eq!(labels(">u8", "(1,)", &65535u64.to_be_bytes()), [65535]);
}

#[test]
fn labels_that_are_not_classes() {
    let minus: Vec<u8> = [3i64, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
    let message = labels_error(&npy("<i8", false, "(2,)", &minus));
    let expected = "a.npz: array x, position 1: expected a class from 0 to 65535, found -1";
    assert_eq!(message, expected);
    for descr in ["<u8", ">u8"] {
        let message = labels_error(&npy(descr, false, "(1,)", &u64::MAX.to_le_bytes()));
        assert!(message.contains("18446744073709551615"), "{message}");
    }
    let absurd = npy("<u4", false, "(1,)", &65536u32.to_le_bytes());
    assert!(labels_error(&absurd).contains("position 0"));
    let floats = npy("<f4", false, "(1,)", &f32s(&[1.0]));
    assert!(labels_error(&floats).contains("regression is not supported"));
    let one_hot = npy("|u1", false, "(2, 2)", &[1, 0, 0, 1]);
    assert!(labels_error(&one_hot).contains("one class number a sample"));
}

#[test]
fn values_that_are_not_finite_are_named() {
    let mut data = [1.0f32; 6];
    data[5] = f32::NAN;
    let message = values_error(&npy("<f4", false, "(3, 2)", &f32s(&data)));
    let expected = "a.npz: array x, sample 2, feature 1: expected a finite number, found NaN";
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
    let half = npy("<f2", false, "(1, 1)", &[0, 0]);
    assert!(values_error(&half).contains("\"<f2\""));
    let ints = npy("<i8", false, "(1, 1)", &[0; 8]);
    assert!(values_error(&ints).contains("expected values of type u1, f4 or f8, found i8"));
}
