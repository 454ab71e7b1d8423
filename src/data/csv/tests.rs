#![cfg(feature = "gzip")]

use super::super::open::tests::gzip;
use super::super::table::Treatment;
use super::*;

fn source(bytes: &[u8]) -> InputFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, bytes).unwrap();
    InputFile::open(&path).unwrap()
}

fn options(label: Option<&str>) -> TableOptions {
    TableOptions {
        labels: label.map(str::to_owned).into_iter().collect(),
        ..TableOptions::default()
    }
}

/// A file that was read, with its classes.
struct Found {
    values: Vec<f64>,
    width: usize,
    labels: Vec<u32>,
    class_names: Vec<String>,
    notices: Vec<String>,
}

fn table(text: &str, label: Option<&str>) -> Found {
    with_options(text, &options(label)).unwrap()
}

fn with_options(text: &str, options: &TableOptions) -> Result<Found> {
    let mut read = read(source(text.as_bytes()), options)?;
    let classes = read
        .label(Path::new("t.csv"), Some(Task::Classification))?
        .classes;
    let labels = read.samples.labels.classes().to_vec();
    let Features::F64(values) = read.samples.features else {
        panic!("not f64")
    };
    Ok(Found {
        values,
        width: read.samples.width,
        labels,
        class_names: classes.names,
        notices: read.notices,
    })
}

fn error(text: &str, label: Option<&str>) -> String {
    let error = with_options(text, &options(label)).err().unwrap();
    assert_eq!(error.exit_code(), 2, "{error}");
    let message = error.to_string();
    assert!(message.contains("t.csv"), "{message}");
    match message.split_once("t.csv: ") {
        Some((_, rest)) => rest.to_owned(),
        None => message,
    }
}

fn values(table: &Found) -> (&[f64], &[u32]) {
    (&table.values, &table.labels)
}

#[test]
fn without_header_the_last_column_is_the_label() {
    let table = table("1,2.5,0\n-3,4e2,2\n", None);
    assert_eq!(values(&table), (&[1.0, 2.5, -3.0, 400.0][..], &[0, 1][..]));
    assert_eq!(table.width, 2);
    assert_eq!(table.class_names, ["0", "2"]);
    assert_eq!(table.notices, ["label: last column (2)"]);
}

#[test]
fn a_named_label_column_is_found() {
    for name in ["label", "Class", "TARGET", "y"] {
        let table = table(&format!("a,{name},b\n1,3,2\n"), None);
        assert_eq!(values(&table), (&[1.0, 2.0][..], &[0][..]));
        assert_eq!(table.class_names, ["3"]);
        assert_eq!(table.notices, [format!("label: column \"{name}\" (1)")]);
    }
    // Label comes before y, in any order of columns.
    let table = table("y,label\n7,1\n", None);
    assert_eq!(values(&table), (&[7.0][..], &[0][..]));
}

#[test]
fn the_label_column_by_index_and_by_name() {
    let text = "a,b,c\n1,2,3\n4,5,6\n";
    for label in ["0", "-3", "a", "A"] {
        let table = table(text, Some(label));
        assert_eq!(values(&table), (&[2.0, 3.0, 5.0, 6.0][..], &[0, 1][..]));
        assert!(table.notices.is_empty());
    }
    assert_eq!(table(text, Some("-1")).class_names, ["3", "6"]);
    assert_eq!(table("5,1\n6,0\n", Some("1")).labels, [1, 0]);
    // A name comes before an index.
    let table = table("2,0,1,label\n5,6,7,a\n8,9,3,b\n5,6,7,b\n", Some("2"));
    assert_eq!(table.class_names, ["5", "8"]);
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
        table.notices[0],
        "line 1 is taken for a header: 0, 1, label (--header false if it is none)"
    );
    let numbered = self::table("0,1,kind\n5,6,1\n", None);
    assert_eq!(values(&numbered), (&[5.0, 6.0][..], &[0][..]));
    // A class named y is not a header.
    let yes_no = self::table("5,6,y\n7,8,n\n", None);
    assert_eq!(values(&yes_no), (&[5.0, 6.0, 7.0, 8.0][..], &[1, 0][..]));
}

#[test]
fn words_become_classes_in_alphabetical_order() {
    let table = table("1,zebra\n2,ant\n3,zebra\n4,Bee\n", None);
    assert_eq!(table.labels, [2, 1, 2, 0]);
    assert_eq!(table.class_names, ["Bee", "ant", "zebra"]);
}

