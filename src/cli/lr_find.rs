//! `lr-find`: the learning-rate range test.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use serde::Serialize;

use super::interrupt::interrupt_flag;
use super::output;
use crate::backend::select::check_device;
use crate::data;
use crate::error::Result;
use crate::model::tensors::TensorFile;
use crate::report;
use crate::settings::{Settings, flags, quoted, setting_error, utf8_path};
use crate::text::number::number;
use crate::text::printable::printable_path;
use crate::train::{RangeTest, RangeTestEnd, RangeTestOptions, RunOptions, lr_find};

/// Characters of the curve on a terminal.
const COLUMNS: usize = 60;

/// What `lr-find` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The network is trained with a rate that rises by the same factor from batch to batch (Smith 2017, \"Cyclical Learning
Rates\", section 3.3). Where the smoothed loss falls fastest is the suggestion, as in Lightning's lr_find. Take it as a
start: try a rate three times as large and a third of it too. The settings are those of train; its rate, schedule,
epochs and patience have no part in the test. Nothing is written without --out.

Examples:
  chainrule lr-find
  chainrule lr-find --optimizer sgd --momentum 0.9 --max-lr 10 --out lr-find
  chainrule lr-find --data houses.csv --label price --task regression --json")]
pub struct LrFindArgs {
    /// Read settings from a TOML file, as train does
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The first rate
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 1e-8,
        allow_hyphen_values = true
    )]
    min_lr: f64,
    /// The last rate
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 1.0,
        allow_hyphen_values = true
    )]
    max_lr: f64,
    /// Updates from the first to the last rate, at least 20
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        allow_hyphen_values = true
    )]
    steps: u32,
    /// Stop once the smoothed loss is this many times the best
    #[arg(
        long,
        value_name = "FACTOR",
        default_value_t = 4.0,
        allow_hyphen_values = true
    )]
    early_stop_threshold: f64,
    /// How much of the average of the losses before stays in it with each batch, in 0..1
    #[arg(
        long,
        value_name = "BETA",
        default_value_t = 0.98,
        allow_hyphen_values = true
    )]
    smoothing: f64,
    /// Start with the weights of a safetensors file, as train does
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// Write a page with the curve, and the curve as SVG and CSV, to this folder [default: nothing is written]
    #[arg(long, value_name = "DIR", value_parser = utf8_path())]
    out: Option<PathBuf>,
    /// Print only one JSON object, at the end, on standard output
    #[arg(long)]
    json: bool,
    /// Say nothing but the result
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    settings: Settings,
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct RangeTestReport<'a> {
    #[serde(flatten)]
    test: &'a RangeTest,
    /// How to train with the suggestion.
    command: Option<String>,
    /// The page that was written.
    page: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &LrFindArgs) -> Result<()> {
    if args.settings.optimizer.lr.is_some() {
        let message = "expected none: lr-find looks for it, from --min-lr to --max-lr";
        return Err(setting_error("optimizer.lr", message));
    }
    let lower = match &args.config {
        Some(file) => Settings::from_file(file)?,
        None => Settings::default(),
    };
    let init_from = args
        .init_from
        .as_deref()
        .map(TensorFile::read)
        .transpose()?;
    let run_options = RunOptions {
        init_from: init_from.as_ref(),
        ..RunOptions::default()
    };
    let options = RangeTestOptions {
        min_lr: args.min_lr,
        max_lr: args.max_lr,
        steps: args.steps,
        early_stop_threshold: args.early_stop_threshold,
        smoothing: args.smoothing,
    };
    let interrupt = interrupt_flag()?;
    let load = |config: &crate::settings::Config| {
        check_device(config.device)?;
        let data = Arc::new(data::load(&config.source)?);
        if !args.quiet {
            output::note(&format!(
                "{}: up to {} updates, the rate from {} to {}",
                data.name,
                args.steps,
                number(args.min_lr),
                number(args.max_lr)
            ));
        }
        Ok(data)
    };
    let test = lr_find(
        &args.settings.over(&lower),
        &options,
        load,
        &run_options,
        &|| interrupt.load(Ordering::Relaxed),
    )?;
    let command = test.suggestion.map(|lr| args.command(lr));
    let result = result(&test);
    let page = match &args.out {
        None => None,
        Some(out) => Some(report::write_range_test(
            out,
            &test,
            &result,
            command.as_deref(),
        )?),
    };
    if args.json {
        return output::print_json(&RangeTestReport {
            test: &test,
            command,
            page,
        });
    }
    let mut text = curve(&test) + &result + "\n";
    if let Some(command) = command {
        text += &format!("try: {command}\n");
    }
    if let Some(page) = page {
        text += &format!("page: {}\n", printable_path(&page));
    }
    output::print(&text)
}

impl LrFindArgs {
    /// How to train with a rate: the same flags, and the rate with as many digits as matter.
    fn command(&self, lr: f64) -> String {
        let path = |flag: &str, path: &Option<PathBuf>| {
            let text = path.as_ref().map(|p| quoted(&p.display().to_string()));
            text.map_or_else(String::new, |text| format!(" --{flag} {text}"))
        };
        format!(
            "chainrule train{}{}{} --lr {lr:.1e}",
            path("config", &self.config),
            path("init-from", &self.init_from),
            flags(&self.settings)
        )
    }
}

/// What the test has shown, in a line.
fn result(test: &RangeTest) -> String {
    let last = test.steps.last().map_or(f64::NAN, |step| step.lr);
    let end = match test.end {
        RangeTestEnd::LastRate => String::new(),
        RangeTestEnd::LossRose => format!("; stopped at {last:.1e}, where the loss rose"),
        RangeTestEnd::Diverged => format!("; it diverged after {last:.1e}"),
    };
    match (test.suggestion, &test.reason) {
        (Some(lr), _) => format!("suggestion: {lr:.1e}, where the loss falls fastest{end}"),
        (None, why) => format!("no suggestion: {}{end}", why.as_deref().unwrap_or_default()),
    }
}

/// The smoothed losses as a row of bars, the rates below its ends.
fn curve(test: &RangeTest) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let steps = &test.steps;
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return String::new();
    };
    let columns = COLUMNS.min(steps.len());
    let (low, high) = test.shown_losses();
    let bar = |column: usize| {
        let step = steps[column * (steps.len() - 1) / (columns - 1).max(1)];
        let share = (step.smoothed - low) / (high - low).max(f64::MIN_POSITIVE);
        BARS[((share * 8.0) as usize).min(7)]
    };
    let bars: String = (0..columns).map(bar).collect();
    let ends = [first.lr, last.lr].map(|lr| format!("{lr:.1e}"));
    let room = columns.saturating_sub(ends[0].len() + ends[1].len());
    format!(
        "smoothed loss from {low:.4} to {high:.4} or more, against the rate\n{bars}\n{}{}{}\n",
        ends[0],
        " ".repeat(room.max(1)),
        ends[1]
    )
}
