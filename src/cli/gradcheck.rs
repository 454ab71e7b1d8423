//! `gradcheck`: every gradient of a network against central differences.

use std::path::PathBuf;

use std::sync::Arc;

use clap::Args;

use super::output;
use crate::backend::Backend;
use crate::backend::select::{Device, Precision};
use crate::backend::select::{OnBackend, on_backend};
use crate::data::{self, Fitted, LoadOptions, Task};
use crate::error::{Error, Result};
use crate::nn::NetworkSpec;
use crate::nn::gradcheck::{GradientReport, Options, TensorReport, gradcheck, gradcheck_on};
use crate::ops::loss::Loss;
use crate::settings::{Config, Settings, setting_error};
use crate::threads::thread_count;

/// The default number of rows of the random batch: enough for batch statistics, few enough to take seconds.
const ROWS: usize = 8;

/// What `gradcheck` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "gradcheck takes the settings of train, so it can check the network of any run. --batch-size is the number of rows of the random batch [default: 8]. Settings that do not concern the network are ignored. The exit code is 1 if a gradient is wrong.\n\nExamples:\n  chainrule gradcheck --activation gelu --depth 4\n  chainrule gradcheck --config runs/run-0001/config.toml --batch-size 8\n  chainrule gradcheck --inputs 20 --widths 16,8 --classes 3 --all\n  chainrule gradcheck --task regression --loss huber --delta 0.5 --inputs 20 --widths 16,8"
)]
pub struct GradcheckArgs {
    /// Read settings from a TOML file, as train does
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Number of inputs [default: that of --data, else 784]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_VALUES), allow_hyphen_values = true)]
    inputs: Option<u32>,
    /// Number of classes, labels, or numbers to predict [default: that of --data, else 10; 1 for regression]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_VALUES), allow_hyphen_values = true)]
    classes: Option<u32>,
    /// Number of entries to check per tensor, drawn with the seed
    #[arg(long, value_name = "N", default_value_t = 200, conflicts_with = "all", value_parser = clap::value_parser!(u32).range(1..), allow_hyphen_values = true)]
    entries: u32,
    /// Check every entry of every tensor
    #[arg(long)]
    all: bool,
    #[arg(
        long,
        value_name = "ERROR",
        value_parser = limit,
        allow_hyphen_values = true,
        help = "Largest relative error that passes [default: 1e-5; on a GPU, in f32, 1e-3]"
    )]
    limit: Option<f64>,
    /// Print one JSON object on standard output instead of the table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
}

/// The largest number of values of a sample, and of classes. A larger number is refused as a mistake.
const MAX_VALUES: i64 = 1 << 24;

/// Parses the value of `--limit`.
fn limit(text: &str) -> Result<f64, String> {
    let limit = text
        .parse::<f64>()
        .ok()
        .filter(|x| (0.0..f64::INFINITY).contains(x));
    limit.ok_or_else(|| "expected a finite number of at least 0".into())
}

/// Runs the command.
pub(super) fn run(args: GradcheckArgs) -> Result<()> {
    let lower = args
        .config
        .as_deref()
        .map(Settings::from_file)
        .transpose()?
        .unwrap_or_default();
    let settings = args.settings.over(&lower);
    let rows = settings.train.batch_size.unwrap_or(ROWS);
    let mut config = Config::new(&settings)?;
    let spec = network(&args, &mut config)?;
    let device = config.device;
    let limit = args.limit.unwrap_or(match device {
        Device::Cpu => 1e-5,
        Device::Cuda(_) => 1e-3,
    });
    let options = Options {
        rows,
        entries: (!args.all).then_some(args.entries as usize),
        seed: config.seed,
        limit,
        init: config.init,
        loss: config.loss.clone(),
        threads: thread_count(config.threads)?,
    };
    let (report, precision) = check(device, &spec, &options)?;
    if args.json {
        output::print_json(&report)?;
    } else {
        output::print(&format!(
            "{} in {precision}, {rows} rows\n\n{}",
            spec.describe(),
            table(&report)
        ))?;
    }
    if report.passed() {
        return Ok(());
    }
    let off = report
        .tensors
        .iter()
        .filter(|t| t.worst.is_none_or(|w| w.is_nan() || w > limit));
    let names: Vec<&str> = off.map(|t| t.name.as_str()).collect();
    Err(Error::Check(format!(
        "gradients are off (or could not be compared): {} above {:e}",
        names.join(", "),
        limit
    )))
}