#[test]
fn whole_labels_may_be_written_as_floats() {
    assert_eq!(table("1,3.0\n2,1e1\n", None).class_names, ["3", "10"]);
}

#[test]
fn quotes_spaces_blank_lines_line_ends_and_byte_order_marks() {
    let text = "\u{feff}\"a\", b ,label\r\n\r\n 1 ,\"2\", 0\r\n3,4,1";
    let table = table(text, None);
    assert_eq!(values(&table), (&[1.0, 2.0, 3.0, 4.0][..], &[0, 1][..]));
    let marked = self::table("\u{feff}1,2,0\n3,4,1\n", None);
    assert_eq!(marked.labels, [0, 1]);
}

#[test]
fn other_delimiters_and_gzip() {
    for text in ["1;2;0\n3;4;1\n", "1\t2\t0\n3\t4\t1\n"] {
        let table = table(text, None);
        assert_eq!(values(&table), (&[1.0, 2.0, 3.0, 4.0][..], &[0, 1][..]));
    }
    let packed = gzip(b"1,2,0\n3,4,1\n");
    let mut read = read(source(&packed), &options(None)).unwrap();
    read.label(Path::new("t.csv"), None).unwrap();
    assert_eq!(read.samples.labels.classes(), [0, 1]);
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
        "line 3: expected 3 columns as in line 1, found 2: 5, 6"
    );
    assert!(error("a,b,label\r\n1,2,0\r\n5,6,1,9\r\n", None).starts_with("line 3: "));
    assert!(error("\na,b,label\n\r\n1,2\n1,2,3", None).starts_with("line 4: "));
    assert!(error("\"a\n1\",b,label\n1,2,0\n1,2", None).starts_with("line 4: "));
}

#[test]
fn cells_hold_numbers_words_or_nothing() {
    let text = "a,b,c,label\n1,x,,0\n?,y,007,1\n-inf,x,NA,0\n1e999,nan,2,1\n";
    let cells: Vec<TableCell> = table(text, None)
        .values
        .into_iter()
        .map(TableCell::of)
        .collect();
    let (number, word) = (TableCell::Number, TableCell::Word);
    assert_eq!(cells[..3], [number(1.0), word(0), TableCell::Missing]);
    assert_eq!(cells[3..6], [TableCell::Missing, word(1), word(2)]);
    assert_eq!(
        cells[6..9],
        [number(f64::NEG_INFINITY), word(0), TableCell::Missing]
    );
    assert_eq!(
        cells[9..],
        [number(f64::INFINITY), TableCell::Missing, number(2.0)]
    );
}

#[test]
fn other_words_for_a_missing_value() {
    let missing = TableOptions {
        missing: Some(vec!["-999".to_owned(), "none".to_owned()]),
        ..TableOptions::default()
    };
    let table = with_options("a,b,label\n-999,,0\nNA,none,1\n", &missing).unwrap();
    let cells: Vec<TableCell> = table.values.into_iter().map(TableCell::of).collect();
    let missing = TableCell::Missing;
    assert_eq!(cells, [missing, missing, TableCell::Word(0), missing]);
}

#[test]
fn rows_without_a_label_are_left_out() {
    let table = table("a,label\n1,x\n2,\n3,?\n4,y\n", None);
    assert_eq!(values(&table), (&[1.0, 4.0][..], &[0, 1][..]));
    let notice = "rows without a label are left out: 2 (the first in line 3)";
    assert_eq!(table.notices[1], notice);
    assert!(error("a,label\n1,\n2,NA\n", None).contains("expected labels, found none"));
}

#[test]
fn labels_are_names() {
    let names = |labels: &str| {
        let rows: Vec<String> = labels.split(' ').map(|l| format!("1,{l}\n")).collect();
        table(&rows.concat(), None).class_names
    };
    assert_eq!(
        names("10115 01067 -1 1 cat"),
        ["-1", "1", "01067", "10115", "cat"]
    );
    assert_eq!(names("True False True"), ["False", "True"]);
}

