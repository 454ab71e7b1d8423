//! `predict`: what a model says of rows without labels and of images.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::model::ModelArgs;
use super::output;
use crate::data::{FileKind, Task, read_input};
use crate::durable;
use crate::error::Result;
use crate::metrics::format_in_units;
use crate::model::{Description, Model, Predictions, Predictor};
use crate::text::{csv, table};

/// What `predict` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Rows are counted from 1. A label column in a CSV file is ignored. PNG images are read as grey values
0..255; they must have the size of the images that the model was trained on. Given the folder of a
cross-validation (train --folds), the predictions of its models are averaged.

The file of --out has a header: the columns of --id, input and row; then for classes the class, its name
and probability, and p_NAME for each class; for values predicted_NAME for each; for several labels p_NAME
for each.

In the CSV file of --out a name that a spreadsheet would calculate, as =1+1, -x and @x, has an apostrophe
before it, and control characters are escaped, as in \\u{1b}. --json has names as they are.

Examples:
  chainrule predict --model runs/run-0001 boot.png sandal.png
  chainrule predict --model runs/run-0001 --top 1 rows.csv
  chainrule predict --model runs/run-0001 rows.npz --out predictions.csv")]
pub struct PredictArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Rows of values (CSV, NPY, the x of an NPZ, IDX images; plain or gzip) or PNG images
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// Number of classes or labels to show for each row, the most probable first
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..), allow_hyphen_values = true)]
    top: u32,
    /// Write all probabilities or values to a CSV file instead of printing
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The object that `--json` prints. The names are those of what the model says.
#[derive(Debug, Serialize)]
struct PredictReport<'a> {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a [String]>,
    predictions: Vec<Prediction<'a>>,
}

/// The prediction of one row.
#[derive(Debug, Serialize)]
struct Prediction<'a> {
    input: String,
    row: usize,
    #[serde(flatten)]
    said: Said<'a>,
    /// What names the row, by column.
    #[serde(skip_serializing_if = "Map::is_empty")]
    ids: Map<String, Value>,
}

/// What the model says of a row.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Class {
        class: u32,
        name: &'a str,
        probability: f64,
        probabilities: &'a [f64],
    },
    Values {
        values: &'a [f64],
    },
    Labels {
        /// Those that are more probable than not.
        labels: Vec<&'a str>,
        probabilities: &'a [f64],
    },
}

/// An input and its predictions.
struct InputPredictions<'a> {
    path: &'a Path,
    kind: FileKind,
    /// The columns that name rows, each with a text a row.
    ids: Vec<(String, Vec<String>)>,
    predictions: Predictions,
}

/// Runs the command.
pub(super) fn run(args: &PredictArgs) -> Result<()> {
    if let Some(path) = &args.out {
        output::check_output(path)?;
    }
    let models = args.model.read_all()?;
    let inputs = predict(args, &models)?;
    let Description {
        class_names: names,
        task,
        ..
    } = &models[0].description;
    let rows = || rows(&inputs, names);
    if let Some(path) = &args.out {
        durable::write(path, as_csv(&inputs, names, *task).as_bytes())?;
        let path = path.display();
        let count = rows().count();
        output::note(&format!("predictions written to {path} (rows: {count})"));
    }
    if args.model.json {
        let names_of = |wanted: Task| (wanted == *task).then_some(&names[..]);
        output::print_json(&PredictReport {
            model: args.model.name(),
            classes: names_of(Task::Classification),
            targets: names_of(Task::Regression),
            labels: names_of(Task::Multilabel),
            predictions: rows().map(|(_, row)| row).collect(),
        })
    } else if args.out.is_none() {
        output::print(&in_words(&inputs, names, args.top as usize))
    } else {
        Ok(())
    }
}

/// What the models say together.
fn predict<'a>(args: &'a PredictArgs, models: &[Model]) -> Result<Vec<InputPredictions<'a>>> {
    let first = &models[0];
    let predictors = models.iter().map(|model| args.model.predictor(model));
    let mut predictors: Vec<Predictor> = predictors.collect::<Result<_>>()?;
    let options = args.model.load_options(first, None)?.table;
    let (columns, image) = (first.description.columns(), first.description.image);
    let one = |path: &'a PathBuf| {
        let (kind, rows) = read_input(path, &columns, image, &options)?;
        let mut said = Vec::new();
        for (place, (model, predictor)) in models.iter().zip(&mut predictors).enumerate() {
            let fitted = model.description.fit_rows(rows.clone(), path)?;
            for notice in fitted.notices.iter().filter(|_| place == 0) {
                output::note(&format!("note: {}: {notice}", path.display()));
            }
            said.push(predictor.predict(&fitted.samples)?);
        }
        Ok(InputPredictions {
            path,
            kind,
            ids: rows.ids,
            predictions: Predictions::mean(said),
        })
    };
    let inputs: Vec<InputPredictions<'a>> = args.inputs.iter().map(one).collect::<Result<_>>()?;
    if first.description.normalizer.is_identity() && inputs.iter().any(|o| o.kind == FileKind::Png)
    {
        output::note("note: the model was trained on numbers as they were; pixels enter as 0..255");
    }
    Ok(inputs)
}

