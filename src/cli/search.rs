//! `search`: many trials in a space of settings.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::interrupt::interrupt_flag;
use super::output;
use super::search_common::{Base, Common, Work, with_notices};
use crate::error::{Error, MAX_NAME_BYTES, Result};
use crate::metrics::ValidationMetric;
use crate::search::journal::{Journal, Storage, Study, Trial, TrialState};
use crate::search::{
    Finish, Plan, PrunerName, SamplerName, Slots, Space, StudyTask, folder, ranking, run_folder,
};
use crate::settings::{Settings, utf8_path};
use crate::text::number::shown;
use crate::text::printable::printable_path;

/// What `search` takes.
#[derive(Debug, Args)]
#[command(
    override_usage = "chainrule search [OPTIONS] --<SETTING> <RANGE>...",
    after_help = "Every setting of train takes a range with both ends (--lr 0.0005..0.005, --width 500..1000), a logarithmic range (--lr 1e-4..1e-1:log), a range with steps (--batch-size 64..128:16), or choices \
(--activation relu,tanh; lists: --widths 256,128/512). A single value is used for all trials. In a file, write [space] with lr = \"1e-4..1e-1:log\".\n\nThe study file is Optuna's journal: optuna and optuna-dashboard open \
it, and several processes started with the same command share the work. After an interruption the same command continues.\n\nExample:\n  chainrule search --trials 50 --lr 0.0005..0.005 --width 500..1000 --depth 4..8 --dropout 0.1..0.4 --batch-size 64..128"
)]
pub struct SearchArgs {
    /// Number of trials, over all processes and restarts
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=MAX_TRIALS), allow_hyphen_values = true)]
    trials: u32,
    /// Study file, new or to continue
    #[arg(long, value_name = "FILE", default_value = "search.journal", value_parser = utf8_path())]
    study: PathBuf,
    /// Name of the study in the file
    #[arg(long, value_name = "NAME", default_value = "search", value_parser = name)]
    name: String,
    /// How the next point is chosen
    #[arg(long, value_name = "NAME", default_value = "random")]
    sampler: SamplerName,
    /// Which trials are given up early
    #[arg(long, value_name = "NAME", default_value = "none")]
    pruner: PrunerName,
    /// Number of runs of each point, with different seeds; their mean is the trial's value
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_hyphen_values = true
    )]
    repeats: u32,
    /// Number of best trials whose runs are kept
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        allow_hyphen_values = true
    )]
    keep: usize,
    #[command(flatten)]
    common: Common,
}

/// The largest number of trials. A larger number is refused as a mistake.
const MAX_TRIALS: i64 = 1_000_000;

/// Parses a name that can also be the name of a folder.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.starts_with('.') || !text.chars().all(fits) {
        return Err("expected letters, digits, -, _ and .".into());
    }
    match text.len() {
        0..=MAX_NAME_BYTES => Ok(text.into()),
        found => Err(format!(
            "expected at most {MAX_NAME_BYTES} bytes, found {found}"
        )),
    }
}

/// Runs the command.
pub(super) fn run(args: &SearchArgs) -> Result<()> {
    let mut space = Space::default();
    let base = Base::new(args.common.searched(&mut space)?)?;
    if args.keep == 0 {
        base.expect_unwatched()?;
    }
    let mut plan = Plan {
        name: args.name.clone(),
        space,
        base: base.settings.clone(),
        unsaid: Settings::default(),
        seed: base.seed,
        repeats: args.repeats,
        objective: args.common.objective(base.task()),
        sampler: args.sampler,
        pruner: args.pruner,
    };
    plan.check()?;
    output::check_output(&args.study)?;
    let data = base.load(false)?;
    plan.objective = args.common.objective(data.task);
    let chosen = plan.suit(&data, &args.study)?;
    let data = with_notices(data, chosen);
    let task = StudyTask {
        plan: &plan,
        trials: args.trials as usize,
        keep: args.keep,
    };
    let work = Work {
        tasks: &[task],
        journal: &args.study,
        data,
        threads: base.threads,
        foreign_timeout: args.common.foreign_timeout,
        quiet: args.common.quiet,
        afterwards: 0.0,
        interrupt: interrupt_flag()?,
    };
    let finishes = work.run()?;
    conclude(args, &plan, finishes[0])
}

/// The results of the search.
#[derive(Serialize)]
struct SearchReport<'a> {
    study: &'a Path,
    name: &'a str,
    objective: ValidationMetric,
    complete: usize,
    pruned: usize,
    failed: usize,
    exhausted: bool,
    best: Vec<BestTrial>,
}

#[derive(Serialize)]
struct BestTrial {
    trial: usize,
    slot: Option<u32>,
    value: f64,
    parameters: Map<String, Value>,
    /// The folders of the runs of its repeats.
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
    let report = SearchReport {
        study: &args.study,
        name: &plan.name,
        objective: plan.objective,
        complete: count(TrialState::Complete),
        pruned: count(TrialState::Pruned),
        failed: count(TrialState::Fail),
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
            "interrupted after {ended} of {} trials; the same command continues it",
            args.trials
        );
        return Err(Error::Interrupted(text));
    }
    if args.common.json {
        return output::print_json(&report);
    }
    if args.common.quiet {
        return Ok(());
    }
    output::print(&in_words(&report))
}

fn best(
    args: &SearchArgs,
    plan: &Plan,
    storage: &Storage,
    study: &Study,
    trial: &Trial,
) -> BestTrial {
    let slot = Slots::of(storage, study).slot(trial);
    let folder = folder(&args.study, &plan.name);
    let runs = slot
        .into_iter()
        .flat_map(|slot| (0..plan.repeats).map(move |repeat| (slot, repeat)))
        .map(|(slot, repeat)| run_folder(&folder, slot, repeat))
        .filter(|run| run.is_dir());
    let parameters = plan
        .space
        .iter()
        .filter_map(|(name, _)| Some((name.to_owned(), trial.parameter(name)?)));
    BestTrial {
        trial: trial.number,
        slot,
        value: trial.value().unwrap_or(f64::NAN),
        parameters: parameters.collect(),
        runs: runs.collect(),
    }
}

fn in_words(report: &SearchReport<'_>) -> String {
    let mut text = String::new();
    if report.exhausted {
        text += "every point of the space has been tried\n";
    }
    text += &format!(
        "{} complete, {} pruned, {} failed trials in {} ({})\n",
        report.complete,
        report.pruned,
        report.failed,
        printable_path(report.study),
        report.name
    );
    for (place, best) in report.best.iter().enumerate() {
        let parameters: Vec<String> = best
            .parameters
            .iter()
            .map(|(name, value)| format!("{name} {}", shown(value)))
            .collect();
        text += &format!(
            "{}. {} {}  trial {}  {}\n",
            place + 1,
            report.objective.name(),
            report.objective.metric().format(best.value),
            best.trial,
            parameters.join("  ")
        );
    }
    if let Some(run) = report.best.first().and_then(|b| b.runs.first()) {
        text += &format!("run of the best: {}\n", run.display());
    }
    text
}
