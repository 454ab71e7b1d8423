//! `study`: the whole study, from the series to the report.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::HumanDuration;
use serde::Serialize;

use super::output;
use super::searching::{Base, Common, Work};
use super::train::{interrupt_flag, train_with_progress};
use crate::backend::Backend;
use crate::backend::select::{OnBackend, on_backend};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::report;
use crate::search::journal::Journal;
use crate::search::sweep::{Cell, cells, extremes};
use crate::search::{Finish, Objective, Outline, Preset, cost_of_run};
use crate::settings::Config;
use crate::train::{RunDir, Summary, Trainer};
use crate::{
    statistics::{Interval, wilson},
    text::{number, table},
};

/// How often a process that waits for another one looks again.
const PAUSE: Duration = Duration::from_millis(200);

/// What `study` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Six settings are varied one at a time, then all of them are searched at once, and the best trial's settings train the final model, which is tested once. Other settings of train hold for every run; \
those that a series or the search varies are the values round which the others vary.\n\nThe same command goes on after an interruption, and several processes started with it share the work.\n\nExamples:\n  \
chainrule study --preset quick\n  chainrule study\n  chainrule study --data my.npz --epochs 5 --out studies/mine"
)]
pub struct StudyArgs {
    /// How much of it
    #[arg(long, value_name = "NAME", default_value = "full")]
    preset: Preset,
    /// Folder of the study, new or to go on with [default: studies/ and the preset's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
pub(super) fn run(args: &StudyArgs) -> Result<()> {
    let start = Instant::now();
    let base = Base::new(args.common.fixed()?)?;
    let outline = Outline::new(
        args.preset,
        &base.settings,
        base.seed,
        args.common.objective,
    )?;
    for task in outline.tasks() {
        task.plan.check()?;
    }
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("studies").join(args.preset.name()));
    fs::create_dir_all(&out).map_err(|e| Error::io("create", &out, e))?;
    let interrupt = interrupt_flag()?;
    let journal = out.join(report::JOURNAL);
    search(args, &outline, &base, &journal, &interrupt)?;
    // Of several processes one trains the final model and writes the page at a time.
    let _lock = lock(&out.join("final.lock"), &interrupt)?;
    let summary = final_model(args, &outline, &base, &out, interrupt)?;
    let page = report::write(&out, &out.join(report::REPORT))?;
    conclude(args, &outline, &journal, &summary, &page, start.elapsed())
}

fn search(
    args: &StudyArgs,
    outline: &Outline,
    base: &Base,
    journal: &Path,
    interrupt: &Arc<AtomicBool>,
) -> Result<()> {
    let data = base.load(false)?;
    // The final model has all threads to itself.
    let afterwards = cost_of_run(&outline.middle()?, &data)? / base.threads as f64;
    let tasks = outline.tasks();
    let work = Work {
        tasks: &tasks,
        journal,
        data,
        threads: base.threads,
        quiet: args.common.quiet,
        afterwards,
        interrupt: interrupt.clone(),
    };
    if work.run()?.contains(&Finish::Interrupted) {
        return Err(interrupted());
    }
    Ok(())
}

fn interrupted() -> Error {
    Error::Interrupted("interrupted; the same command goes on".into())
}

/// Waits until no other process has the file locked. The lock goes with the returned handle, and with the process.
fn lock(path: &Path, interrupt: &AtomicBool) -> Result<File> {
    let file = File::create(path).map_err(|e| Error::io("create", path, e))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", path, e)),
            Err(TryLockError::WouldBlock) if interrupt.load(Ordering::Relaxed) => {
                return Err(interrupted());
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
        }
    }
}

/// Trains and tests the final model, or goes on with it.
fn final_model(
    args: &StudyArgs,
    outline: &Outline,
    base: &Base,
    out: &Path,
    interrupt: Arc<AtomicBool>,
) -> Result<Summary> {
    let journal = Journal::open(&out.join(report::JOURNAL))?;
    let storage = journal.storage();
    let study = storage.study(&outline.search.name);
    let config = study
        .map(|study| outline.final_model(storage, study))
        .transpose()?
        .flatten();
    let Some(config) = config else {
        let message = "no trial of the search is complete: there are no settings for a final model";
        return Err(Error::Check(message.into()));
    };
    let folder = out.join(report::FINAL);
    let run = folder
        .join("config.toml")
        .is_file()
        .then(|| RunDir::open(&folder))
        .transpose()?;
    if let Some(run) = &run {
        run.check_settings(&config.resolved, true)
            .map_err(|e| other_winner(&folder, &e))?;
        if let Some(summary) = run.summary()?.filter(|s| !s.interrupted) {
            return Ok(summary);
        }
    }
    let work = Final {
        quiet: args.common.quiet,
        data: base.load(true)?,
        config,
        folder: &folder,
        run,
        interrupt,
    };
    let (device, precision) = (work.config.device, work.config.precision);
    let summary = on_backend(device, precision, base.threads, false, work)?;
    if summary.interrupted {
        return Err(interrupted());
    }
    Ok(summary)
}

