//! `explain`: every number of a training step.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::output;
use crate::data::normalize::Normalize;
use crate::data::{self, Dataset, Task, read_matrices};
use crate::durable;
use crate::error::{Error, Result};
use crate::explain::{Explanation, Grain, Mark, Quiz, explain, output as paper, sample_data};
use crate::model::tensors::TensorFile;
use crate::settings::{Config, Settings, utf8_path};

/// Hidden layers and rows where no setting says how many: so few that all numbers fit on a page.
const WIDTHS: [usize; 1] = [4];
const ROWS: usize = 4;

/// What `explain` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
explain takes the settings of train, so it can explain a step of any small run. It trains in f64 up to each step,
and writes a page with every number of it: the formula, the sum behind each cell, the gradient, the central difference,
and the function of this program that computes it. Without --data it draws a small data set, and without a width the
network has one hidden layer of 4.

Examples:
  chainrule explain --widths 4,3 --batch-norm --dropout 0.2 --optimizer adamw --batch-size 2
  chainrule explain --data iris.csv --label species --widths 4 --step 0,1,100
  chainrule explain --batch-size 2 --text
  chainrule explain --numpy step.py && python3 step.py
  chainrule explain --quiz --blank dW2,db1
  chainrule explain --quiz --answers dW2.csv")]
pub struct ExplainArgs {
    /// Read settings from a TOML file, as train does
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Start with the weights of a safetensors file
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// The updates to explain, counted from 0
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "0",
        allow_hyphen_values = true
    )]
    step: Vec<u64>,
    /// Number of features of the data that are drawn without --data
    #[arg(long, value_name = "N", default_value_t = 4, conflicts_with = "path", value_parser = clap::value_parser!(u16).range(1..=64), allow_hyphen_values = true)]
    inputs: u16,
    /// Number of their classes, labels, or numbers to predict [default: 3; 1 for regression]
    #[arg(long, value_name = "N", conflicts_with = "path", value_parser = clap::value_parser!(u16).range(1..=64), allow_hyphen_values = true)]
    classes: Option<u16>,
    /// Folder for the page, explain.html [default: explain, unless another output is asked for]
    #[arg(long, value_name = "DIR", value_parser = utf8_path())]
    out: Option<PathBuf>,
    /// Write each tensor as a CSV file into this folder
    #[arg(long, value_name = "DIR", value_parser = utf8_path())]
    csv: Option<PathBuf>,
    /// Write a numpy script that computes every number again and compares it
    #[arg(long, value_name = "FILE", value_parser = utf8_path())]
    numpy: Option<PathBuf>,
    /// Print all on standard output
    #[arg(long)]
    text: bool,
    /// One simple operation at a time, or as the engine computes; for --csv, --numpy and --text. The page has both
    #[arg(long, value_name = "GRAIN", value_enum, default_value_t = Grain::Atomic)]
    grain: Grain,
    /// Leave numbers blank on the page, to be filled in, and say what is wrong with an answer
    #[arg(long)]
    quiz: bool,
    /// The tensors to leave blank [default: dZ and the gradients of the last and the first weights]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "quiz")]
    blank: Vec<String>,
    /// Compare answers instead of writing the page: an NPZ file with arrays of these names, or dW2.csv, dW2.npy
    #[arg(long, value_name = "FILES", value_delimiter = ',', requires = "quiz", conflicts_with_all = ["out", "csv", "numpy", "text"], value_parser = utf8_path())]
    answers: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the command.
pub(super) fn run(args: &ExplainArgs) -> Result<()> {
    let lower = args
        .config
        .as_deref()
        .map(Settings::from_file)
        .transpose()?;
    let mut settings = args.settings.over(&lower.unwrap_or_default());
    let model = &mut settings.model;
    if model.width.is_none() && model.depth.is_none() && model.widths.is_none() {
        model.widths = Some(WIDTHS.to_vec());
    }
    settings.train.batch_size.get_or_insert(ROWS);
    if settings.data.path.is_none() {
        // What is drawn has two digits, and keeps them.
        settings.data.normalize.get_or_insert(Normalize::Auto);
    }
    let config = Config::new(&settings)?;
    let data = Arc::new(dataset(args, &config)?);
    let init_from = args
        .init_from
        .as_deref()
        .map(TensorFile::read)
        .transpose()?;
    let explanation = explain(&config, data, init_from.as_ref(), &args.step)?;
    let quiz = args
        .quiz
        .then(|| Quiz::new(&explanation, &names(args)?))
        .transpose()?;
    match &quiz {
        Some(quiz) if !args.answers.is_empty() => mark(quiz, &args.answers),
        quiz => write(args, &explanation, quiz.as_ref()),
    }
}

