//! `train`: one run, from settings to summary.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::output;
use super::progress::Progress;
use crate::backend::Backend;
use crate::backend::select::{OnBackend, check_device, on_backend};
use crate::data::{self, Dataset, LoadOptions};
use crate::error::{Error, Result};
use crate::model::tensors::{self, TensorFile};
use crate::settings::{Config, Settings};
use crate::threads::thread_count;
use crate::train::{EpochRecord, Outcome, RunDir, Summary, Trainer, fit};

/// What `train` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Settings come from the defaults, then --config, then flags. A run's folder keeps the resolved ones."
)]
pub struct TrainArgs {
    /// Read settings from a TOML file with the sections data, model, train, optimizer, schedule
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the run, new or empty [default: the next free runs/run-0001]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with an interrupted run; --epochs may grow, --threads, --device, --patience and --data may change
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "out", "init_from"])]
    resume: Option<PathBuf>,
    /// Start from the weights of a safetensors file with the names of a PyTorch nn.Sequential
    #[arg(long, value_name = "FILE")]
    init_from: Option<PathBuf>,
    /// Write the last weights to a safetensors file with those names
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print one JSON object at the end, and nothing else, on standard output
    #[arg(long)]
    json: bool,
    /// Compute one operation at a time, as the formulas are written: the same numbers, bit for bit, but slower
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
    let run = args.resume.as_deref().map(RunDir::open).transpose()?;
    let lower = match (&run, &args.config) {
        (Some(run), _) => run.settings()?,
        (None, Some(file)) => Settings::from_file(file)?,
        (None, None) => Settings::default(),
    };
    let config = Config::new(&args.settings.over(&lower))?;
    check_device(config.device)?;
    if let Some(path) = &args.save {
        output::check_parent(path)?;
    }
    let options = LoadOptions {
        path: config.data.as_deref(),
        label: config.label.as_deref(),
        test: config.test,
    };
    let dataset = Arc::new(data::load(&options)?);
    let (device, precision) = (config.device, config.precision);
    let threads = thread_count(config.threads)?;
    let work = Run {
        args: &args,
        config,
        dataset,
        run,
    };
    on_backend(device, precision, threads, args.plain, work)
}

/// A run, to be done on whichever backend its settings ask for.
struct Run<'a> {
    args: &'a TrainArgs,
    config: Config,
    dataset: Arc<Dataset>,
    run: Option<RunDir>,
}

impl OnBackend for Run<'_> {
    type Output = ();

    fn run<B: Backend>(self, backend: B) -> Result<()> {
        train(self.args, backend, self.config, self.dataset, self.run)
    }
}

fn train<B: Backend>(
    args: &TrainArgs,
    backend: B,
    config: Config,
    dataset: Arc<Dataset>,
    run: Option<RunDir>,
) -> Result<()> {
    let interrupt = interrupt_flag()?;
    let init_from = args
        .init_from
        .as_deref()
        .map(TensorFile::read)
        .transpose()?;
    let resolved = config.resolved.clone();
    let spans_run = config.schedule.spans_run();
    let mut trainer = Trainer::new(backend, config, dataset, init_from.as_ref())?;

    let (run, records) = match run {
        Some(run) => {
            run.check_settings(&resolved, spans_run)?;
            run.restore(&mut trainer)?;
            run.write_settings(&resolved)?;
            let records = run.records()?;
            (run, records)
        }
        None => {
            let run = RunDir::create(args.out.as_deref(), &resolved)?;
            if init_from.is_some() {
                // Without this the given weights would be lost if the run died before its first checkpoint.
                run.checkpoint(&trainer)?;
            }
            (run, Vec::new())
        }
    };
    if args.resume.is_some() && is_over(&trainer) {
        return report_over(args, &run, &trainer);
    }
    let outcome = train_with_progress(&mut trainer, &run, records, args.quiet, interrupt)?;
    if let Some(path) = &args.save {
        save(path, &trainer)?;
    }
    conclude(args, &run, &outcome)
}

/// Trains to the end, with progress on standard error.
pub(super) fn train_with_progress<B: Backend>(
    trainer: &mut Trainer<B>,
    run: &RunDir,
    records: Vec<EpochRecord>,
    quiet: bool,
    interrupt: Arc<AtomicBool>,
) -> Result<Outcome> {
    let mut progress = Progress::new(quiet, interrupt, trainer.config().epochs);
    introduce(&progress, trainer, run, &records);
    let outcome = fit(trainer, Some(run), records, &mut progress);
    progress.finish();
    outcome
}

