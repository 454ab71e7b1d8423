//! Schemas, fitted on some rows of a table and applied to others.

use super::*;
use crate::data::Features;
use crate::error::Result;

/// A table of cells as a CSV file has them, one text a row.
fn table(names: &str, rows: &[&str]) -> (Table, Samples) {
    let columns = names
        .split(',')
        .enumerate()
        .map(|(position, name)| TableColumn {
            name: name.to_owned(),
            position,
            wanted: None,
        });
    let mut words = WordCollector::default();
    let mut values = Vec::new();
    for cell in rows.iter().flat_map(|row| row.split(',')) {
        let cell = match cell.parse() {
            _ if cell.is_empty() => TableCell::Missing,
            Ok(number) if cell == "0" || !cell.starts_with('0') || cell.contains('.') => {
                TableCell::Number(number)
            }
            _ => TableCell::Word(words.code(cell)),
        };
        values.push(cell.value());
    }
    let columns: Vec<TableColumn> = columns.collect();
    let samples = Samples {
        width: columns.len(),
        labels: vec![0; rows.len()].into(),
        weights: None,
        features: Features::F64(values),
    };
    let table = Table {
        columns,
        has_names: true,
        train: RowSource {
            path: "t.csv".into(),
            lines: lines(rows.len()),
            words: words.finish(),
        },
        ..Table::default()
    };
    (table, samples)
}

/// Rows from line 2 on.
fn lines(rows: usize) -> RowLines {
    let mut lines = RowLines::default();
    (2..).take(rows).for_each(|line| lines.push(line));
    lines
}

fn fit(names: &str, rows: &[&str]) -> Result<(Schema, Vec<String>)> {
    let (table, samples) = table(names, rows);
    Schema::fit(&table, &samples, &all(rows), None)
}

fn all(rows: &[&str]) -> Vec<u32> {
    (0..rows.len() as u32).collect()
}

/// The treatment of a table's only column.
fn treatment(rows: &[&str]) -> Treatment {
    let (schema, _) = fit("x", rows).unwrap();
    schema.columns[0].treatment.clone()
}

fn category(categories: &[&str], missing: bool) -> Treatment {
    Treatment::Category {
        categories: categories.iter().map(|&name| name.to_owned()).collect(),
        missing,
    }
}

fn number(median: f64, missing: bool) -> Treatment {
    Treatment::Number {
        median: Some(median),
        missing,
        edges: Vec::new(),
    }
}

#[test]
fn kinds_follow_from_the_cells() {
    assert_eq!(treatment(&["1", "2.5", "4"]), number(2.5, false));
    assert_eq!(treatment(&["1", "", "4", "2"]), number(2.0, true));
    assert_eq!(treatment(&["1", "4"]), number(2.5, false));
    let boolean = |median, missing| Treatment::Boolean { median, missing };
    assert_eq!(treatment(&["True", "no", "FALSE"]), boolean(0.0, false));
    assert_eq!(treatment(&["yes", "", "yes", "no"]), boolean(1.0, true));
    assert_eq!(treatment(&["b", "a", "b"]), category(&["a", "b"], false));
    assert_eq!(treatment(&["b", "", "a"]), category(&["a", "b"], true));
    assert_eq!(
        treatment(&["007", "12", "007"]),
        category(&["12", "007"], false)
    );
    assert_eq!(treatment(&["007", "1.5"]), number(4.25, false));
    assert_eq!(
        treatment(&["12345678901234567", "1"]),
        number(6172839450617284.0, false)
    );
    assert_eq!(treatment(&["true", "1"]), category(&["1", "true"], false));
}

