//! The parts of a data set of NumPy arrays.

use std::path::{Path, PathBuf};

use super::Samples;
use super::arrays::Arrays;
use super::classes::LabelColumn;
use super::columns::Columns;
use super::csv_rows::MAX_COLUMNS;
use super::label_meaning::{LabelColumns, LabelMeaning, LabelSource};
use super::npy::{NpySize, NumberType};
use super::options::TableOptions;
use super::parts::{Parts, name_of};
use super::table::{RowSource, Schema, Table, TableCell, select_columns};
use super::test_set::TestSet;
use crate::error::{Error, Result};

/// This number of bytes is always granted.
const ALWAYS: u64 = 32 << 20;

/// Reads the training and the validation part and, if asked for, the test part.
pub(super) fn load_arrays(
    mut arrays: Arrays,
    test: bool,
    options: &TableOptions,
    schema: Option<&Schema>,
) -> Result<Parts> {
    arrays.check_names()?;
    let path = arrays.path().to_owned();
    let (kept, mut notices) = common_type(&mut arrays)?;
    let mut suffixes = vec![""];
    let mut other = |suffix| arrays.has_part(suffix).then(|| suffixes.push(suffix));
    other("_val");
    test.then(|| other("_test"));
    check_memory(&mut arrays, &suffixes, kept)?;
    let train = arrays.part("", kept)?;
    notices.extend(unlabelled("x", &train.labels));
    let (image, is_table, width) = (train.image, train.is_table, train.samples.width);
    let table = match (is_table, schema) {
        (false, _) => None,
        (true, Some(_)) => Some(Table::at(&path)),
        (true, None) => Some(array_table(&path, width, options)?),
    };
    if is_table && schema.is_none() && options.missing.is_some() {
        let message = "only a CSV file has words for missing values; in an array they are NaN";
        return Err(Error::setting("missing", message));
    }
    if !is_table && schema.is_none() && !options.names_no_column() {
        let found = format!("pictures in {}", path.display());
        let message = format!("only a table has columns to drop or to treat, found {found}");
        return Err(Error::setting("data", message));
    }
    let positions: Option<Vec<usize>> = match (schema, &table) {
        (Some(schema), _) => Some(schema.positions()),
        (None, Some(table)) => Some(table.columns.iter().map(|c| c.position).collect()),
        (None, None) => None,
    };
    let all = schema.map_or(width, |schema| schema.file_columns);
    let select = |samples: Samples| match &positions {
        Some(positions) => select_columns(samples, positions, all, &path),
        None => Ok(samples),
    };
    let is_own_table = is_table && schema.is_none();
    let room = label_room(arrays.size("x")?.stored(), &train.labels);
    let source = LabelSource::of_array(&path, "y", is_own_table, room);
    let wanted = options.task_for(schema);
    let (mut meaning, train_labels) =
        LabelMeaning::of(label_columns(train.labels, source), wanted)?;
    let mut other = |suffix: &str| -> Result<Option<Samples>> {
        if !suffixes.contains(&suffix) {
            return Ok(None);
        }
        let part = arrays.part(suffix, kept)?;
        let room = label_room(arrays.size(&format!("x{suffix}"))?.stored(), &part.labels);
        notices.extend(unlabelled(&format!("x{suffix}"), &part.labels));
        if part.samples.width != width {
            return Err(Error::shape(
                format!("x{suffix}"),
                format!("{width} values a sample, as in x"),
                part.samples.width.to_string(),
            ));
        }
        if !is_table {
            part.samples.check_values(width)?;
        }
        let y = format!("y{suffix}");
        let source = LabelSource::of_array(&path, &y, is_own_table, room);
        let labels = meaning.read(label_columns(part.labels, source))?;
        Ok(Some(Samples {
            labels,
            ..select(part.samples)?
        }))
    };
    let (validation, test) = (other("_val")?, other("_test")?);
    let weights = table.as_ref().and_then(|table| table.weight.clone());
    let weights = weights.map(|column| weights_in(&train.samples, &column, &path));
    Ok(Parts {
        train: Samples {
            labels: train_labels,
            weights: weights.transpose()?,
            ..select(train.samples)?
        },
        validation,
        test,
        task: meaning.task,
        class_names: meaning.classes.names,
        unseen: meaning.classes.unseen,
        image,
        table,
        name: None,
        notices,
    })
}

/// The bytes that labels may take as numbers: so many that all arrays together take at most four times what they take
/// in the file, and some more. A label takes a byte there, or more.
fn label_room(samples: u64, labels: &[LabelColumn]) -> u64 {
    let stored = labels
        .iter()
        .map(|column| column.rows() as u64)
        .sum::<u64>();
    3 * (samples + stored) + ALWAYS
}

