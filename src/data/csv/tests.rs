use super::super::open::tests::gzip;
use super::*;

fn source(bytes: &[u8]) -> InputFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, bytes).unwrap();
    InputFile::open(&path).unwrap()
}

fn table(text: &str, label: Option<&str>) -> CsvTable {
    read(source(text.as_bytes()), label).unwrap()
}

fn error(text: &str, label: Option<&str>) -> String {
    let error = read(source(text.as_bytes()), label).err().unwrap();
    assert_eq!(error.exit_code(), 2, "{error}");
    let message = error.to_string();
    assert!(message.contains("t.csv"), "{message}");
    match message.split_once("t.csv: ") {
        Some((_, rest)) => rest.to_owned(),
        None => message,
    }
}

fn values(table: &CsvTable) -> (&[f64], &[u32]) {
    match &table.samples.features {
        Features::F64(values) => (values, &table.samples.labels),
        _ => panic!("not f64"),
    }
}

#[test]
fn without_header_the_last_column_is_the_label() {
    let table = table("1,2.5,0\n-3,4e2,2\n", None);
    assert_eq!(values(&table), (&[1.0, 2.5, -3.0, 400.0][..], &[0, 2][..]));
    assert_eq!(table.samples.width, 2);
    assert_eq!(table.class_names, None);
    assert_eq!(table.notices, ["label: last column (2)"]);
}

#[test]
fn a_named_label_column_is_found() {
    for name in ["label", "Class", "TARGET", "y"] {
        let table = table(&format!("a,{name},b\n1,3,2\n"), None);
        assert_eq!(values(&table), (&[1.0, 2.0][..], &[3][..]));
        assert_eq!(table.notices, [format!("label: column \"{name}\" (1)")]);
    }
    // Label comes before y, in any order of columns.
    let table = table("y,label\n7,1\n", None);
    assert_eq!(values(&table), (&[7.0][..], &[1][..]));
}

#[test]
fn the_label_column_by_index_and_by_name() {
    let text = "a,b,c\n1,2,3\n4,5,6\n";
    for label in ["0", "-3", "a", "A"] {
        let table = table(text, Some(label));
        assert_eq!(values(&table), (&[2.0, 3.0, 5.0, 6.0][..], &[1, 4][..]));
        assert!(table.notices.is_empty());
    }
    assert_eq!(table(text, Some("-1")).samples.labels, [3, 6]);
    // A label that parses as a number is an index.
    assert_eq!(table("5,1\n6,0\n", Some("1")).samples.labels, [1, 0]);
}

#[test]
fn label_columns_that_do_not_exist() {
    let text = "a,b,c\n1,2,3\n";
    for index in ["3", "-4", "99999999999"] {
        let message = error(text, Some(index));
        assert!(message.contains("from 0 to 2"), "{message}");
    }
    let message = error(text, Some("kind"));
    assert!(
        message.contains("\"kind\"") && message.contains("a, b, c"),
        "{message}"
    );
    let message = error("a,b,a\n1,2,3\n", Some("a"));
    assert!(message.contains("2 columns"), "{message}");
}

#[test]
fn the_label_column_reveals_a_header_of_numbers() {
    // As pandas writes them: numbered features, one named column.
    let table = table("0,1,label\n5,6,cat\n7,8,ant\n", None);
    assert_eq!(values(&table), (&[5.0, 6.0, 7.0, 8.0][..], &[1, 0][..]));
    assert_eq!(
        table.notices[1],
        "line 1 is taken for a header: 0, 1, label"
    );
    let numbered = self::table("0,1,kind\n5,6,1\n", None);
    assert_eq!(values(&numbered), (&[5.0, 6.0][..], &[1][..]));
    // A class named y is not a header.
    let yes_no = self::table("5,6,y\n7,8,n\n", None);
    assert_eq!(values(&yes_no), (&[5.0, 6.0, 7.0, 8.0][..], &[1, 0][..]));
}

#[test]
fn words_become_classes_in_alphabetical_order() {
    let table = table("1,zebra\n2,ant\n3,zebra\n4,Bee\n", None);
    assert_eq!(table.samples.labels, [2, 1, 2, 0]);
    assert_eq!(table.class_names.unwrap(), ["Bee", "ant", "zebra"]);
}

#[test]
fn whole_labels_may_be_written_as_floats() {
    assert_eq!(table("1,3.0\n2,1e1\n", None).samples.labels, [3, 10]);
}

#[test]
fn quotes_spaces_blank_lines_line_ends_and_byte_order_marks() {
    let text = "\u{feff}\"a\", b ,label\r\n\r\n 1 ,\"2\", 0\r\n3,4,1";
    let table = table(text, None);
    assert_eq!(values(&table), (&[1.0, 2.0, 3.0, 4.0][..], &[0, 1][..]));
    let marked = self::table("\u{feff}1,2,0\n3,4,1\n", None);
    assert_eq!(marked.samples.labels, [0, 1]);
}

