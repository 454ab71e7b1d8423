//! `search`: many trials in a space of settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::output;
use super::ranges::Ranges;
use super::search_progress::Progress;
use super::train::interrupt_flag;
use crate::data::{self, LoadOptions};
use crate::error::{Error, Result};
use crate::search::journal::{Journal, State, Storage, Study, Trial};
use crate::search::{
    Finish, Objective, Plan, PrunerName, SamplerName, Search, Space, folder, ranking, run_folder,
    slot,
};
use crate::train::{Settings, thread_count};

/// What `search` takes.
#[derive(Debug, Args)]
#[command(
    override_usage = "chainrule search [OPTIONS] --<SETTING> <RANGE>...",
    after_help = "Every setting of train can be a range, ends included (--lr 0.0005..0.005, --width 500..1000), one in the logarithm (--lr 1e-4..1e-1:log), one with steps (--batch-size 64..128:16), or choices \
(--activation relu,tanh; lists: --widths 256,128/512). A single value holds for all trials. In a file: [space] with lr = \"1e-4..1e-1:log\".\n\nThe study file is Optuna's journal: optuna and optuna-dashboard open \
it, and several processes started with the same command share the work. The same command goes on after an interruption.\n\nExample:\n  chainrule search --trials 50 --lr 0.0005..0.005 --width 500..1000 --depth 4..8 --dropout 0.1..0.4 --batch-size 64..128"
)]
pub struct SearchArgs {
    /// Trials of all processes and restarts together
    #[arg(long, value_name = "N", default_value_t = 50)]
    trials: usize,
    /// Study file, new or to go on with
    #[arg(long, value_name = "FILE", default_value = "search.journal")]
    study: PathBuf,
    /// The study's name in the file
    #[arg(long, value_name = "NAME", default_value = "search", value_parser = name)]
    name: String,
    /// Where to look next
    #[arg(long, value_name = "NAME", default_value = "random")]
    sampler: SamplerName,
    /// What to give up early
    #[arg(long, value_name = "NAME", default_value = "none")]
    pruner: PrunerName,
    /// What is searched for
    #[arg(long, value_name = "NAME", default_value = "val_accuracy")]
    objective: Objective,
    /// Runs of each point with different seeds; their mean counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeats: u32,
    /// Keep the runs of the best so many trials
    #[arg(long, value_name = "N", default_value_t = 4)]
    keep: usize,
    /// Read settings from a TOML file, and ranges from its section named space
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object at the end, and nothing else, on standard output
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    ranges: Ranges,
}

/// A name that can be a folder's.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.starts_with('.') || !text.chars().all(fits) {
        return Err("expected letters, digits, -, _ and .".into());
    }
    Ok(text.into())
}

/// Runs the command.
pub(super) fn run(args: &SearchArgs) -> Result<()> {
    let mut space = Space::default();
    let flags = args.ranges.split(&mut space)?;
    let lower = match &args.config {
        Some(file) => from_file(file, &mut space)?,
        None => Settings::default(),
    };
    let mut base = flags.over(&lower);
    let (seed, threads) = (
        base.train.seed.take().unwrap_or(0),
        thread_count(base.train.threads.take()),
    );
    let plan = Plan {
        name: args.name.clone(),
        space,
        base,
        seed,
        repeats: args.repeats,
        objective: args.objective,
        sampler: args.sampler,
        pruner: args.pruner,
    };
    plan.check()?;
    if args.trials == 0 {
        return Err(Error::setting("trials", "expected at least 1, found 0"));
    }
    output::check_parent(&args.study)?;
    let options = LoadOptions {
        path: plan.base.data.path.as_deref(),
        label: plan.base.data.label.as_deref(),
        test: false,
    };
    let data = Arc::new(data::load(&options)?);
    let progress = Progress::new(args.quiet, interrupt_flag()?, &plan, args.trials, threads);
    progress.introduce(&data, &args.study);
    let search = Search {
        plan: &plan,
        journal: &args.study,
        data,
        trials: args.trials,
        keep: args.keep,
        threads,
    };
    let finish = search.run(&progress);
    progress.finish();
    conclude(args, &plan, finish?)
}