/// The network to check: that of the data, if a path is given. The settings become those for these data.
fn network(args: &GradcheckArgs, config: &mut Config) -> Result<NetworkSpec> {
    let (inputs, outputs, embedding) = match &config.source.path {
        None if config.embedding.is_some() => {
            let message = "expected a table (--data), whose numbers are embedded, found none";
            return Err(setting_error("model.embed", message));
        }
        Some(_) => {
            let data = Arc::new(data::load(&LoadOptions {
                test: false,
                ..config.source.clone()
            })?);
            *config = config.clone().for_data(&data)?;
            let split = config.split(&data);
            let fitted = Fitted::new(data, &split.train, config.bins())?;
            let spec = config.network_for(&fitted)?;
            (spec.inputs, spec.outputs, spec.embedding)
        }
        None => (784, outputs_without_data(&config.loss), None),
    };
    if config.task == Task::Classification && args.classes == Some(1) {
        let message = "expected at least 2 for classification (--task), found 1";
        return Err(Error::setting("--classes", message));
    }
    let mut spec = config.network(
        args.inputs.map_or(inputs, |n| n as usize),
        args.classes.map_or(outputs, |n| n as usize),
    )?;
    spec.embedding = embedding.filter(|_| args.inputs.is_none());
    Ok(spec)
}

/// The outputs of a network whose data are not there: as many as the loss has weights for, if it has any.
fn outputs_without_data(loss: &Loss) -> usize {
    let weights = match loss {
        Loss::CrossEntropy(options) => &options.class_weights,
        Loss::BinaryCrossEntropy(options) => &options.positive_weights,
        Loss::MeanSquaredError | Loss::Huber(_) | Loss::MeanAbsoluteError => return 1,
    };
    weights.as_ref().map_or(10, Vec::len)
}

/// The report, and the precision of the check in words.
fn check(
    device: Device,
    spec: &NetworkSpec,
    options: &Options,
) -> Result<(GradientReport, String)> {
    match device {
        // Always f64: in f32 a wrong gradient cannot be told from rounding.
        Device::Cpu => Ok((gradcheck(spec, options)?, "f64".into())),
        device => on_backend(device, Precision::F32, 1, false, Check { spec, options }),
    }
}

/// A check on a backend.
struct Check<'a> {
    spec: &'a NetworkSpec,
    options: &'a Options,
}

impl OnBackend for Check<'_> {
    type Output = (GradientReport, String);

    fn run<B: Backend>(self, backend: B) -> Result<(GradientReport, String)> {
        let name = backend.describe();
        Ok((gradcheck_on(backend, self.spec, self.options)?, name))
    }
}

fn table(report: &GradientReport) -> String {
    let mut text = format!(
        "{:<16} {:>12} {:>8} {:>8} {:>13}  {:<12} {:>13} {:>13}\n",
        "tensor", "shape", "checked", "at kinks", "worst error", "at", "backward", "difference"
    );
    for t in &report.tensors {
        text += &row(t, report.limit);
    }
    text += if report.passed() {
        "\nevery gradient agrees"
    } else {
        "\nNOT every gradient agrees"
    };
    text += &format!(" (limit {:e})\n", report.limit);
    text
}

fn row(t: &TensorReport, limit: f64) -> String {
    let list = |sizes: &[usize]| {
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        sizes.join(",")
    };
    let Some(worst) = t.worst else {
        return format!(
            "{:<16} {:>12} {:>8} {:>8} nothing compared\n",
            t.name,
            list(&t.shape),
            0,
            t.skipped
        );
    };
    let mark = if worst <= limit {
        ""
    } else {
        "  <- above the limit"
    };
    format!(
        "{:<16} {:>12} {:>8} {:>8} {:>13.2e}  {:<12} {:>13.6e} {:>13.6e}{mark}\n",
        t.name,
        list(&t.shape),
        t.checked,
        t.skipped,
        worst,
        list(&t.at),
        t.analytic,
        t.numeric
    )
}