/// All rows, each with its input.
fn rows<'a>(
    inputs: &'a [InputPredictions<'_>],
    names: &'a [String],
) -> impl Iterator<Item = (&'a InputPredictions<'a>, Prediction<'a>)> {
    inputs.iter().flat_map(move |input| {
        let outputs = input.predictions.outputs.chunks_exact(names.len());
        outputs.enumerate().map(move |(place, outputs)| {
            let ids = input.ids.iter();
            let prediction = Prediction {
                input: input.path.display().to_string(),
                row: place + 1,
                said: Said::of(&input.predictions, place, outputs, names),
                ids: ids
                    .map(|(name, texts)| (name.clone(), texts[place].clone().into()))
                    .collect(),
            };
            (input, prediction)
        })
    })
}

impl<'a> Said<'a> {
    /// What `outputs`, those of the sample at a place, say.
    fn of(found: &Predictions, place: usize, outputs: &'a [f64], names: &'a [String]) -> Self {
        match found.task {
            Task::Classification => {
                let class = found.classes[place];
                Said::Class {
                    class,
                    name: &names[class as usize],
                    probability: outputs[class as usize],
                    probabilities: outputs,
                }
            }
            Task::Regression => Said::Values { values: outputs },
            Task::Multilabel => {
                let likely = names.iter().zip(outputs).filter(|(_, p)| **p > 0.5);
                Said::Labels {
                    labels: likely.map(|(name, _)| name.as_str()).collect(),
                    probabilities: outputs,
                }
            }
        }
    }

    /// In words: the `top` most probable classes or labels, or all values.
    fn in_words(&self, names: &[String], top: usize) -> Vec<String> {
        match self {
            Said::Values { values } => {
                let pairs = names.iter().zip(*values);
                pairs
                    .map(|(name, &y)| format!("{name} {}", format_in_units(y)))
                    .collect()
            }
            Said::Class { probabilities, .. } | Said::Labels { probabilities, .. } => {
                let mut order: Vec<usize> = (0..names.len()).collect();
                order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
                let likeliest = order.iter().take(top);
                likeliest
                    .map(|&c| format!("{} {:.3}", names[c], probabilities[c]))
                    .collect()
            }
        }
    }

    /// The columns of a CSV file that it fills.
    fn header(task: Task, names: &[String]) -> Vec<String> {
        let each = |prefix: &str| names.iter().map(|name| format!("{prefix}{name}")).collect();
        match task {
            Task::Classification => {
                let own = ["class", "name", "probability"].map(str::to_owned);
                [own.to_vec(), each("p_")].concat()
            }
            Task::Regression => each("predicted_"),
            Task::Multilabel => each("p_"),
        }
    }

    /// What it fills them with.
    fn cells(&self) -> Vec<String> {
        let (own, numbers) = match self {
            Said::Class {
                class,
                name,
                probability,
                probabilities,
            } => {
                let own = [
                    class.to_string(),
                    (*name).to_owned(),
                    probability.to_string(),
                ];
                (own.to_vec(), *probabilities)
            }
            Said::Values { values } => (Vec::new(), *values),
            Said::Labels { probabilities, .. } => (Vec::new(), *probabilities),
        };
        own.into_iter()
            .chain(numbers.iter().map(f64::to_string))
            .collect()
    }
}

/// One line per row: its input, then what the model says.
fn in_words(inputs: &[InputPredictions<'_>], names: &[String], top: usize) -> String {
    let line = |(input, row): (&InputPredictions<'_>, Prediction<'_>)| {
        let place = match input.kind {
            FileKind::Png => row.input,
            _ => format!("{}:{}", row.input, row.row),
        };
        [vec![place], row.said.in_words(names, top)].concat()
    };
    let lines: Vec<Vec<String>> = rows(inputs, names).map(line).collect();
    table::align(&lines, usize::MAX)
}

/// One line per row: what names it, input, row, and what the model says.
fn as_csv(inputs: &[InputPredictions<'_>], names: &[String], task: Task) -> String {
    let mut ids: Vec<&str> = Vec::new();
    for (name, _) in inputs.iter().flat_map(|input| &input.ids) {
        if !ids.contains(&name.as_str()) {
            ids.push(name);
        }
    }
    let said = Said::header(task, names);
    let header = ids.iter().copied().chain(["input", "row"]);
    let header: Vec<&str> = header.chain(said.iter().map(String::as_str)).collect();
    let rows = rows(inputs, names).map(|(_, row)| {
        let id = |name: &&str| {
            let text = row.ids.get(*name).and_then(Value::as_str);
            text.unwrap_or("").to_owned()
        };
        let ids: Vec<String> = ids.iter().map(id).collect();
        let place = [row.input, row.row.to_string()];
        ids.into_iter().chain(place).chain(row.said.cells())
    });
    csv::table(&header, rows)
}