/// The settings of a file; what its section `[space]` says goes into the space, unless a flag has said it.
fn from_file(path: &Path, space: &mut Space) -> Result<Settings> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let mistake = |e: toml::de::Error| {
        let before = &text[..e.span().map_or(0, |s| s.start).min(text.len())];
        Error::format(
            path,
            format!("line {}", before.matches('\n').count() + 1),
            "settings",
            e.message().trim().to_owned(),
        )
    };
    let mut table: toml::Table = toml::from_str(&text).map_err(mistake)?;
    let ranges = match table.remove("space") {
        None => toml::Table::new(),
        Some(toml::Value::Table(ranges)) => ranges,
        Some(other) => {
            return Err(Error::format(
                path,
                "space",
                "a section [space]",
                other.to_string(),
            ));
        }
    };
    for (name, value) in ranges {
        let Some(text) = value.as_str() else {
            return Err(Error::format(
                path,
                format!("space.{name}"),
                "a text such as \"0.1..0.4\"",
                value.to_string(),
            ));
        };
        let by_flag = space
            .iter()
            .any(|(known, _)| known == name.replace('-', "_"));
        if !by_flag && !space.add(&name, text)? {
            let expected = "a range or choices (a single value belongs into its own section)";
            return Err(Error::format(path, format!("space.{name}"), expected, text));
        }
    }
    Settings::from_toml(path, &table.to_string())
}

/// What the search has come to.
#[derive(Serialize)]
struct Report<'a> {
    study: &'a Path,
    name: &'a str,
    objective: &'static str,
    complete: usize,
    pruned: usize,
    failed: usize,
    exhausted: bool,
    best: Vec<Best>,
}

#[derive(Serialize)]
struct Best {
    trial: usize,
    slot: u32,
    value: f64,
    parameters: Map<String, Value>,
    /// The runs of its repeats.
    runs: Vec<PathBuf>,
}

fn conclude(args: &SearchArgs, plan: &Plan, finish: Finish) -> Result<()> {
    let journal = Journal::open(&args.study)?;
    let storage = journal.storage();
    let Some(study) = storage.study(&plan.name) else {
        return Err(Error::Check(format!(
            "the study {:?} was deleted",
            plan.name
        )));
    };
    let count = |state| storage.trials(study).filter(|t| t.state() == state).count();
    let report = Report {
        study: &args.study,
        name: &plan.name,
        objective: plan.objective.name(),
        complete: count(State::Complete),
        pruned: count(State::Pruned),
        failed: count(State::Fail),
        exhausted: finish == Finish::Exhausted,
        best: ranking(storage, study)
            .into_iter()
            .take(args.keep.max(1))
            .map(|t| best(args, plan, storage, study, t))
            .collect(),
    };
    if finish == Finish::Interrupted {
        let ended = report.complete + report.pruned;
        let text = format!(
            "interrupted after {ended} of {} trials; the same command goes on",
            args.trials
        );
        return Err(Error::Interrupted(text));
    }
    if args.json {
        return output::print_json(&report);
    }
    if args.quiet {
        return Ok(());
    }
    output::print(&in_words(&report))
}

fn best(args: &SearchArgs, plan: &Plan, storage: &Storage, study: &Study, trial: &Trial) -> Best {
    let slot = slot(storage, study, trial);
    let folder = folder(&args.study, &plan.name);
    let runs = (0..plan.repeats)
        .map(|repeat| run_folder(&folder, slot, repeat))
        .filter(|run| run.is_dir());
    let parameters = plan
        .space
        .iter()
        .filter_map(|(name, _)| Some((name.to_owned(), trial.parameter(name)?)));
    Best {
        trial: trial.number,
        slot,
        value: trial.value().unwrap_or(f64::NAN),
        parameters: parameters.collect(),
        runs: runs.collect(),
    }
}

fn in_words(report: &Report<'_>) -> String {
    let mut text = String::new();
    if report.exhausted {
        text += "every point of the space has been tried\n";
    }
    text += &format!(
        "{} complete, {} pruned, {} failed trials in {} ({})\n",
        report.complete,
        report.pruned,
        report.failed,
        report.study.display(),
        report.name
    );
    for (place, best) in report.best.iter().enumerate() {
        let parameters: Vec<String> = best
            .parameters
            .iter()
            .map(|(name, value)| format!("{name} {}", super::search_progress::short(value)))
            .collect();
        text += &format!(
            "{}. {} {:.4}  trial {}  {}\n",
            place + 1,
            report.objective,
            best.value,
            best.trial,
            parameters.join("  ")
        );
    }
    if let Some(run) = report.best.first().and_then(|b| b.runs.first()) {
        text += &format!("run of the best: {}\n", run.display());
    }
    text
}