#[test]
fn other_delimiters_and_gzip() {
    for text in ["1;2;0\n3;4;1\n", "1\t2\t0\n3\t4\t1\n"] {
        let table = table(text, None);
        assert_eq!(values(&table), (&[1.0, 2.0, 3.0, 4.0][..], &[0, 1][..]));
    }
    let packed = gzip(b"1,2,0\n3,4,1\n");
    assert_eq!(read(source(&packed), None).unwrap().samples.labels, [0, 1]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.csv");
    std::fs::write(&path, &packed[..packed.len() - 3]).unwrap();
    let cut = InputFile::open(&path);
    assert!(matches!(cut, Err(Error::Format { .. })));
}

#[test]
fn ragged_rows() {
    assert_eq!(
        error("1,2,0\n3,4,1\n5,6\n", None),
        "line 3: expected 3 columns as in line 1, found 2"
    );
    assert!(error("a,b,label\r\n1,2,0\r\n5,6,1,9\r\n", None).starts_with("line 3: "));
    assert!(error("\na,b,label\n\r\n1,2\n1,2,3", None).starts_with("line 4: "));
    assert!(error("\"a\n1\",b,label\n1,2,0\n1,2", None).starts_with("line 4: "));
}

#[test]
fn cells_that_are_not_numbers() {
    let name = |cell: &str| error(&format!("a,b,label\n1,2,0\n\n3,{cell},1\n"), None);
    assert_eq!(
        name("x"),
        "line 4, column 2 (b): expected a number, found \"x\""
    );
    assert_eq!(
        name(""),
        "line 4, column 2 (b): expected a number, found an empty cell"
    );
    for cell in ["inf", "-inf", "1e999"] {
        assert_eq!(
            name(cell),
            format!("line 4, column 2 (b): expected a finite number, found \"{cell}\"")
        );
    }
    assert!(name("nan").contains("expected a number, found \"nan\""));
    assert_eq!(
        error("1,2,0\n3,1.2.3,1\n", None),
        "line 2, column 2: expected a number, found \"1.2.3\""
    );
    assert!(error("1,,0\n3,4,1\n", None).starts_with("line 1, column 2: expected a number"));
}

#[test]
fn labels_that_are_not_classes() {
    let with = |label: &str| error(&format!("1,0\n2,{label}\n"), None);
    assert!(
        with("0.5").contains("line 2, column 2: "),
        "{}",
        with("0.5")
    );
    assert!(with("0.5").contains("regression is not supported"));
    assert!(with("-1").contains("a class from 0 to 65535, found \"-1\""));
    assert!(with("65536").contains("a class from 0 to 65535"));
    assert!(with("nan").contains("a class from 0 to 65535"));
    assert!(with("").contains("expected a label, found an empty cell"));
    assert!(with("cat").contains("a class number as in the rows before, found \"cat\""));
    assert!(error("1,cat\n2,dog\n3,0\n", None).contains("a class name as in the rows before"));
}

#[test]
fn files_without_rows_or_features() {
    assert_eq!(
        error("", None),
        "line 1: expected at least one row, found an empty file"
    );
    assert!(error("\n\n", None).contains("an empty file"));
    let expected = "line 2: expected at least one row after the header, found the end of the file";
    assert_eq!(error("a,b,label\n", None), expected);
    assert!(error("1\n2\n", None).contains("at least one feature column"));
}

#[test]
fn bytes_that_are_not_text() {
    let result = read(source(b"1,2,0\n3,\xff,1\n"), None);
    let message = result.err().unwrap().to_string();
    assert!(
        message.contains("line 2, column 2: expected text in UTF-8"),
        "{message}"
    );
}

#[test]
fn rows_to_predict_with_and_without_labels() {
    let rows = |text: &str, label| read_rows(source(text.as_bytes()), 2, label);
    for (text, label) in [
        ("1,2\n3,4\n", None),
        ("a,b\n1,2\n3,4\n", None),
        ("1,2,0.5\n3,4,cat\n", None),
        ("label,a,b\n,1,2\nx,3,4\n", None),
        ("kind,a,b\n9,1,2\n9,3,4\n", Some("kind")),
        ("9,1,2\n9,3,4\n", Some("0")),
    ] {
        let samples = rows(text, label).unwrap();
        assert_eq!(
            samples.features,
            Features::F64(vec![1.0, 2.0, 3.0, 4.0]),
            "{text}"
        );
        assert_eq!((samples.width, samples.labels.len()), (2, 0));
    }
    let message = rows("1,2,3,4\n", None).unwrap_err().to_string();
    assert!(
        message.contains("2 columns, or 3 with a label column, found 4"),
        "{message}"
    );
    assert!(rows("1\n", None).is_err());
}
