//! `study`: the whole study, from the series to the report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::HumanDuration;
use serde::Serialize;

use super::final_model::write_report;
use super::interrupt::interrupt_flag;
use super::output;
use super::progress::RunProgress;
use super::search_common::{Base, Common, Work, with_notices};
use crate::data::Dataset;
use crate::durable;
use crate::error::{Error, Result};
use crate::lock::FolderLock;
use crate::metrics::{DataPart, Metric, ValidationMetric};
use crate::report;
use crate::search::journal::Journal;
use crate::search::sweep::{Cell, cells, extremes};
use crate::search::{Finish, Outline, Preset, cost_of_run};
use crate::settings::utf8_path;
use crate::statistics::Interval;
use crate::text::printable::{printable, printable_path};
use crate::text::{number, table};
use crate::train::{self, RunDir, Summary};

/// Only one process at a time trains the final model and writes the page.
const LOCK: &str = "final.lock";
/// The time between two attempts to get the lock.
const PAUSE: Duration = Duration::from_millis(200);
/// The time after which a waiting process says what it waits for.
const SILENCE: Duration = Duration::from_secs(3);

/// What `study` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Six settings are varied one at a time, then all of them are searched at once, and the final model is trained with the best trial's settings and tested once. Other settings of train apply to every run. \
A setting that the study varies keeps its given value while another one is varied.\n\nAfter an interruption the same command continues. Several processes with the same command share the work.\n\nExamples:\n  \
chainrule study --preset quick\n  chainrule study\n  chainrule study --data my.npz --epochs 5 --out studies/mine"
)]
pub struct StudyArgs {
    /// The size of the study
    #[arg(long, value_name = "NAME", default_value = "full")]
    preset: Preset,
    /// Folder of the study, new or to continue [default: studies/quick or studies/full, after the preset]
    #[arg(long, value_name = "DIR", value_parser = utf8_path())]
    out: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Runs the command.
pub(super) fn run(args: &StudyArgs) -> Result<()> {
    let start = Instant::now();
    let base = Base::new(args.common.fixed()?)?;
    let mut outline = Outline::new(
        args.preset,
        &base.settings,
        base.seed,
        args.common.objective(base.task()),
    )?;
    for task in outline.tasks() {
        task.plan.check()?;
    }
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("studies").join(args.preset.name()));
    durable::create_dir_all(&out)?;
    let interrupt = interrupt_flag()?;
    let journal = out.join(report::JOURNAL);
    let data = base.load(false)?;
    outline.set_objective(args.common.objective(data.task));
    let chosen = outline.suit(&data, &journal)?;
    let data = with_notices(data, chosen);
    search(args, &outline, &base, data, &journal, &interrupt)?;
    let _lock = lock(&out, &interrupt)?;
    let summary = final_model(args, &outline, &base, &out, interrupt)?;
    let page = write_report(&out, &out.join(report::REPORT))?;
    conclude(args, &outline, &journal, &summary, &page, start.elapsed())
}

fn search(
    args: &StudyArgs,
    outline: &Outline,
    base: &Base,
    data: Arc<Dataset>,
    journal: &Path,
    interrupt: &Arc<AtomicBool>,
) -> Result<()> {
    // The final model uses all threads.
    let afterwards = cost_of_run(&outline.middle()?, &data)? / base.threads as f64;
    let tasks = outline.tasks();
    let work = Work {
        tasks: &tasks,
        journal,
        data,
        threads: base.threads,
        foreign_timeout: args.common.foreign_timeout,
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
    Error::Interrupted("interrupted; the same command continues it".into())
}

/// Waits until no other process has the study's last part locked, and locks it.
fn lock(study: &Path, interrupt: &AtomicBool) -> Result<FolderLock> {
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        match FolderLock::acquire(study, LOCK) {
            Err(Error::InUse { holder, .. }) => {
                if interrupt.load(Ordering::Relaxed) {
                    return Err(interrupted());
                }
                if !is_told && begun.elapsed() >= SILENCE {
                    output::note(&format!("waiting for the final model: {holder}"));
                    is_told = true;
                }
            }
            other => return other,
        }
        std::thread::sleep(PAUSE);
    }
}

/// Trains and tests the final model, or resumes its training.
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
    let data = base.load(true)?;
    let mut config = config.for_data(&data)?;
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
    if !args.common.quiet {
        output::note("final model, with the settings of the best trial");
    }
    config.threads = Some(base.threads);
    let mut progress = RunProgress::new(args.common.quiet, interrupt, config.epochs);
    let outcome = train::run(config, data, Some(&folder), &mut progress);
    progress.finish();
    let summary = outcome?.summary;
    if summary.interrupted {
        return Err(interrupted());
    }
    Ok(summary)
}

/// The error if the final model has other settings than the best trial. The test set is used once, so a tested model is
/// not silently replaced by another.
fn other_winner(folder: &Path, error: &Error) -> Error {
    let message = format!(
        "{} was trained with other settings ({error}): another trial is the best one now; remove the folder to train anew",
        folder.display()
    );
    Error::setting("out", message)
}

/// The results of the study.
#[derive(Serialize)]
struct StudyReport<'a> {
    study: &'a Path,
    objective: ValidationMetric,
    series: Vec<StudySeries>,
    final_model: &'a Summary,
    test_interval: Option<Interval>,
    report: &'a Path,
    seconds: f64,
}

#[derive(Serialize)]
struct StudySeries {
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
            series.push(StudySeries { parameter, values });
        }
    }
    let outcome = StudyReport {
        study: journal,
        objective: outline.search.objective,
        series,
        final_model: summary,
        test_interval: summary
            .test_interval(Metric::main(summary.task))
            .filter(|_| summary.test_samples > 0),
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

fn in_words(outcome: &StudyReport<'_>, elapsed: Duration) -> String {
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
            .map(|series| row(series, outcome.objective.metric())),
    );
    text += &format!(
        "{} by setting, one at a time\n{}",
        outcome.objective.name(),
        table::align(&rows, 2)
    );
    let model = outcome.final_model;
    text += &format!("\nfinal model: {}\n", printable(&model.network));
    let main = Metric::main(model.task);
    let value = |part| model.get(main.of(part));
    if let Some(value) = value(DataPart::Validation) {
        text += &format!("validation:  {} {}\n", main.name(), main.format(value));
    }
    match value(DataPart::Test) {
        Some(value) => {
            let interval = outcome.test_interval.map(|Interval { low, high }| {
                format!(
                    " (95 % interval {} to {})",
                    main.format(low),
                    main.format(high)
                )
            });
            text += &format!(
                "test:        {} {}{}\n",
                main.name(),
                main.format(value),
                interval.unwrap_or_default()
            );
        }
        _ if model.best_epoch.is_some() => text += "test:        the data have no test part\n",
        _ => {}
    }
    text + &format!(
        "report:      {}\ntime:        {}\n",
        printable_path(outcome.report),
        HumanDuration(elapsed)
    )
}

/// A setting with its best and its worst value.
fn row(series: &StudySeries, metric: Metric) -> Vec<String> {
    let shown = |cell: &Cell| {
        let mean = cell
            .mean
            .map_or_else(|| "diverged".into(), |m| metric.format(m.mean));
        [number::shown(&cell.value), mean]
    };
    let ends = extremes(&series.values, metric.direction());
    let ends = ends.into_iter().flat_map(|(best, worst)| [best, worst]);
    std::iter::once(series.parameter.to_owned())
        .chain(ends.flat_map(shown))
        .collect()
}
