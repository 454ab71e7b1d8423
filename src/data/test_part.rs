//! A data set with its test part: one of its own, a share that is set aside, or a further file.

use std::path::Path;

use super::array_parts::{load_arrays, load_test_arrays};
use super::columns::excerpt;
use super::csv::{self, LabelledTable};
use super::load::{self, Files};
use super::options::{LoadOptions, TableOptions};
use super::parts::name_of;
use super::split::stratified;
use super::table::{RowSource, Schema};
use super::test_set::TestSet;
use super::{Dataset, Task, idx_folder, locate, match_names, number_notice};
use crate::error::{Error, Result};

/// The seed of the share that is set aside: one for all runs, so that no run learns from it.
const SEED: u64 = 0;

/// Loads and checks a data set.
///
/// # Errors
/// [`Error::Missing`] if a file does not exist. [`Error::Format`] if a file does not hold what it should, with
/// place, expected and found. [`Error::Setting`] for a column that does not exist.
pub fn load(options: &LoadOptions) -> Result<Dataset> {
    load_for(options, None)
}

/// [`load()`] for a model with this schema: the columns of a table are those of the schema.
///
/// # Errors
/// As there; also if a column is missing.
pub fn load_for(options: &LoadOptions, schema: Option<&Schema>) -> Result<Dataset> {
    let mut data = load::read(options, schema)?;
    if let Some(share) = options.test_split {
        set_aside(&mut data, share, options.test)?;
    }
    match &options.test_data {
        Some(path) if options.test => add_file(&mut data, path, &options.table, schema)?,
        _ => {}
    }
    if !data.unseen.is_empty() {
        let unseen = excerpt(&data.unseen);
        let notice = "labels that no training row has count as errors, and not in the loss";
        data.notices.push(format!("{notice}: {unseen}"));
    }
    data.notices.extend(constant_targets(&data));
    Ok(data)
}

/// A notice about each number to predict that is the same in all training rows.
fn constant_targets(data: &Dataset) -> Vec<String> {
    let values = data.train.labels.values();
    let names = data.class_names.iter().enumerate();
    let is_constant = |column: usize| {
        let mut column = values.iter().skip(column).step_by(data.classes());
        let first = column.next();
        column.all(|y| Some(y) == first)
    };
    let constant =
        names.filter(|(column, _)| data.task == Task::Regression && is_constant(*column));
    let notice = |(_, name): (usize, &String)| {
        format!("\"{name}\" is the same in all rows: there is nothing to learn")
    };
    constant.map(notice).collect()
}

/// What is found where a test part may be.
#[derive(Clone, Debug)]
pub enum TestPart {
    /// The test part.
    Found(Box<TestSet>),
    /// No test part. A CSV file, which may be a pipe, has been read to its end: the whole data set.
    None(Option<Box<Dataset>>),
}

impl TestPart {
    fn of(test: Option<TestSet>) -> Self {
        test.map_or(TestPart::None(None), |test| TestPart::Found(Box::new(test)))
    }
}

/// Loads and checks the test part of a data set, for a model with this schema. The files of the other parts are read
/// only as far as the values of the test part depend on them.
///
/// # Errors
/// As [`load_for`].
pub fn load_test(options: &LoadOptions, schema: &Schema) -> Result<TestPart> {
    if let Some(path) = &options.test_data {
        let test = read_file(path, schema, &options.table)?;
        return Ok(TestPart::of(Some(test)));
    }
    if options.test_split.is_some() {
        let options = LoadOptions {
            test: true,
            ..options.clone()
        };
        let data = load_for(&options, Some(schema))?;
        return Ok(TestPart::of(Some(TestSet::of(data))));
    }
    let path = locate(options.path.as_deref())?;
    match Files::find(&path, &options.table)? {
        Files::Csv(source) => {
            let parts = load::load_csv(source, &options.table, Some(schema))?;
            Ok(TestPart::None(Some(Box::new(parts.into_dataset(path)))))
        }
        Files::Arrays(arrays) => {
            load_test_arrays(arrays, path, schema, &options.table).map(TestPart::of)
        }
        Files::Idx => idx_folder::load_test(&path).map(TestPart::of),
    }
}

/// Takes a share of the samples out of the part to learn from. If `keep`, it is the test part.
fn set_aside(data: &mut Dataset, share: f64, keep: bool) -> Result<()> {
    if data.test.is_some() {
        let message = format!(
            "expected data without a test part, found one in {}",
            data.path.display()
        );
        return Err(Error::setting("test_split", message));
    }
    let split = stratified(&data.train.labels.strata(), share, SEED);
    if split.validation.is_empty() {
        let message = format!(
            "expected a share that holds a sample, found {share} of {}",
            data.train.len()
        );
        return Err(Error::setting("test_split", message));
    }
    data.test = keep.then(|| data.train.select(&split.validation));
    data.train = data.train.select(&split.train);
    if let Some(table) = &mut data.table {
        table.test = table.train.select(&split.validation);
        table.train = table.train.select(&split.train);
    }
    data.refresh_hash();
    Ok(())
}

/// Reads the test part from a further file.
fn add_file(
    data: &mut Dataset,
    path: &Path,
    options: &TableOptions,
    schema: Option<&Schema>,
) -> Result<()> {
    if data.test.is_some() {
        let message = format!(
            "expected data without a test part, found one in {}",
            data.path.display()
        );
        return Err(Error::setting("test_data", message));
    }
    let known = match (schema, &data.table) {
        (Some(schema), _) => schema.clone(),
        (None, Some(table)) => table.unfitted(),
        (None, None) => Schema::by_position(data.train.width, None),
    };
    // The training labels say the task.
    let options = TableOptions {
        task: Some(data.task),
        ..options.clone()
    };
    let TestSet {
        mut samples,
        source,
        class_names,
        notices,
        ..
    } = read_file(path, &known, &options)?;
    let mut by_number = None;
    if data.task == Task::Classification {
        let classes = match_names(&data.class_names, &class_names);
        by_number = number_notice(&data.class_names, &class_names, &classes);
        let numbers = data.number_unseen(&class_names, &classes);
        for label in samples.labels.classes_mut() {
            *label = numbers[*label as usize];
        }
    }
    data.test = Some(samples);
    if let Some(table) = &mut data.table {
        table.test = source;
    }
    let named = |notice| format!("{}: {notice}", path.display());
    let notices = notices.into_iter().chain(by_number);
    data.notices.extend(notices.map(named));
    Ok(())
}

/// Reads all labelled rows of a file.
fn read_file(path: &Path, schema: &Schema, options: &TableOptions) -> Result<TestSet> {
    let path = locate(Some(path))?;
    match Files::find(&path, options)? {
        Files::Csv(source) => {
            let mut rows = csv::read_for(source, schema, options)?;
            let meaning = rows.label(&path, options.task_for(Some(schema)))?;
            let LabelledTable {
                samples,
                table,
                notices,
                ..
            } = rows;
            Ok(TestSet {
                samples,
                source: table.train,
                class_names: meaning.classes.names,
                image: None,
                name: name_of(&path),
                path,
                notices,
            })
        }
        Files::Arrays(arrays) => {
            let parts = load_arrays(arrays, false, options, Some(schema))?;
            Ok(TestSet {
                source: RowSource::of(&path),
                samples: parts.train,
                class_names: parts.class_names,
                image: parts.image,
                name: name_of(&path),
                path,
                notices: parts.notices,
            })
        }
        Files::Idx => {
            let message = format!(
                "expected a CSV or NPZ file, found the folder {}",
                path.display()
            );
            Err(Error::setting("test_data", message))
        }
    }
}
