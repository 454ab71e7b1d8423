//! `verify`: whether a run gives the same bits again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::interrupt::interrupt_flag;
use super::output;
use super::progress::RunProgress;
use crate::backend::select::{Device, check_device};
use crate::data;
use crate::error::{Error, Result};
use crate::model::tensors::TensorFile;
use crate::settings::utf8_path;
use crate::text::printable::printable;
use crate::threads::MAX_THREADS;
use crate::train::{
    Difference, FoldsDir, RunDir, RunOptions, Verification, config_to_verify, verify,
};

/// What `verify` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The run is trained again from its config.toml, on data with the same hash, and nothing is written. Each epoch's
losses, metrics and rates are compared with the record in metrics.jsonl, and the SHA-256 of every tensor where the
record has it; times are not. At the end the model is compared. The first difference ends the command, with exit
code 1.

In f32 a run has the same bits on any number of threads and every processor. In f64 and bf16, and on a GPU, the same
bits are promised on one kind of machine only; if the run was computed on another one, that is said.

Examples:
  chainrule verify runs/run-0001
  chainrule verify runs/run-0001 --threads 1 --plain
  chainrule verify runs/run-0001 --data moved.csv --json")]
pub struct VerifyArgs {
    /// Folder of a run, or of the runs of --folds
    #[arg(value_name = "RUN", value_parser = utf8_path())]
    run: PathBuf,
    /// Where the run's data are now [default: where they were]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// The initial weights that the run was given, if any
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// Number of threads; it does not change the result [default: that of the run]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_THREADS as i64), allow_hyphen_values = true)]
    threads: Option<u16>,
    /// Where to compute: cpu, cuda or cuda:N (the N-th NVIDIA GPU, from 0) [default: where the run was computed]
    #[arg(long, value_name = "NAME")]
    device: Option<Device>,
    /// Compute one operation at a time, as the formulas are written; slower, with the same bits
    #[arg(long)]
    plain: bool,
    /// Print only one JSON object, at the end, on standard output
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// The object that `--json` prints: of a run, or of the run of each fold.
#[derive(Debug, Serialize)]
struct VerifyReport {
    same: bool,
    runs: Vec<VerifiedRun>,
}

/// A run that was trained again.
#[derive(Debug, Serialize)]
struct VerifiedRun {
    run_dir: PathBuf,
    #[serde(flatten)]
    found: Verification,
}

/// Runs the command.
pub(super) fn run(args: &VerifyArgs) -> Result<()> {
    let folders = match FoldsDir::open(&args.run) {
        Some(folds) => folds.run_dirs(),
        None => vec![args.run.clone()],
    };
    let mut report = VerifyReport {
        same: true,
        runs: Vec::new(),
    };
    for run_dir in folders {
        let found = verify_one(args, &run_dir)?;
        report.same &= found.difference.is_none();
        report.runs.push(VerifiedRun { run_dir, found });
    }
    if args.json {
        output::print_json(&report)?;
    } else {
        let texts = report.runs.iter().map(VerifiedRun::in_words);
        output::print(&texts.collect::<String>())?;
    }
    match report.same {
        true => Ok(()),
        false => Err(Error::Check(format!(
            "{} does not give the same bits again",
            args.run.display()
        ))),
    }
}

fn verify_one(args: &VerifyArgs, path: &Path) -> Result<Verification> {
    let run = RunDir::open(path)?;
    let mut config = config_to_verify(&run)?;
    if let Some(path) = &args.data {
        config.source.path = Some(path.clone());
    }
    config.threads = args.threads.map(usize::from).or(config.threads);
    config.device = args.device.unwrap_or(config.device);
    check_device(config.device)?;
    let dataset = Arc::new(data::load(&config.source)?);
    let init_from = args
        .init_from
        .as_deref()
        .map(TensorFile::read)
        .transpose()?;
    let options = RunOptions {
        init_from: init_from.as_ref(),
        plain: args.plain,
        ..RunOptions::default()
    };
    let mut progress = RunProgress::new(args.quiet, interrupt_flag()?, config.epochs);
    progress.line(&format!("verifying {}", path.display()));
    let verified = verify(&run, config, dataset, &options, &mut progress);
    progress.finish();
    verified
}

impl VerifiedRun {
    fn in_words(&self) -> String {
        let found = &self.found;
        let run = self.run_dir.display().to_string();
        let run = printable(&run);
        let mut text = String::new();
        for notice in &found.notices {
            text += &format!("note: {}\n", printable(notice));
        }
        if let Some(difference) = &found.difference {
            let in_words = difference_in_words(difference);
            text += &format!("{run}: {}\n", printable(&in_words));
        }
        let by_tensors = match found.hashed_epochs {
            count if count == found.epochs => "all their tensors".to_owned(),
            0 => "losses, metrics and rates".to_owned(),
            count => format!("losses, metrics and rates, and all tensors of {count}"),
        };
        let model = match found.is_same_model {
            true => "; model.safetensors too",
            false => "",
        };
        text += &match found.epochs {
            0 => String::new(),
            count => format!("{run}: the same bits in {count} epochs ({by_tensors}){model}\n"),
        };
        text
    }
}

/// The first difference: which tensors, and which numbers with both values.
fn difference_in_words(difference: &Difference) -> String {
    let (shown, others) = match &difference.tensors[..] {
        all if all.len() > 6 => (&all[..6], ", …"),
        all => (all, ""),
    };
    let tensors = match shown {
        [] => String::new(),
        _ => format!(": {}{others}", shown.join(", ")),
    };
    let epoch = difference.epoch;
    if difference.is_in_model_file {
        return format!("model.safetensors is not what epoch {epoch} gives{tensors}");
    }
    let numbers = difference.metrics.iter().map(|metric| {
        format!(
            "; {} was {}, is {}",
            metric.name, metric.recorded, metric.found
        )
    });
    format!(
        "epoch {epoch} differs{tensors}{}",
        numbers.collect::<String>()
    )
}
