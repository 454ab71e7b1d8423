//! Progress of a search on standard error: on a terminal a bar for each worker and one for all, elsewhere a line for
//! each trial.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use humantime::format_duration;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;
use crate::error::Result;
use crate::search::journal::{Origin, Storage, Study};
use crate::search::{
    Assignment, Awaited, Claim, End, Pace, SamplerName, Search, StudyTask, Watcher, workers,
};
use crate::text::number::shown;

/// The length of a worker's bar.
const PARTS: u64 = 1000;

/// The time before the first estimate of the time left: earlier the speed is not known well enough.
const FIRST_ESTIMATE: Duration = Duration::from_secs(3);

/// Shows a search and watches for an interrupt.
pub(super) struct SearchProgress<'a> {
    quiet: bool,
    interrupt: Arc<AtomicBool>,
    tasks: &'a [StudyTask<'a>],
    bars: Option<SearchBars>,
    start: Instant,
    pace: Mutex<Pace>,
    foreign_timeout: Duration,
    /// The trials of other processes that are waited for: task and number.
    awaited: Mutex<HashSet<(usize, usize)>>,
}

struct SearchBars {
    all: MultiProgress,
    workers: Vec<ProgressBar>,
    whole: ProgressBar,
}

impl SearchBars {
    fn new(trials: usize, workers: usize) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let style = |template| {
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ")
        };
        let worker = |_| {
            all.add(
                ProgressBar::new(PARTS)
                    .with_style(style("{prefix:>12} {bar:20} {percent:>3}%  {msg}")),
            )
        };
        let workers = (0..workers).map(worker).collect();
        let whole = all.add(
            ProgressBar::new(trials as u64)
                .with_style(style("{prefix:>12} {bar:20} {pos}/{len}  {msg}")),
        );
        whole.set_prefix("all");
        SearchBars {
            all,
            workers,
            whole,
        }
    }
}

impl<'a> SearchProgress<'a> {
    /// `afterwards` is the cost of the work after the trials, for the estimate of the time left.
    pub(super) fn new(
        search: &Search<'a>,
        quiet: bool,
        afterwards: f64,
        interrupt: Arc<AtomicBool>,
    ) -> Result<Self> {
        let trials = search.tasks.iter().map(|t| t.trials).sum();
        let workers = workers(search.tasks, search.threads);
        let bars =
            (!quiet && std::io::stderr().is_terminal()).then(|| SearchBars::new(trials, workers));
        Ok(SearchProgress {
            quiet,
            interrupt,
            tasks: search.tasks,
            bars,
            start: Instant::now(),
            pace: Mutex::new(Pace::new(search.tasks, &search.data, workers, afterwards)?),
            foreign_timeout: search.foreign_timeout,
            awaited: Mutex::default(),
        })
    }

