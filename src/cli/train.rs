//! `train`: one run, from settings to summary.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::folds::{self, FoldsRun};
use super::interrupt::interrupt_flag;
use super::output;
use super::progress::RunProgress;
use crate::backend::select::check_device;
use crate::data;
use crate::error::{Error, Result};
use crate::metrics::{DataPart, Metric};
use crate::model::tensors::TensorFile;
use crate::settings::{Config, Settings, utf8_path};
use crate::text::printable::printable;
use crate::train::{self, Folder, FoldsDir, Outcome, RunDir, RunOptions, Summary};

/// What `train` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Settings come from the defaults, then --config, then flags; later ones override earlier ones. The run's config.toml holds the result."
)]
pub struct TrainArgs {
    /// Read settings from a TOML file with the sections data, model, train, optimizer, schedule
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the run; it must be new or empty [default: the next free number, as in runs/run-0001]
    #[arg(long, value_name = "DIR", value_parser = utf8_path())]
    out: Option<PathBuf>,
    /// Continue an interrupted run, or the runs of --folds; --epochs may be raised, and --threads, --device, --patience
    /// and --data may change
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "out", "init_from"])]
    resume: Option<PathBuf>,
    /// Start with the weights of a safetensors file whose tensors are named as in a PyTorch nn.Sequential
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// Write the last weights to a safetensors file, with tensor names as for --init-from
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print only one JSON object, at the end, on standard output
    #[arg(long)]
    json: bool,
    /// Compute one operation at a time, as the formulas are written; slower, with the same bits
    #[arg(long)]
    plain: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Runs the command.
pub(super) fn run(args: TrainArgs) -> Result<()> {
    if let Some(folder) = args.resume.as_deref().and_then(FoldsDir::open) {
        return folds::resume(&args.folds()?, &folder, &args.settings);
    }
    let run = args.resume.as_deref().map(RunDir::open).transpose()?;
    let lower = match (&run, &args.config) {
        (Some(run), _) => run.settings()?,
        (None, Some(file)) => Settings::from_file(file)?,
        (None, None) => Settings::default(),
    };
    let settings = args.settings.over(&lower);
    if settings.data.folds.is_some() && settings.data.fold.is_none() {
        return folds::begin(&args.folds()?, args.out.as_deref(), &settings);
    }
    let config = Config::new(&settings)?;
    check_device(config.device)?;
    if let Some(path) = &args.save {
        output::check_output(path)?;
    }
    let dataset = Arc::new(data::load(&config.source)?);
    let init_from = args
        .init_from
        .as_deref()
        .map(TensorFile::read)
        .transpose()?;
    let options = RunOptions {
        folder: match &run {
            Some(run) => Folder::Resume(run),
            None => Folder::New(args.out.as_deref()),
        },
        init_from: init_from.as_ref(),
        save: args.save.as_deref(),
        plain: args.plain,
    };
    let mut progress = RunProgress::new(args.quiet, interrupt_flag()?, config.epochs);
    let outcome = train::run_with(config, dataset, &options, &mut progress);
    progress.finish();
    conclude(&args, &outcome?)
}

impl TrainArgs {
    /// How the runs of --folds go.
    fn folds(&self) -> Result<FoldsRun> {
        for (flag, is_given) in [
            ("init_from", self.init_from.is_some()),
            ("save", self.save.is_some()),
        ] {
            if is_given {
                let message = "expected one run, found --folds, which makes several";
                return Err(Error::setting(flag, message));
            }
        }
        Ok(FoldsRun {
            plain: self.plain,
            json: self.json,
            quiet: self.quiet,
            interrupt: interrupt_flag()?,
        })
    }
}

fn conclude(args: &TrainArgs, outcome: &Outcome) -> Result<()> {
    let summary = &outcome.summary;
    let run = summary.run_dir.as_deref().unwrap_or_default();
    if summary.interrupted {
        return Err(Error::Interrupted(format!(
            "interrupted after {} epochs; go on with: chainrule train --resume {run}",
            summary.epochs_run,
        )));
    }
    if let (true, Some(run)) = (outcome.was_over, &args.resume) {
        let why = match (summary.diverged, summary.stopped_early) {
            (true, _) => "it diverged".to_owned(),
            (_, true) => "its patience ran out".to_owned(),
            _ => format!(
                "all {} epochs are done; more with --epochs",
                summary.epochs_run
            ),
        };
        output::note(&format!("nothing to resume in {}: {why}", run.display()));
    }
    if args.json {
        return output::print_json(summary);
    }
    if args.quiet || outcome.was_over {
        return Ok(());
    }
    output::print(&in_words(summary))
}

fn in_words(summary: &Summary) -> String {
    let mut text = String::new();
    if summary.diverged {
        text += &format!(
            "diverged in epoch {}: the loss, a weight or a running statistic is no finite number\n",
            summary.epochs_run + 1
        );
    }
    if summary.stopped_early {
        text += &format!(
            "stopped after epoch {}: no improvement\n",
            summary.epochs_run
        );
    }
    let metrics = |part| {
        let value = |metric: &Metric| {
            let value = summary.get(metric.of(part))?;
            Some(format!("{} {}", metric.title(), metric.format(value)))
        };
        match Metric::of_task(summary.task)
            .iter()
            .filter_map(value)
            .collect::<Vec<_>>()
        {
            values if values.is_empty() => "not measured".into(),
            values => values.join(", "),
        }
    };
    if let Some(best) = summary.best_epoch {
        text += &format!("model of epoch {best}\n");
        text += &format!("validation: {}\n", metrics(DataPart::Validation));
        text += &format!("test:       {}\n", metrics(DataPart::Test));
    }
    if let Some(run) = &summary.run_dir {
        text += &format!("run:        {}\n", printable(run));
    }
    text
}