/// The tensors to leave blank: those that are asked for, or those of the files with answers.
fn names(args: &ExplainArgs) -> Result<Vec<String>> {
    if !args.blank.is_empty() {
        return Ok(args.blank.clone());
    }
    let mut names = Vec::new();
    for file in &args.answers {
        names.extend(read_matrices(file)?.into_iter().map(|matrix| matrix.name));
    }
    Ok(names)
}

/// Says of each answer whether it is right, and if not what may be wrong.
fn mark(quiz: &Quiz, files: &[PathBuf]) -> Result<()> {
    let mut wrong = 0;
    for answer in files
        .iter()
        .map(|file| read_matrices(file))
        .collect::<Result<Vec<_>>>()?
        .concat()
    {
        let Some(blank) = quiz.find(&answer.name) else {
            output::note(&format!("{}: not asked for", answer.name));
            continue;
        };
        let [rows, columns] = answer.shape;
        let verdict = blank.verdict(answer.shape, &answer.values);
        wrong += usize::from(matches!(verdict, Mark::Wrong(_)));
        let says = match verdict {
            Mark::Right => "right".to_owned(),
            Mark::RightToRounding => "right to rounding".to_owned(),
            Mark::Wrong(mistakes) if mistakes.is_empty() => {
                let [right_rows, right_columns] = blank.right().shape;
                match answer.shape == blank.right().shape {
                    true => "wrong, by no known mistake".to_owned(),
                    false => format!(
                        "wrong: expected {right_rows}×{right_columns}, found {rows}×{columns}"
                    ),
                }
            }
            Mark::Wrong(mistakes) => format!("wrong: {}", mistakes.join("; or ")),
        };
        output::print(&format!("{}: {says}\n", answer.name))?;
    }
    match wrong {
        0 => Ok(()),
        wrong => Err(Error::Check(format!("{wrong} of the answers are wrong"))),
    }
}

fn dataset(args: &ExplainArgs, config: &Config) -> Result<Dataset> {
    if config.source.path.is_some() {
        let source = data::LoadOptions {
            test: false,
            ..config.source.clone()
        };
        return data::load(&source);
    }
    let outputs = args.classes.unwrap_or(match config.task {
        Task::Regression => 1,
        Task::Classification | Task::Multilabel => 3,
    });
    if config.task == Task::Classification && outputs == 1 {
        let message = "expected at least 2 for classification (--task), found 1";
        return Err(Error::setting("--classes", message));
    }
    sample_data(config.task, args.inputs.into(), outputs.into(), config.seed)
}

fn write(args: &ExplainArgs, explanation: &Explanation, quiz: Option<&Quiz>) -> Result<()> {
    let others = args.csv.is_some() || args.numpy.is_some() || args.text;
    let default = (!others).then(|| Path::new("explain"));
    if let Some(folder) = &args.csv {
        let files = paper::csv_files(explanation, args.grain);
        let count = files.len();
        for (name, text) in files {
            write_file(&folder.join(name), &text)?;
        }
        output::note(&format!("wrote {count} files into {}", folder.display()));
    }
    if let Some(file) = &args.numpy {
        write_file(file, &paper::script(explanation, args.grain))?;
        output::note(&format!("wrote {}", file.display()));
    }
    if let Some(folder) = args.out.as_deref().or(default) {
        let file = folder.join(if quiz.is_some() {
            "quiz.html"
        } else {
            "explain.html"
        });
        write_file(&file, &paper::page(explanation, quiz))?;
        output::note(&format!("wrote {}", file.display()));
    }
    if args.text {
        output::print(&paper::text(explanation, args.grain))?;
    }
    Ok(())
}

/// Writes a file, with the folders above it.
fn write_file(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    }
    durable::write(path, text.as_bytes())
}
