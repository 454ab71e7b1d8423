//! `eval`: how good a model is on labelled data.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::model::ModelArgs;
use super::output;
use crate::backend::select::Device;
use crate::data::{self, Dataset, FileKind, LoadOptions, Samples, file_kind};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::{
    metrics::{Confusion, Score, Scores},
    statistics::{Interval, wilson},
    text::table,
};

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
    /// Labelled data: a folder of IDX or NPY files, an NPZ or a CSV file, plain or gzip [default: what the model was trained on]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Which samples; train and validation are those of the model's run and need its data set [default: test if there is a test part, else all]
    #[arg(long, value_name = "PART")]
    split: Option<Part>,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// The test part
    Test,
    /// The samples that the model's run validated on
    Validation,
    /// The samples that the model's run learnt from
    Train,
    /// Every sample that there is
    All,
}

impl Part {
    fn in_words(self) -> &'static str {
        match self {
            Part::Test => "test part",
            Part::Validation => "validation part",
            Part::Train => "training part",
            Part::All => "all",
        }
    }
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    data: String,
    split: Part,
    samples: u64,
    accuracy: f64,
    accuracy_interval: Interval,
    loss: f64,
    classes: Vec<ClassScore>,
    macro_average: Score,
    weighted_average: Score,
    confusion: Vec<Vec<u64>>,
}

#[derive(Debug, Serialize)]
struct ClassScore {
    name: String,
    #[serde(flatten)]
    score: Score,
}

/// Some rows of some samples.
type Rows<'a> = (&'a Samples, Vec<u32>);

/// Runs the command.
pub(super) fn run(args: &EvalArgs) -> Result<()> {
    let model = args.model.read()?;
    let description = &model.description;
    let data = description.fit(load(args, &model)?)?;
    for notice in &data.notices {
        output::note(&format!("note: {notice}"));
    }
    let (part, rows) = select(args.split, &model, &data)?;
    let threads = args.model.threads()?;
    let (loss, confusion) = evaluate(&model, args.model.device, threads, &rows)?;
    let scores = Scores::new(&confusion);
    if !args.model.json {
        return output::print(&in_words(args, &model, &data, part, loss, &confusion)?);
    }
    let names = description.class_names.iter().cloned();
    output::print_json(&Report {
        model: args.model.name(),
        data: data.name,
        split: part,
        samples: confusion.total(),
        accuracy: scores.accuracy,
        accuracy_interval: wilson(confusion.correct(), confusion.total()),
        loss,
        classes: names
            .zip(scores.classes)
            .map(|(name, score)| ClassScore { name, score })
            .collect(),
        macro_average: scores.macro_average,
        weighted_average: scores.weighted_average,
        confusion: (0..confusion.classes())
            .map(|class| confusion.row(class).to_vec())
            .collect(),
    })
}

fn load(args: &EvalArgs, model: &Model) -> Result<Dataset> {
    let settings = &model.description.settings.data;
    let path = args.data.as_deref().or(settings.path.as_deref());
    // The run's label column is also that of another table, but means nothing to a folder.
    let with_label = args.model.names_label() || args.data.as_deref().is_none_or(is_csv);
    let loaded = data::load(&LoadOptions {
        path,
        label: args.model.label(model).filter(|_| with_label),
        test: matches!(args.split, None | Some(Part::Test | Part::All)),
    });
    loaded.map_err(|e| match e {
        Error::Missing { path, .. } if args.data.is_none() && settings.path.is_some() => {
            let hint = "the model was trained on it; say with --data where it is now".into();
            Error::Missing { path, hint }
        }
        other => other,
    })
}

fn is_csv(path: &Path) -> bool {
    path.is_file() && matches!(file_kind(path), Ok(FileKind::Csv))
}

/// The samples to evaluate on, and what they are.
fn select<'a>(
    wanted: Option<Part>,
    model: &Model,
    data: &'a Dataset,
) -> Result<(Part, Vec<Rows<'a>>)> {
    let all = |samples: &'a Samples| (samples, (0..samples.len() as u32).collect());
    let same = data.hash == model.description.data_hash;
    let part = match (wanted, &data.test) {
        (Some(part), _) => part,
        (None, Some(_)) => Part::Test,
        (None, None) => Part::All,
    };
    let rows = match part {
        Part::Test => data.test.iter().map(all).collect(),
        Part::All => {
            if same {
                output::note(
                    "note: the model was trained on part of these samples; --split validation has others",
                );
            }
            let parts = [
                Some(&data.train),
                data.validation.as_ref(),
                data.test.as_ref(),
            ];
            parts.into_iter().flatten().map(all).collect()
        }
        Part::Train | Part::Validation if !same => {
            let message = format!(
                "expected the data set that the model was trained on ({}, hash {}), found {} (hash {})",
                model.description.data,
                short(&model.description.data_hash),
                data.path.display(),
                short(&data.hash)
            );
            return Err(Error::setting("split", message));
        }
        Part::Train => vec![(&data.train, model.config()?.split(data).train)],
        Part::Validation => {
            let samples = data.validation.as_ref().unwrap_or(&data.train);
            vec![(samples, model.config()?.split(data).validation)]
        }
    };
    if rows.iter().all(|(_, rows): &Rows<'_>| rows.is_empty()) {
        let message = format!(
            "expected a {}, found none in {}",
            part.in_words(),
            data.path.display()
        );
        return Err(Error::setting("split", message));
    }
    Ok((part, rows))
}

/// The start of a hash: enough to tell two apart.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Mean cross-entropy, and who was taken for what.
fn evaluate(
    model: &Model,
    device: Device,
    threads: usize,
    parts: &[Rows<'_>],
) -> Result<(f64, Confusion)> {
    let mut classifier = model.classifier(device, threads)?;
    let (mut loss, mut labels, mut classes) = (0.0, Vec::new(), Vec::new());
    for (samples, rows) in parts {
        let (evaluation, found) = classifier.evaluate(samples, rows)?;
        loss += evaluation.loss * rows.len() as f64;
        labels.extend(rows.iter().map(|&row| samples.labels[row as usize]));
        classes.extend(found);
    }
    let confusion = Confusion::new(model.description.spec.classes, &labels, &classes)?;
    Ok((loss / labels.len() as f64, confusion))
}

fn in_words(
    args: &EvalArgs,
    model: &Model,
    data: &Dataset,
    part: Part,
    loss: f64,
    confusion: &Confusion,
) -> Result<String> {
    let (description, names) = (&model.description, &model.description.class_names);
    let scores = Scores::new(confusion);
    let Interval { low, high } = wilson(confusion.correct(), confusion.total());
    Ok(format!(
        "model     {} (epoch {}): {}\n\
         data      {} ({}), {}: {} samples\n\
         accuracy  {:.4} (95 % interval {low:.4} to {high:.4})\n\
         loss      {loss:.4}\n\n{}\n{}",
        args.model.name(),
        description.epoch,
        description.spec.describe(),
        data.name,
        data.path.display(),
        part.in_words(),
        confusion.total(),
        scores.accuracy,
        table::scores(&scores, names)?,
        table::confusion(confusion, names)?,
    ))
}
