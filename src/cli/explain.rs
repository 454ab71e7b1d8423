//! `explain`: every number of a training step.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::output;
use crate::data::normalize::Normalize;
use crate::data::{self, Dataset, Task};
use crate::durable;
use crate::error::{Error, Result};
use crate::explain::{Explanation, Grain, explain, output as paper, sample_data};
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
  chainrule explain --numpy step.py && python3 step.py")]
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
    write(args, &explanation)
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

fn write(args: &ExplainArgs, explanation: &Explanation) -> Result<()> {
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
        let file = folder.join("explain.html");
        write_file(&file, &paper::page(explanation))?;
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
