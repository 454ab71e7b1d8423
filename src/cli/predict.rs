//! `predict`: classes and probabilities of unlabelled rows and images.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::model::ModelArgs;
use super::output;
use crate::data::{FileKind, read_input};
use crate::durable;
use crate::error::Result;
use crate::model::{Model, Predictions};
use crate::text::{csv, table};

/// What `predict` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Rows are counted from 1. A label column in a CSV file is ignored. PNG images are read as grey values
0..255; they must have the size of the images that the model was trained on.

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
    /// Number of classes to show for each row, the most probable first
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..), allow_hyphen_values = true)]
    top: u32,
    /// Write all probabilities to a CSV file instead of printing the top classes
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct PredictReport<'a> {
    model: String,
    classes: &'a [String],
    predictions: Vec<Prediction<'a>>,
}

/// The prediction of one row.
#[derive(Debug, Serialize)]
struct Prediction<'a> {
    input: String,
    row: usize,
    class: u32,
    name: &'a str,
    probability: f64,
    probabilities: &'a [f64],
    /// What names the row, by column.
    #[serde(skip_serializing_if = "Map::is_empty")]
    ids: Map<String, Value>,
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
    let model = args.model.read()?;
    let inputs = predict(args, &model)?;
    let classes = &model.description.class_names;
    if let Some(path) = &args.out {
        durable::write(path, as_csv(&inputs, classes).as_bytes())?;
        let rows: usize = inputs.iter().map(|o| o.predictions.classes.len()).sum();
        let path = path.display();
        output::note(&format!("predictions written to {path} (rows: {rows})"));
    }
    if args.model.json {
        output::print_json(&PredictReport {
            model: args.model.name(),
            classes,
            predictions: rows(&inputs, classes).map(|(_, row)| row).collect(),
        })
    } else if args.out.is_none() {
        output::print(&in_words(&inputs, classes, args.top as usize))
    } else {
        Ok(())
    }
}

fn predict<'a>(args: &'a PredictArgs, model: &Model) -> Result<Vec<InputPredictions<'a>>> {
    let mut predictor = args.model.predictor(model)?;
    let description = &model.description;
    let options = args.model.load_options(model, None)?.table;
    let (columns, image) = (description.columns(), description.image);
    let one = |path: &'a PathBuf| {
        let (kind, rows) = read_input(path, &columns, image, &options)?;
        let rows = description.fit_rows(rows, path)?;
        for notice in &rows.notices {
            output::note(&format!("note: {}: {notice}", path.display()));
        }
        let predictions = predictor.predict(&rows.samples)?;
        Ok(InputPredictions {
            path,
            kind,
            ids: rows.ids,
            predictions,
        })
    };
    let inputs: Vec<InputPredictions<'a>> = args.inputs.iter().map(one).collect::<Result<_>>()?;
    if model.description.normalizer.is_identity() && inputs.iter().any(|o| o.kind == FileKind::Png)
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
        let predictions = &input.predictions;
        let probabilities = predictions.outputs.chunks_exact(names.len());
        let rows = predictions.classes.iter().zip(probabilities).zip(1..);
        rows.map(move |((&class, probabilities), row)| {
            let prediction = Prediction {
                input: input.path.display().to_string(),
                row,
                class,
                name: &names[class as usize],
                probability: probabilities[class as usize],
                probabilities,
                ids: input
                    .ids
                    .iter()
                    .map(|(name, texts)| (name.clone(), texts[row - 1].clone().into()))
                    .collect(),
            };
            (input, prediction)
        })
    })
}

/// One line per row: its input, then the most probable classes.
fn in_words(inputs: &[InputPredictions<'_>], names: &[String], top: usize) -> String {
    let line = |(input, row): (&InputPredictions<'_>, Prediction<'_>)| {
        let mut cells = vec![match input.kind {
            FileKind::Png => row.input,
            _ => format!("{}:{}", row.input, row.row),
        }];
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|&a, &b| row.probabilities[b].total_cmp(&row.probabilities[a]));
        let likeliest = order.iter().take(top);
        cells.extend(likeliest.map(|&c| format!("{} {:.3}", names[c], row.probabilities[c])));
        cells
    };
    let lines: Vec<Vec<String>> = rows(inputs, names).map(line).collect();
    table::align(&lines, usize::MAX)
}

/// One line per row: what names it, input, row, class, its name and probability, then the probabilities of all classes.
fn as_csv(inputs: &[InputPredictions<'_>], names: &[String]) -> String {
    let probabilities: Vec<String> = names.iter().map(|name| format!("p_{name}")).collect();
    let mut ids: Vec<&str> = Vec::new();
    for (name, _) in inputs.iter().flat_map(|input| &input.ids) {
        if !ids.contains(&name.as_str()) {
            ids.push(name);
        }
    }
    let fixed = ["input", "row", "class", "name", "probability"];
    let header = ids.iter().copied().chain(fixed);
    let header: Vec<&str> = header
        .chain(probabilities.iter().map(String::as_str))
        .collect();
    let rows = rows(inputs, names).map(|(_, row)| {
        let id = |name: &&str| {
            row.ids
                .get(*name)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        let ids: Vec<String> = ids.iter().map(id).collect();
        let fixed = [
            row.input,
            row.row.to_string(),
            row.class.to_string(),
            row.name.to_owned(),
            row.probability.to_string(),
        ];
        let probabilities = row.probabilities.iter().map(f64::to_string);
        ids.into_iter().chain(fixed).chain(probabilities)
    });
    csv::table(&header, rows)
}