#[test]
fn columns_that_are_left_out_or_name_rows() {
    let mut options = options(None);
    options.drop = vec!["b".to_owned()];
    options.id = vec!["0".to_owned()];
    let table = with_options("n,a,b,label\nr1,1,2,x\nr2,3,4,y\n", &options).unwrap();
    assert_eq!(table.values, [1.0, 3.0]);
    options.drop = vec!["label".to_owned()];
    // The label is then the last of the others.
    let table = with_options("n,a,b,label\nr1,1,2,x\nr2,3,4,y\n", &options).unwrap();
    assert_eq!(table.class_names, ["2", "4"]);
    options.labels = vec!["label".to_owned()];
    let message = with_options("n,a,b,label\nr1,1,2,x\nr2,3,4,y\n", &options);
    let message = message.err().unwrap().to_string();
    assert!(message.contains("another column than a label"), "{message}");
    let twice = error("a,b,a,label\n1,2,3,0\n4,5,6,1\n", None);
    assert!(twice.contains("\"a\" twice, in columns 1 and 3"), "{twice}");
    assert!(twice.contains("--drop 0 or --drop 2"), "{twice}");
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
    let result = read(source(b"1,2,0\n3,\xff,1\n"), &options(None));
    let message = result.err().unwrap().to_string();
    assert!(
        message.contains("line 2, column 2: expected text in UTF-8"),
        "{message}"
    );
}

#[test]
fn rows_to_predict_with_and_without_labels() {
    let columns = Schema::by_position(2, None);
    let rows = |text: &str, label| read_rows(source(text.as_bytes()), &columns, &options(label));
    for (text, label) in [
        ("1,2\n3,4\n", None),
        ("a,b\n1,2\n3,4\n", None),
        ("1,2,0.5\n3,4,cat\n", None),
        ("label,a,b\n,1,2\nx,3,4\n", None),
        ("kind,a,b\n9,1,2\n9,3,4\n", Some("kind")),
        ("9,1,2\n9,3,4\n", Some("0")),
    ] {
        let samples = rows(text, label).unwrap().samples;
        let expected = Features::F64(vec![1.0, 2.0, 3.0, 4.0]);
        assert_eq!(samples.features, expected, "{text}");
        assert_eq!((samples.width, samples.labels.len()), (2, 0));
    }
    let message = rows("1,2,3,4\n", None).unwrap_err().to_string();
    assert!(
        message.contains("2 columns, or 3 with a label column, found 4"),
        "{message}"
    );
    assert!(rows("1\n", None).is_err());
}

fn known() -> Schema {
    let mut schema = Schema::by_position(2, Some("kind"));
    schema.has_names = true;
    schema.file_columns = 4;
    schema.ids = vec!["id".to_owned()];
    for (column, (name, position)) in schema.columns.iter_mut().zip([("a", 1), ("b", 3)]) {
        (column.name, column.position) = (name.to_owned(), position);
        column.treatment = Treatment::Empty;
    }
    schema
}

#[test]
fn columns_are_taken_by_name_in_any_order() {
    let rows = |text: &str| read_rows(source(text.as_bytes()), &known(), &options(None));
    let found = rows("b,more,a,id\n2,x,1,r1\n4,y,3,r2\n").unwrap();
    assert_eq!(
        found.samples.features,
        Features::F64(vec![1.0, 2.0, 3.0, 4.0])
    );
    assert_eq!(
        found.ids,
        [("id".to_owned(), vec!["r1".to_owned(), "r2".to_owned()])]
    );
    assert!(
        found.notices[0].ends_with("not used: more"),
        "{:?}",
        found.notices
    );
    // Names that could be a row of data are known from the schema.
    assert_eq!(rows("a,b\n1,2\n").unwrap().samples.len(), 1);
    let message = rows("a,kind\n1,2\n").unwrap_err().to_string();
    assert!(
        message.contains("a column \"b\", as the model was trained with, found a, kind"),
        "{message}"
    );
    let labelled = read_for(source(b"kind,b,a\nx,2,1\n"), &known(), &options(None)).unwrap();
    assert_eq!(labelled.samples.features, Features::F64(vec![1.0, 2.0]));
    assert_eq!(labelled.labels.len(), 1);
    let message = read_for(source(b"b,a\n2,1\n"), &known(), &options(None))
        .err()
        .unwrap()
        .to_string();
    assert!(message.contains("\"kind\""), "{message}");
}

#[test]
fn without_names_columns_are_taken_by_position() {
    let rows = |text: &str| read_rows(source(text.as_bytes()), &known(), &options(None));
    let expected = Features::F64(vec![1.0, 2.0, 3.0, 4.0]);
    for text in ["1,2\n3,4\n", "1,2,9\n3,4,9\n", "7,1,9,2\n8,3,9,4\n"] {
        assert_eq!(rows(text).unwrap().samples.features, expected, "{text}");
    }
    let message = rows("1,2,3,4,5\n").unwrap_err().to_string();
    assert!(
        message.contains("or 4 as in the training data, found 5"),
        "{message}"
    );
}
