//! Progress of a search: one line a worker and one for the whole on a terminal, a plain line a trial elsewhere; both on standard error.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::io::IsTerminal;

use super::output;
use crate::data::Dataset;
use crate::search::journal::{Storage, Study};
use crate::search::{Claim, End, Plan, Watcher};

/// Parts of a worker's bar.
const PARTS: u64 = 1000;

/// Shows a search and watches for an interrupt.
pub(super) struct Progress<'a> {
    quiet: bool,
    interrupt: Arc<AtomicBool>,
    plan: &'a Plan,
    trials: usize,
    bars: Option<Bars>,
    pace: Mutex<Pace>,
}

struct Bars {
    all: MultiProgress,
    workers: Vec<ProgressBar>,
    whole: ProgressBar,
}

/// What the time left is estimated from.
struct Pace {
    start: Instant,
    /// Trials that had ended when this process began, and trials that this and other processes have ended since.
    before: Option<usize>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(
        quiet: bool,
        interrupt: Arc<AtomicBool>,
        plan: &'a Plan,
        trials: usize,
        workers: usize,
    ) -> Self {
        let bars = (!quiet && std::io::stderr().is_terminal()).then(|| {
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
            let workers = (0..workers.min(trials)).map(worker).collect();
            let whole = all.add(
                ProgressBar::new(trials as u64)
                    .with_style(style("{prefix:>12} {bar:20} {pos}/{len}  {msg}")),
            );
            whole.set_prefix("all");
            Bars {
                all,
                workers,
                whole,
            }
        });
        Progress {
            quiet,
            interrupt,
            plan,
            trials,
            bars,
            pace: Mutex::new(Pace {
                start: Instant::now(),
                before: None,
            }),
        }
    }

    pub(super) fn introduce(&self, data: &Dataset, study: &Path) {
        let ranges: Vec<String> = self
            .plan
            .space
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        self.line(&format!(
            "{} ({}): {} samples",
            data.name,
            data.path.display(),
            data.train.labels.len()
        ));
        self.line(&format!(
            "{} trials over {}; study {} in {}",
            self.trials,
            ranges.join(", "),
            self.plan.name,
            study.display()
        ));
        data.notices
            .iter()
            .for_each(|notice| self.line(&format!("note: {notice}")));
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

    fn describe(&self, claim: &Claim) -> String {
        let values =
            self.plan
                .space
                .iter()
                .zip(&claim.point)
                .filter_map(|((name, distribution), &x)| {
                    Some(format!("{name} {}", short(&distribution.external(x)?)))
                });
        values.collect::<Vec<_>>().join("  ")
    }

    /// How many have ended, and how long the others will take at this process's and its companions' pace.
    fn pace(&self, storage: &Storage, study: &Study) -> (usize, Option<Duration>) {
        let ended = storage.results(study);
        let mut pace = self.pace.lock().unwrap_or_else(|e| e.into_inner());
        let before = *pace.before.get_or_insert(ended.saturating_sub(1));
        let since = ended.saturating_sub(before);
        let left = self.trials.saturating_sub(ended);
        let each = pace.start.elapsed().as_secs_f64() / since.max(1) as f64;
        (
            ended,
            (since > 0 && left > 0).then(|| Duration::from_secs_f64(each * left as f64)),
        )
    }
}

impl Watcher for Progress<'_> {
    fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    fn began(&self, worker: usize, claim: &Claim) {
        let Some(bar) = self.bars.as_ref().and_then(|b| b.workers.get(worker)) else {
            return;
        };
        bar.set_position(0);
        bar.set_prefix(format!("trial {}", claim.number));
        bar.set_message(self.describe(claim));
    }

    fn batch(&self, worker: usize, _claim: &Claim, share: f64) {
        let Some(bar) = self.bars.as_ref().and_then(|b| b.workers.get(worker)) else {
            return;
        };
        bar.set_position((share * PARTS as f64) as u64);
    }

    fn epoch(&self, worker: usize, claim: &Claim, _step: u64, value: f64) {
        let Some(bar) = self.bars.as_ref().and_then(|b| b.workers.get(worker)) else {
            return;
        };
        bar.set_message(format!(
            "{} {value:.4}  {}",
            self.plan.objective.name(),
            self.describe(claim)
        ));
    }

    fn ended(&self, worker: usize, claim: &Claim, end: End, storage: &Storage, study: &Study) {
        let outcome = match end {
            End::Complete(value) => format!("{} {value:.4}", self.plan.objective.name()),
            End::Pruned(value) => format!("pruned at {value:.4}"),
            End::Diverged => "diverged".into(),
            End::Interrupted => return,
        };
        let (ended, left) = self.pace(storage, study);
        let left = left.map_or(String::new(), |left| {
            format!("  about {} left", HumanDuration(left))
        });
        let best = storage
            .best(study)
            .and_then(|t| Some(format!("  best {:.4} (trial {})", t.value()?, t.number)));
        let best = best.unwrap_or_default();
        if let Some(bars) = &self.bars {
            bars.whole.set_position(ended as u64);
            bars.whole
                .set_message(format!("{}{left}", best.trim_start()));
            if let Some(bar) = bars.workers.get(worker) {
                bar.set_position(0);
            }
        }
        self.line(&format!(
            "trial {:>3}  {outcome}  {}  [{ended}/{}]{best}{left}",
            claim.number,
            self.describe(claim),
            self.trials
        ));
    }
}

/// A value with as many digits as a reader wants.
pub(super) fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let x = number.as_f64().unwrap_or(f64::NAN);
            if x != 0.0 && x.abs() < 0.001 {
                format!("{x:.2e}")
            } else {
                format!("{x:.4}")
            }
        }
        other => other.to_string(),
    }
}
