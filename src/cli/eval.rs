//! `eval`: how good a model is on labelled data.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::evaluated::{Evaluated, FoundReport};
use super::model::ModelArgs;
use super::output;
use crate::data::{self, Dataset, Labels, LoadOptions, Samples, Task, TestPart, TestSet};
use crate::error::{Error, Result};
use crate::metrics::Confusion;
use crate::model::{Description, Model, Predictions, Predictor, known_rows};
use crate::text::printable::{printable, printable_path};

/// What `eval` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  chainrule eval --model runs/run-0001
  chainrule eval --model runs/run-0001 --split validation
  chainrule eval --model model.safetensors --data held-out.csv --label species --json")]
pub struct EvalArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Labelled data: a folder of IDX or NPY files, an NPZ or a CSV file, plain or gzip [default: the data set of the
    /// model's run]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Samples to evaluate; train and validation are those of the model's run and need its data set [default: test if
    /// the data have a test part, else all]
    #[arg(long, value_name = "PART")]
    split: Option<EvalPart>,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum EvalPart {
    /// The test part
    Test,
    /// The validation samples of the model's run
    Validation,
    /// The training samples of the model's run
    Train,
    /// All samples
    All,
}

impl EvalPart {
    fn in_words(self) -> &'static str {
        match self {
            EvalPart::Test => "test part",
            EvalPart::Validation => "validation part",
            EvalPart::Train => "training part",
            EvalPart::All => "all",
        }
    }
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct EvalReport {
    model: String,
    data: String,
    split: EvalPart,
    samples: usize,
    #[serde(flatten)]
    found: FoundReport,
}

/// The samples to evaluate on.
struct Selection {
    part: EvalPart,
    /// Samples, each with the rows to evaluate.
    rows: Vec<(Samples, Vec<u32>)>,
    /// Names of labels that are no class of the model.
    unseen: Vec<String>,
    /// The data set's name.
    name: String,
    /// Where the data set is.
    path: PathBuf,
    notices: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &EvalArgs) -> Result<()> {
    let model = args.model.read()?;
    // The network is loaded while the data are read.
    let (selection, predictor) = thread::scope(|scope| {
        let predictor = scope.spawn(|| args.model.predictor(&model));
        let selection = select(args, &model);
        let predictor = predictor
            .join()
            .unwrap_or_else(|cause| resume_unwind(cause));
        (selection, predictor)
    });
    let (selection, predictor) = (selection?, predictor?);
    for notice in &selection.notices {
        output::note(&format!("note: {notice}"));
    }
    let evaluated = evaluate(&model, predictor, &selection)?;
    if !args.model.json {
        return output::print(&in_words(args, &model, &selection, &evaluated)?);
    }
    let found = evaluated.report(names(&model, &selection))?;
    output::print_json(&EvalReport {
        model: args.model.name(),
        data: selection.name,
        split: selection.part,
        samples: evaluated.labels.len(),
        found,
    })
}

/// Reads the samples to evaluate on. For a test part it reads no other part.
fn select(args: &EvalArgs, model: &Model) -> Result<Selection> {
    let options = args.model.load_options(model, args.data.as_deref())?;
    select_part(args.split, model, &options).map_err(|e| match e {
        Error::Missing { path, .. } if args.data.is_none() && options.path.is_some() => {
            let hint = "the model was trained on it; say with --data where it is now".into();
            Error::Missing { path, hint }
        }
        other => other,
    })
}

/// The wanted part. Without one it is the test part, or all samples if there is no test part.
fn select_part(
    wanted: Option<EvalPart>,
    model: &Model,
    options: &LoadOptions,
) -> Result<Selection> {
    let description = &model.description;
    let columns = description.columns();
    let part = match wanted {
        None | Some(EvalPart::Test) => match data::load_test(options, &columns)? {
            TestPart::Found(test) => return select_test(description, *test),
            TestPart::None(Some(data)) if wanted.is_none() => {
                return select_other(EvalPart::All, model, *data);
            }
            TestPart::None(_) if wanted.is_some() => {
                let path = data::locate(options.path.as_deref())?;
                return Err(no_such(EvalPart::Test, &path));
            }
            TestPart::None(_) => EvalPart::All,
        },
        Some(part) => part,
    };
    let options = LoadOptions {
        test: part == EvalPart::All,
        ..options.clone()
    };
    select_other(part, model, data::load_for(&options, Some(&columns))?)
}

fn select_test(description: &Description, test: TestSet) -> Result<Selection> {
    let (test, unseen) = description.fit_test(test)?;
    Ok(Selection {
        part: EvalPart::Test,
        rows: vec![all(test.samples)],
        unseen,
        name: test.name,
        path: test.path,
        notices: test.notices,
    })
}

/// Another part than the test part.
fn select_other(part: EvalPart, model: &Model, data: Dataset) -> Result<Selection> {
    let data = model.description.fit(data)?;
    let same = data.hash == model.description.data_hash;
    let mut notices = data.notices.clone();
    let rows = match part {
        EvalPart::All | EvalPart::Test => {
            if same {
                notices.push(
                    "the model was trained on part of these samples; --split validation has others"
                        .into(),
                );
            }
            let parts = [Some(data.train), data.validation, data.test];
            parts.into_iter().flatten().map(all).collect()
        }
        EvalPart::Train | EvalPart::Validation if !same => {
            let message = format!(
                "expected the data set that the model was trained on ({}, hash {}), found {} (hash {})",
                model.description.data,
                short(&model.description.data_hash),
                data.path.display(),
                short(&data.hash)
            );
            return Err(Error::setting("split", message));
        }
        EvalPart::Train => {
            let rows = model.config()?.split(&data).train;
            vec![(data.train, rows)]
        }
        EvalPart::Validation => {
            let rows = model.config()?.split(&data).validation;
            vec![(data.validation.unwrap_or(data.train), rows)]
        }
    };
    if rows.iter().all(|(_, rows)| rows.is_empty()) {
        return Err(no_such(part, &data.path));
    }
    Ok(Selection {
        part,
        rows,
        unseen: data.unseen,
        name: data.name,
        path: data.path,
        notices,
    })
}

/// Samples with all their rows.
fn all(samples: Samples) -> (Samples, Vec<u32>) {
    let rows = (0..samples.len() as u32).collect();
    (samples, rows)
}

fn no_such(part: EvalPart, path: &Path) -> Error {
    let (part, path) = (part.in_words(), path.display());
    Error::setting("split", format!("expected a {part}, found none in {path}"))
}

/// The start of a hash: enough to tell two apart.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Evaluates a model on all samples of the parts together.
fn evaluate(model: &Model, mut predictor: Predictor, selection: &Selection) -> Result<Evaluated> {
    let (task, outputs) = (model.description.task, model.description.spec.outputs);
    if task == Task::Classification {
        // Before probabilities of so many classes take memory.
        Confusion::check_classes(outputs + selection.unseen.len())?;
    }
    let (mut loss, mut counted) = (0.0, 0);
    let (mut classes, mut values) = (Vec::new(), Vec::new());
    let mut predictions = Predictions::new(task);
    for (samples, rows) in selection.rows.iter().filter(|(_, rows)| !rows.is_empty()) {
        let (evaluation, found) = predictor.evaluate(samples, rows)?;
        let in_loss = known_rows(samples, rows, outputs).len();
        if in_loss > 0 {
            loss += evaluation.loss() * in_loss as f64;
            counted += in_loss;
        }
        let labels = samples.labels.select(rows);
        classes.extend_from_slice(labels.classes());
        values.extend_from_slice(labels.values());
        predictions.extend(found);
    }
    Ok(Evaluated {
        loss: (counted > 0).then(|| loss / counted as f64),
        labels: match task {
            Task::Classification => Labels::Classes(classes),
            Task::Regression | Task::Multilabel => Labels::Values {
                values,
                columns: outputs,
            },
        },
        predictions,
    })
}

/// The names of the model's outputs and of the labels that are none of its classes.
fn names(model: &Model, selection: &Selection) -> Vec<String> {
    [&model.description.class_names[..], &selection.unseen].concat()
}

fn in_words(
    args: &EvalArgs,
    model: &Model,
    selection: &Selection,
    evaluated: &Evaluated,
) -> Result<String> {
    let description = &model.description;
    Ok(format!(
        "model     {} (epoch {}): {}\n\
         data      {} ({}), {}: {} samples\n\
         {}",
        printable(&args.model.name()),
        description.epoch,
        description.spec.describe(),
        printable(&selection.name),
        printable_path(&selection.path),
        selection.part.in_words(),
        evaluated.labels.len(),
        evaluated.in_words(&names(model, selection))?,
    ))
}
