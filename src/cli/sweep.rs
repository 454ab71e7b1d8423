//! `sweep`: varies one setting at a time over a list of values.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::interrupt::interrupt_flag;
use super::output;
use super::search_common::{Base, Common, Work, with_notices};
use crate::error::{Error, Result};
use crate::metrics::{Metric, ValidationMetric};
use crate::search::journal::Journal;
use crate::search::sweep::{Cell, Series, cells, pooling_note};
use crate::search::{Finish, Plan, StudyTask, shortened_batches};
use crate::settings::utf8_path;
use crate::text::number::shown;
use crate::text::printable::printable_path;
use crate::text::table;

/// What `sweep` takes.
#[derive(Debug, Args)]
#[command(
    override_usage = "chainrule sweep [OPTIONS] [<SETTING> --values <LIST>]...",
    after_help = "Each setting is a series of its own; the other flags set everything else. Each value is trained --repeats times with different seeds. Values are separated by commas; values that are lists by slashes \
(widths --values 256,128/512). After an interruption the same command continues. Several processes on one file share the work.\n\nExamples:\n  chainrule sweep lr --values 0.0001,0.001,0.01\n  chainrule sweep lr --values \
0.001,0.01 width --values 50,500 --epochs 3 --repeats 5\n  chainrule sweep --preset six"
)]
pub struct SweepArgs {
    /// Settings to vary, each followed by its --values
    #[arg(value_name = "SETTING")]
    settings: Vec<String>,
    /// Values of the preceding setting
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    values: Vec<String>,
    /// A set of series
    #[arg(long, value_name = "NAME", conflicts_with_all = ["settings", "values"])]
    preset: Option<SweepPreset>,
    /// Number of runs of each value, with different seeds
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        allow_hyphen_values = true
    )]
    repeats: u32,
    /// Study file, new or to continue; it gets one study per setting
    #[arg(long, value_name = "FILE", default_value = "sweep.journal", value_parser = utf8_path())]
    study: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SweepPreset {
    /// The study's six: learning rate, activation, width, depth, batch size, dropout
    Six,
}

/// Runs the command.
pub(super) fn run(args: &SweepArgs) -> Result<()> {
    let base = Base::new(args.common.fixed()?)?;
    base.expect_unwatched()?;
    let series = series(args)?;
    let (repeats, objective) = (args.repeats, args.common.objective(base.task()));
    let plan = |s: &Series| s.plan(&base.settings, base.seed, repeats, objective);
    let mut plans: Vec<Plan> = series.iter().map(plan).collect::<Result<_>>()?;
    check(args, &plans)?;
    output::check_output(&args.study)?;
    let data = base.load(false)?;
    let objective = args.common.objective(data.task);
    let mut chosen = None;
    for plan in &mut plans {
        plan.objective = objective;
        chosen = plan.suit(&data, &args.study)?.or(chosen);
    }
    let data = with_notices(data, chosen);
    let tasks: Vec<StudyTask<'_>> = plans.iter().map(StudyTask::series).collect();
    let work = Work {
        tasks: &tasks,
        journal: &args.study,
        data,
        threads: base.threads,
        foreign_timeout: args.common.foreign_timeout,
        quiet: args.common.quiet,
        afterwards: 0.0,
        interrupt: interrupt_flag()?,
    };
    let finishes = work.run()?;
    let interrupted = finishes.iter().position(|f| *f == Finish::Interrupted);
    if let Some(plan) = interrupted.map(|task| &plans[task]) {
        let message = format!(
            "interrupted in {}; the same command continues it",
            plan.name
        );
        return Err(Error::Interrupted(message));
    }
    conclude(args, &plans, objective)
}

/// Checks that each plan can be run, and is there once.
fn check(args: &SweepArgs, plans: &[Plan]) -> Result<()> {
    for (i, plan) in plans.iter().enumerate() {
        plan.check()?;
        if plans[..i].iter().any(|p| p.name == plan.name) {
            return Err(Error::setting(
                "sweep",
                format!(
                    "expected each setting once, found {} twice",
                    args.settings[i]
                ),
            ));
        }
    }
    Ok(())
}

fn series(args: &SweepArgs) -> Result<Vec<Series>> {
    if let Some(SweepPreset::Six) = args.preset {
        return Ok(Series::six());
    }
    if args.settings.is_empty() || args.settings.len() != args.values.len() {
        let message = format!(
            "expected settings, each followed by its --values, found {} settings and {} lists of values",
            args.settings.len(),
            args.values.len()
        );
        return Err(Error::setting("sweep", message));
    }
    let pair = |(parameter, values): (&String, &String)| Series {
        parameter: parameter.clone(),
        values: values.clone(),
    };
    Ok(args.settings.iter().zip(&args.values).map(pair).collect())
}

#[derive(Serialize)]
struct SweepReport<'a> {
    study: &'a Path,
    objective: ValidationMetric,
    series: Vec<SeriesReport>,
}

#[derive(Serialize)]
struct SeriesReport {
    parameter: String,
    values: Vec<Cell>,
    /// What became of batches that were larger than the training part.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortened_batches: Option<String>,
}

fn conclude(args: &SweepArgs, plans: &[Plan], objective: ValidationMetric) -> Result<()> {
    let journal = Journal::open(&args.study)?;
    let storage = journal.storage();
    let mut series = Vec::new();
    for plan in plans {
        let Some(study) = storage.study(&plan.name) else {
            return Err(Error::Check(format!(
                "the study {:?} was deleted",
                plan.name
            )));
        };
        let parameter = plan
            .space
            .iter()
            .next()
            .map_or_else(String::new, |(name, _)| name.to_owned());
        series.push(SeriesReport {
            parameter,
            values: cells(plan, storage, study)?,
            shortened_batches: shortened_batches(storage, study),
        });
    }
    let report = SweepReport {
        study: &args.study,
        objective,
        series,
    };
    if args.common.json {
        return output::print_json(&report);
    }
    if args.common.quiet {
        return Ok(());
    }
    output::print(&in_words(&report))
}

fn in_words(report: &SweepReport<'_>) -> String {
    let metric = report.objective.metric();
    let mut text = String::new();
    for series in &report.series {
        let header = [
            series.parameter.as_str(),
            "mean",
            "sd",
            "95 % interval",
            "repeats",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(series.values.iter().map(|cell| row(cell, metric)));
        text += &table::align(&rows, 0);
        let notes = [
            pooling_note(&series.values, |deviation| metric.format(deviation)),
            series.shortened_batches.clone(),
        ];
        for note in notes.iter().flatten() {
            text += &format!("{note}\n");
        }
        text.push('\n');
    }
    text + &format!(
        "{} in {}\n",
        report.objective.name(),
        printable_path(report.study)
    )
}

fn row(cell: &Cell, metric: Metric) -> Vec<String> {
    let blank = || "-".to_owned();
    let repeats: Vec<String> = cell.repeats.iter().map(|&x| metric.format(x)).collect();
    let mean = cell.mean.map_or_else(blank, |m| metric.format(m.mean));
    let deviation = cell
        .mean
        .and_then(|m| m.deviation)
        .map_or_else(blank, |d| metric.format(d));
    let interval = cell.mean.and_then(|m| m.interval).map_or_else(blank, |i| {
        format!("{} to {}", metric.format(i.low), metric.format(i.high))
    });
    let last = if cell.diverged {
        "diverged".into()
    } else {
        repeats.join(" ")
    };
    vec![shown(&cell.value), mean, deviation, interval, last]
}