/// The test set is used once: a model that was tested is not silently replaced by another.
fn other_winner(folder: &Path, error: &Error) -> Error {
    let message = format!(
        "{} was trained with other settings ({error}): another trial is the best one now; remove the folder to train anew",
        folder.display()
    );
    Error::setting("out", message)
}

struct Final<'a> {
    quiet: bool,
    data: Arc<Dataset>,
    config: Config,
    folder: &'a Path,
    run: Option<RunDir>,
    interrupt: Arc<AtomicBool>,
}

impl OnBackend for Final<'_> {
    type Output = Summary;

    fn run<B: Backend>(self, backend: B) -> Result<Summary> {
        let resolved = self.config.resolved.clone();
        let mut trainer = Trainer::new(backend, self.config, self.data, None)?;
        let (run, records) = match self.run {
            Some(run) => {
                run.restore(&mut trainer)?;
                run.write_settings(&resolved)?;
                let records = run.records()?;
                (run, records)
            }
            None => (RunDir::create(Some(self.folder), &resolved)?, Vec::new()),
        };
        if !self.quiet {
            output::note("final model, with the settings of the best trial");
        }
        let outcome = train_with_progress(&mut trainer, &run, records, self.quiet, self.interrupt)?;
        Ok(outcome.summary)
    }
}

/// What the study has come to.
#[derive(Serialize)]
struct Outcome<'a> {
    study: &'a Path,
    objective: Objective,
    series: Vec<SeriesOutcome>,
    final_model: &'a Summary,
    test_interval: Option<Interval>,
    report: &'a Path,
    seconds: f64,
}

#[derive(Serialize)]
struct SeriesOutcome {
    parameter: &'static str,
    values: Vec<Cell>,
}

fn conclude(
    args: &StudyArgs,
    outline: &Outline,
    journal: &Path,
    summary: &Summary,
    page: &Path,
    elapsed: Duration,
) -> Result<()> {
    let opened = Journal::open(journal)?;
    let storage = opened.storage();
    let mut series = Vec::new();
    for plan in &outline.series {
        if let (Some(study), Some((parameter, _))) =
            (storage.study(&plan.name), plan.space.iter().next())
        {
            let values = cells(plan, storage, study)?;
            series.push(SeriesOutcome { parameter, values });
        }
    }
    let outcome = Outcome {
        study: journal,
        objective: args.common.objective,
        series,
        final_model: summary,
        test_interval: test_interval(summary),
        report: page,
        seconds: elapsed.as_secs_f64(),
    };
    if args.common.json {
        return output::print_json(&outcome);
    }
    if args.common.quiet {
        return Ok(());
    }
    output::print(&in_words(&outcome, elapsed))
}

fn test_interval(summary: &Summary) -> Option<Interval> {
    let (accuracy, samples) = (summary.test_accuracy?, summary.test_samples as u64);
    (samples > 0).then(|| wilson((accuracy * samples as f64).round() as u64, samples))
}

fn in_words(outcome: &Outcome<'_>, elapsed: Duration) -> String {
    let mut text = String::new();
    let mut rows = vec![
        ["setting", "best value", "mean", "worst value", "mean"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(
        outcome
            .series
            .iter()
            .map(|series| row(series, outcome.objective)),
    );
    text += &format!(
        "{} by setting, one at a time\n{}",
        outcome.objective.name(),
        table::align(&rows, 2)
    );
    let model = outcome.final_model;
    text += &format!("\nfinal model: {}\n", model.network);
    if let Some(accuracy) = model.val_accuracy {
        text += &format!("validation:  accuracy {accuracy:.4}\n");
    }
    if let (Some(accuracy), Some(interval)) = (model.test_accuracy, outcome.test_interval) {
        text += &format!(
            "test:        accuracy {accuracy:.4} (95 % interval {:.4} to {:.4})\n",
            interval.low, interval.high
        );
    }
    text + &format!(
        "report:      {}\ntime:        {}\n",
        outcome.report.display(),
        HumanDuration(elapsed)
    )
}

/// A setting with its best and its worst value.
fn row(series: &SeriesOutcome, objective: Objective) -> Vec<String> {
    let shown = |cell: &Cell| {
        let mean = cell
            .mean
            .map_or_else(|| "diverged".into(), |m| format!("{:.4}", m.mean));
        [number::shown(&cell.value), mean]
    };
    let ends = extremes(&series.values, objective.direction());
    let ends = ends.into_iter().flat_map(|(best, worst)| [best, worst]);
    std::iter::once(series.parameter.to_owned())
        .chain(ends.flat_map(shown))
        .collect()
}