#[test]
fn words_among_numbers() {
    let few = fit("x", &["0", "1", "2", "3+", "1"]).unwrap();
    assert_eq!(
        few.0.columns[0].treatment,
        category(&["0", "1", "2", "3+"], false)
    );
    assert!(
        few.1[0].contains("\"3+\"") && few.1[0].contains("--numeric x"),
        "{:?}",
        few.1
    );
    let mut rows: Vec<String> = (0..30).map(|i| i.to_string()).collect();
    rows[7] = "unknown".to_owned();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let error = fit("x", &rows).unwrap_err().to_string();
    for part in [
        "t.csv: line 9, column 1 (x)",
        "\"unknown\"",
        "--missing",
        "--categorical x",
        "--drop x",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let prices: Vec<String> = (0..30).map(|i| format!("${i}.5")).collect();
    let prices: Vec<&str> = prices.iter().map(String::as_str).collect();
    assert!(fit("price", &prices).is_err());
}

#[test]
fn columns_that_cannot_be_features() {
    let error = |rows: &[&str]| fit("x", rows).unwrap_err().to_string();
    let dates = error(&["2020-01-31", "2020-02-01"]);
    assert!(
        dates.contains("line 2, column 1 (x)") && dates.contains("--drop x"),
        "{dates}"
    );
    let infinite = error(&["1", "-inf"]);
    assert!(
        infinite.contains("line 3") && infinite.contains("finite"),
        "{infinite}"
    );
    let names: Vec<String> = (0..1001).map(|i| format!("n{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = error(&names);
    assert!(
        many.contains("1001 in column \"x\"") && many.contains("--drop x"),
        "{many}"
    );
    assert_eq!(
        error(&["", ""]),
        "t.csv: columns: expected a feature with values, found none"
    );
    let (schema, notices) = fit("x,y", &[",1", ",2"]).unwrap();
    assert_eq!(
        (schema.columns[0].treatment.clone(), schema.inputs()),
        (Treatment::Empty, 1)
    );
    assert!(notices[0].contains("column \"x\""), "{notices:?}");
}

#[test]
fn kinds_that_the_user_says() {
    let (mut table, samples) = table("x,y", &["1,07", "2,08", "1,x"]);
    table.columns[0].wanted = Some(WantedKind::Category);
    table.columns[1].wanted = Some(WantedKind::Number);
    let (schema, _) = Schema::fit(&table, &samples, &[0, 1], None).unwrap();
    assert_eq!(schema.columns[0].treatment, category(&["1", "2"], false));
    assert_eq!(schema.columns[1].treatment, number(7.5, false));
    let error = Schema::fit(&table, &samples, &[0, 2], None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 4, column 2 (y): expected a number, found \"x\""),
        "{error}"
    );
}

/// Whatever other rows hold, the schema is the same.
#[test]
fn no_statistic_sees_other_rows() {
    let training = ["1,a,true,", "2,b,no,5", "9,a,yes,6", ",b,no,7"];
    let (schema, notices) = fit("n,c,b,m", &training).unwrap();
    for others in [
        ["1000,z,maybe,x", "-inf,,,"],
        ["7,q,,1e300", "x,2020-01-01,3,"],
    ] {
        let rows = [
            others[0],
            training[0],
            training[1],
            others[1],
            training[2],
            training[3],
        ];
        let (table, samples) = table("n,c,b,m", &rows);
        let found = Schema::fit(&table, &samples, &[1, 2, 4, 5], None).unwrap();
        assert_eq!(found, (schema.clone(), notices.clone()));
        let binned = |rows: &[u32], table, samples| {
            let (schema, _) = Schema::fit(table, samples, rows, Some(3)).unwrap();
            schema
        };
        let (own, of_own) = self::table("n,c,b,m", &training);
        let expected = binned(&[0, 1, 2, 3], &own, &of_own);
        assert_eq!(binned(&[1, 2, 4, 5], &table, &samples), expected);
    }
}

/// Bins at the quantiles of the numbers, the missing one taken for the median first.
#[test]
fn numbers_fill_bins() {
    let (table, samples) = table("n,k,c", &["0,4,a", "1,4,b", ",4,a", "3,4,b", "9,4,a"]);
    let (schema, _) = Schema::fit(&table, &samples, &[0, 1, 2, 3, 4], Some(4)).unwrap();
    let edges = |column: usize| match &schema.columns[column].treatment {
        Treatment::Number { edges, .. } => edges.clone(),
        other => panic!("{other:?}"),
    };
    // The median of 0, 1, 3 and 9 is 2: quantiles of 0, 1, 2, 3, 9.
    assert_eq!(edges(0), [0.0, 1.0, 2.0, 3.0, 9.0]);
    assert_eq!(edges(1), [4.0]);
    assert_eq!(schema.binned_inputs(), [0..4, 5..6]);
    assert_eq!(schema.scaled(), [false; 8]);
    let (encoded, _) = schema.encode(&samples, &table.train).unwrap();
    let Features::F64(values) = encoded.unwrap().features else {
        panic!("not f64")
    };
    let rows: Vec<&[f64]> = values.chunks(8).collect();
    assert_eq!(rows[0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(rows[2], [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(rows[3], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(rows[4], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    let json = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
    schema.check().unwrap();
}

/// Bins as narrow as numbers allow have finite inputs for the training rows. Other rows may lie too far outside.
#[test]
fn numbers_too_far_from_narrow_bins_are_refused() {
    let (fitted, samples) = table("a", &["0", "5e-324", "1e-300", "1"]);
    let (schema, _) = Schema::fit(&fitted, &samples, &[0, 1], Some(8)).unwrap();
    let encode = |part: &Samples| schema.encode(part, &fitted.train);
    let within = Samples {
        features: Features::F64(vec![0.0, 5e-324]),
        ..samples.clone()
    };
    let encoded = encode(&within).unwrap().0.unwrap();
    assert_eq!(encoded.features, Features::F64(vec![0.0, 1.0]));
    let error = encode(&samples).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let error = error.to_string();
    assert!(
        error.contains("line 5") && error.contains("found 1 "),
        "{error}"
    );
    // What f64 holds, f32 may not.
    let single = |x: f32| Samples {
        features: Features::F32(vec![x; 4]),
        ..samples.clone()
    };
    let (schema, _) = Schema::fit(&fitted, &samples, &[0, 2], Some(8)).unwrap();
    let encode = |part: &Samples| schema.encode(part, &fitted.train);
    assert!(encode(&single(1e7)).is_err());
    let mut double = single(0.0);
    double.features = Features::F64(vec![0.0, 1e-300, 0.0, 1e7]);
    assert!(encode(&double).is_ok());
}

#[test]
fn cells_become_numbers() {
    let (schema, _) = fit("n,c,b,k", &["1,red,yes,4", ",blue,no,5", "3,,yes,6"]).unwrap();
    assert_eq!(schema.inputs(), 2 + 3 + 1 + 1);
    let scaled = [true, false, false, false, false, false, true];
    assert_eq!(schema.scaled(), scaled);
    let (table, samples) = table("n,c,b,k", &["7,red,no,1", ",green,YES,2", "8,,,"]);
    let (encoded, notices) = schema.encode(&samples, &table.train).unwrap();
    let expected = [
        [7.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0],
        [2.0, 1.0, 0.0, 0.0, 0.0, 1.0, 2.0],
        [8.0, 0.0, 0.0, 0.0, 1.0, 1.0, 5.0],
    ];
    assert_eq!(encoded.unwrap().features, Features::F64(expected.concat()));
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert!(notices[0].contains("\"green\""), "{notices:?}");
    assert!(
        notices[1].contains("column \"b\": 1 row without a value"),
        "{notices:?}"
    );
}

#[test]
fn cells_that_do_not_fit_the_schema() {
    let (schema, _) = fit("n,b", &["1,yes", "2,no"]).unwrap();
    let error = |row: &str| {
        let (table, samples) = table("n,b", &["1,no", row]);
        schema
            .encode(&samples, &table.train)
            .unwrap_err()
            .to_string()
    };
    assert!(error("word,no").contains("line 3, column 1 (n): expected a number, found \"word\""));
    assert!(error("inf,no").contains("line 3, column 1 (n): expected a finite number"));
    assert!(error("1,maybe").contains("line 3, column 2 (b): expected true, false"));
    assert!(error("1,2").contains("found 2"));
}

#[test]
fn numbers_without_holes_stay_where_they_are() {
    let (schema, _) = fit("a,b", &["1,2", "3,4"]).unwrap();
    let (table, samples) = table("a,b", &["5,6"]);
    assert_eq!(schema.encode(&samples, &table.train).unwrap().0, None);
    let holes = Samples {
        features: Features::F32(vec![f32::NAN, 1.0]),
        width: 2,
        labels: Vec::new().into(),
        weights: None,
    };
    let (encoded, notices) = schema.encode(&holes, &RowSource::default()).unwrap();
    assert_eq!(encoded.unwrap().features, Features::F32(vec![2.0, 1.0]));
    assert_eq!(notices.len(), 1);
    let older = Schema::by_position(2, None);
    let error = older
        .encode(&holes, &RowSource::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("sample 0, feature 0: expected a number"),
        "{error}"
    );
}

#[test]
fn columns_that_name_rows_are_noticed() {
    let notices = |column: &dyn Fn(u32) -> String| {
        let rows: Vec<String> = (0..12).map(column).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        fit("x", &rows).unwrap().1
    };
    assert!(notices(&|i| (i + 5).to_string())[0].contains("counts the rows"));
    assert!(notices(&|i| (i * i).to_string())[0].contains("another value in every row"));
    assert!(notices(&|i| format!("n{i}"))[0].contains("--drop x (or --id x)"));
    assert!(notices(&|i| format!("{i}.5")).is_empty());
    assert!(notices(&|i| (i / 2).to_string()).is_empty());
}