/// Set by Ctrl-C and SIGTERM; a second signal ends the program at once.
pub(super) fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let registered = flag::register_conditional_shutdown(signal, 130, interrupt.clone())
            .and_then(|_| flag::register(signal, interrupt.clone()));
        registered.map_err(|e| Error::io("watch", Path::new("signals"), e))?;
    }
    Ok(interrupt)
}

fn is_over<B: Backend>(trainer: &Trainer<B>) -> bool {
    let progress = &trainer.progress;
    progress.epoch >= trainer.config().epochs || progress.diverged || progress.stopped_early
}

fn report_over<B: Backend>(args: &TrainArgs, run: &RunDir, trainer: &Trainer<B>) -> Result<()> {
    let progress = &trainer.progress;
    let why = match (progress.diverged, progress.stopped_early) {
        (true, _) => "it diverged".to_owned(),
        (_, true) => "its patience ran out".to_owned(),
        _ => format!("all {} epochs are done; more with --epochs", progress.epoch),
    };
    output::note(&format!(
        "nothing to resume in {}: {why}",
        run.path().display()
    ));
    match run.summary()? {
        Some(summary) if args.json => output::print_json(&summary),
        _ => Ok(()),
    }
}

fn introduce<B: Backend>(
    progress: &Progress,
    trainer: &Trainer<B>,
    run: &RunDir,
    records: &[EpochRecord],
) {
    let data = trainer.data();
    let split = trainer.split();
    let test = data.test.as_ref().map_or(0, |t| t.labels.len());
    progress.line(&format!(
        "{} ({}): {} training, {} validation, {test} test samples",
        data.name,
        data.path.display(),
        split.train.len(),
        split.validation.len(),
    ));
    let config = trainer.config();
    progress.line(&format!(
        "{}: {} parameters; {}, seed {}",
        trainer.mlp().spec().describe(),
        trainer.mlp().layout().parameter_count(),
        trainer.mlp().backend().describe(),
        config.seed,
    ));
    for notice in &data.notices {
        progress.line(&format!("note: {notice}"));
    }
    if trainer.drops_single_leftover() {
        let size = config.batch_size;
        progress.line(&format!("note: batches of {size} leave one sample over, which batch normalisation cannot learn from; it is left out of each epoch"));
    }
    if !records.is_empty() || trainer.progress.update > 0 {
        progress.line(&format!("resumed after epoch {}", trainer.progress.epoch));
    }
    progress.line(&format!("run: {}", run.path().display()));
}

/// Writes the last weights.
fn save<B: Backend>(path: &Path, trainer: &Trainer<B>) -> Result<()> {
    let mlp = trainer.mlp();
    let (params, running) = (mlp.read(|s| &s.params)?, mlp.read_running()?);
    let arrays = tensors::network(mlp.layout(), &params, &running, trainer.progress.update);
    tensors::write(path, &arrays, None)
}

fn conclude(args: &TrainArgs, run: &RunDir, outcome: &Outcome) -> Result<()> {
    let summary = &outcome.summary;
    if summary.interrupted {
        return Err(Error::Interrupted(format!(
            "interrupted after {} epochs; go on with: chainrule train --resume {}",
            summary.epochs_run,
            run.path().display()
        )));
    }
    if args.json {
        return output::print_json(summary);
    }
    if args.quiet {
        return Ok(());
    }
    output::print(&in_words(summary, run))
}

fn in_words(summary: &Summary, run: &RunDir) -> String {
    let mut text = String::new();
    if summary.diverged {
        text += &format!(
            "diverged in epoch {}: the loss is not a number\n",
            summary.epochs_run + 1
        );
    }
    if summary.stopped_early {
        text += &format!(
            "stopped after epoch {}: no improvement\n",
            summary.epochs_run
        );
    }
    let numbers = |accuracy: Option<f64>, loss: Option<f64>| match (accuracy, loss) {
        (Some(accuracy), Some(loss)) => format!("accuracy {accuracy:.4}, loss {loss:.4}"),
        (Some(accuracy), None) => format!("accuracy {accuracy:.4}"),
        _ => "not measured".into(),
    };
    if let Some(best) = summary.best_epoch {
        text += &format!("model of epoch {best}\n");
        text += &format!(
            "validation: {}\n",
            numbers(summary.val_accuracy, summary.val_loss)
        );
        text += &format!(
            "test:       {}\n",
            numbers(summary.test_accuracy, summary.test_loss)
        );
    }
    text += &format!("run:        {}\n", run.path().display());
    text
}