/// Columns of labels that are called y, or y0, y1 and so on.
fn label_columns(columns: Vec<LabelColumn>, source: LabelSource<'_>) -> LabelColumns<'_> {
    let names = match columns.len() {
        1 => vec!["y".to_owned()],
        count => (0..count).map(|column| format!("y{column}")).collect(),
    };
    LabelColumns {
        columns,
        names,
        source,
    }
}

/// The weights in a column of x.
fn weights_in(samples: &Samples, column: &str, path: &Path) -> Result<Vec<f64>> {
    let column: usize = column.parse().expect("a column of an array is a number");
    let weights: Vec<f64> = (0..samples.len())
        .map(|row| TableCell::at(&samples.features, row * samples.width + column).value())
        .collect();
    let is_weight = |x: &f64| x.is_finite() && *x >= 0.0;
    let (place, found) = match weights.iter().position(|x| !is_weight(x)) {
        Some(row) => (
            format!("array x, row {row}, column {column}"),
            weights[row].to_string(),
        ),
        None if weights.iter().all(|&x| x == 0.0) => (
            format!("array x, column {column}"),
            "0 in all rows".to_owned(),
        ),
        None => return Ok(weights),
    };
    let expected = "weights: numbers from 0 on, one above 0";
    Err(Error::format(
        path,
        place,
        expected,
        format!("{found} (--weight)"),
    ))
}

/// A notice about rows without a label, which are left out.
fn unlabelled(x: &str, labels: &[LabelColumn]) -> Option<String> {
    let missing = labels.first()?.missing();
    let (first, count) = (missing.first()?, missing.len());
    Some(format!(
        "rows of {x} without a label are left out: {count} (the first at position {first})"
    ))
}

/// The table that an array of this width is.
fn array_table(path: &Path, width: usize, options: &TableOptions) -> Result<Table> {
    if width > MAX_COLUMNS {
        let expected = format!("at most {MAX_COLUMNS} columns in a table");
        return Err(Error::format(path, "array x", expected, width.to_string()));
    }
    let columns = Columns {
        path: path.to_owned(),
        names: None,
        count: width,
    };
    let roles = columns.features_alone(options)?;
    Ok(Table {
        columns: columns.table_columns(&roles, options)?,
        ids: roles.ids.iter().map(|&id| columns.name(id)).collect(),
        weight: roles.weight.map(|weight| columns.name(weight)),
        file_columns: width,
        ..Table::at(path)
    })
}

/// Loads the test part, in the number type that it has if the other parts are loaded too.
pub(super) fn load_test_arrays(
    mut arrays: Arrays,
    path: PathBuf,
    schema: &Schema,
    options: &TableOptions,
) -> Result<Option<TestSet>> {
    arrays.check_names()?;
    if !arrays.has_part("_test") {
        return Ok(None);
    }
    let (kept, _) = common_type(&mut arrays)?;
    check_memory(&mut arrays, &["_test"], kept)?;
    let part = arrays.part("_test", kept)?;
    let room = label_room(arrays.size("x_test")?.stored(), &part.labels);
    let samples = schema.select(part.samples, &path)?;
    let notices = unlabelled("x_test", &part.labels);
    let source = LabelSource::of_array(&path, "y_test", false, room);
    let columns = label_columns(part.labels, source);
    let (meaning, labels) = LabelMeaning::of(columns, options.task_for(Some(schema)))?;
    Ok(Some(TestSet {
        samples: Samples { labels, ..samples },
        notices: notices.into_iter().collect(),
        source: RowSource::of(&path),
        class_names: meaning.classes.names,
        image: part.image,
        name: name_of(&path),
        path,
    }))
}

/// The wider number type of the training and the validation part, in which all parts are kept, and what the user
/// should know about it.
fn common_type(arrays: &mut Arrays) -> Result<(NumberType, Vec<String>)> {
    let train = arrays.size("x")?.number_type;
    if !arrays.has_part("_val") {
        return Ok((train, Vec::new()));
    }
    let validation = arrays.size("x_val")?.number_type;
    let notice = format!("x is {train}, x_val is {validation}: both are kept in the wider type");
    let notices = (train != validation).then_some(notice);
    Ok((train.max(validation), notices.into_iter().collect()))
}

/// Refuses parts that would take a multiple of their size if they were kept in a much wider number type.
fn check_memory(arrays: &mut Arrays, suffixes: &[&str], kept: NumberType) -> Result<()> {
    let sizes = suffixes
        .iter()
        .map(|suffix| arrays.size(&format!("x{suffix}")));
    let sizes: Vec<NpySize> = sizes.collect::<Result<_>>()?;
    let sum = |bytes: &dyn Fn(&NpySize) -> u64| {
        sizes
            .iter()
            .fold(0, |sum: u64, size| sum.saturating_add(bytes(size)))
    };
    let widened = sizes.iter().any(|size| size.number_type < kept);
    let (stored, needed) = (sum(&NpySize::stored), sum(&|size| size.needed(kept)));
    if widened && needed > stored.saturating_mul(4).saturating_add(ALWAYS) {
        return Err(Error::shape(
            "x, x_val and x_test",
            "arrays of one number type",
            format!("several, which would take {needed} bytes in place of {stored} as {kept}"),
        ));
    }
    Ok(())
}