    /// Describes the data set and the tasks.
    pub(super) fn introduce(&self, search: &Search<'_>) {
        let data = &search.data;
        self.line(&format!(
            "{} ({}): {} samples",
            data.name,
            data.path.display(),
            data.train.labels.len()
        ));
        for task in self.tasks {
            let names: Vec<&str> = task.plan.space.iter().map(|(name, _)| name).collect();
            let kind = match task.plan.sampler {
                SamplerName::Grid => "values of",
                _ => "trials over",
            };
            self.line(&format!(
                "{}: {} {kind} {}, {} {} each",
                task.plan.name,
                task.trials,
                names.join(", "),
                task.plan.repeats,
                match task.plan.repeats {
                    1 => "run",
                    _ => "runs",
                },
            ));
        }
        self.line(&format!("study file: {}", search.journal.display()));
        for notice in &data.notices {
            self.line(&format!("note: {notice}"));
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.all.clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            _ if self.quiet => {}
            Some(bars) => bars.all.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }

    fn describe(&self, assignment: Assignment, claim: &Claim) -> String {
        let space = &self.tasks[assignment.task].plan.space;
        let values = space
            .iter()
            .zip(&claim.point)
            .filter_map(|((name, distribution), &x)| {
                Some(format!("{name} {}", shown(&distribution.external(x)?)))
            });
        values.collect::<Vec<_>>().join("  ")
    }

    fn worker(&self, assignment: Assignment) -> Option<&ProgressBar> {
        self.bars.as_ref()?.workers.get(assignment.worker)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// "  about 12 minutes left", or nothing before [`FIRST_ESTIMATE`].
    fn time_left(&self) -> String {
        let elapsed = self.start.elapsed();
        let left = self
            .pace()
            .time_left(elapsed)
            .filter(|_| elapsed >= FIRST_ESTIMATE);
        left.map_or_else(String::new, |left| {
            format!("  about {} left", HumanDuration(left))
        })
    }

    /// The number of trials with a result, over all tasks.
    fn ended(&self, storage: &Storage) -> usize {
        let studies = self
            .tasks
            .iter()
            .filter_map(|t| storage.study(&t.plan.name));
        studies.map(|study| storage.results(study)).sum()
    }
}

impl Watcher for SearchProgress<'_> {
    fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    fn joined(&self, storage: &Storage) {
        self.pace().begin(self.tasks, storage);
        let ended = self.ended(storage);
        if let Some(bars) = &self.bars {
            bars.whole.set_position(ended as u64);
        }
        if ended > 0 {
            self.line(&format!("{ended} trials have a result already"));
        }
    }

    fn waiting(&self, assignment: Assignment, awaited: &[Awaited]) {
        let elsewhere = awaited.iter().filter(|t| t.origin != Origin::ThisProcess);
        for trial in elsewhere {
            let is_new = self
                .awaited
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .insert((assignment.task, trial.number));
            if is_new {
                self.line(&self.about_waiting(assignment, trial));
            }
        }
    }

    fn refused(&self, assignment: Assignment, number: usize, why: &str) {
        let name = self.name_of(assignment);
        self.line(&format!("{name}trial {number:>3}  failed: {why}"));
    }

    fn began(&self, assignment: Assignment, claim: &Claim) {
        if let Some(bar) = self.worker(assignment) {
            bar.set_position(0);
            bar.set_prefix(format!("trial {}", claim.number));
            bar.set_message(self.describe(assignment, claim));
        }
    }

    fn batch(&self, assignment: Assignment, claim: &Claim, share: f64) {
        self.pace().advance(assignment, claim, share);
        if let Some(bar) = self.worker(assignment) {
            bar.set_position((share * PARTS as f64) as u64);
        }
    }

    fn epoch(&self, assignment: Assignment, claim: &Claim, _step: u64, value: f64) {
        if let (Some(bar), Some(bars)) = (self.worker(assignment), &self.bars) {
            let objective = self.tasks[assignment.task].plan.objective;
            let text = format!(
                "{} {}  {}",
                objective.name(),
                objective.metric().format(value),
                self.describe(assignment, claim)
            );
            bar.set_message(text);
            bars.whole
                .set_message(self.time_left().trim_start().to_owned());
        }
    }

    fn ended(
        &self,
        assignment: Assignment,
        claim: &Claim,
        end: End,
        storage: &Storage,
        study: &Study,
    ) {
        let plan = self.tasks[assignment.task].plan;
        let metric = plan.objective.metric();
        let outcome = match end {
            End::Complete(value) => format!("{} {}", plan.objective.name(), metric.format(value)),
            End::Pruned(value) => format!("pruned at {}", metric.format(value)),
            End::Diverged => "diverged".into(),
            End::Failed(why) => format!("failed: {why}"),
            End::Lost => "ended or taken over by another worker".into(),
            End::Interrupted => return,
        };
        {
            let mut pace = self.pace();
            pace.end(assignment);
            pace.update(self.tasks, storage);
        }
        let best = storage
            .best(study)
            .filter(|_| plan.sampler != SamplerName::Grid);
        let best = best
            .and_then(|t| {
                let value = metric.format(t.value()?);
                Some(format!("  best {value} (trial {})", t.number))
            })
            .unwrap_or_default();
        let (ended, left) = (self.ended(storage), self.time_left());
        let trials: usize = self.tasks.iter().map(|t| t.trials).sum();
        if let Some(bars) = &self.bars {
            bars.whole.set_position(ended as u64);
            bars.whole
                .set_message(format!("{best}{left}").trim_start().to_owned());
        }
        if let Some(bar) = self.worker(assignment) {
            bar.set_position(0);
        }
        let name = self.name_of(assignment);
        self.line(&format!(
            "{name}trial {:>3}  {outcome}  {}  [{ended}/{trials}]{best}{left}",
            claim.number,
            self.describe(assignment, claim),
        ));
    }
}

impl SearchProgress<'_> {
    /// Which trial is waited for, since when, and for how long.
    fn about_waiting(&self, assignment: Assignment, trial: &Awaited) -> String {
        let name = self.name_of(assignment);
        let since = trial
            .since
            .as_deref()
            .unwrap_or("a time that it does not tell");
        let (whose, rest) = match trial.origin {
            Origin::OtherProgram => {
                let timeout = format_duration(self.foreign_timeout);
                let rest = format!(
                    "; goes on without it after {timeout} without news (--foreign-timeout)"
                );
                ("another program", rest)
            }
            _ => ("another process", String::new()),
        };
        format!(
            "{name}waiting for trial {}, which {whose} runs since {since} (worker {}){rest}",
            trial.number, trial.worker,
        )
    }

    /// The name of the task's study if there are several, as the beginning of a line.
    fn name_of(&self, assignment: Assignment) -> String {
        match self.tasks {
            [_] => String::new(),
            tasks => {
                let name = &tasks[assignment.task].plan.name;
                format!("{name:<width$}  ", width = self.longest_name())
            }
        }
    }

    fn longest_name(&self) -> usize {
        self.tasks
            .iter()
            .map(|t| t.plan.name.len())
            .max()
            .unwrap_or(0)
    }
}
