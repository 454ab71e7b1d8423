//! Progress of a run on standard error: on a terminal a bar with metrics and time left, elsewhere one line per epoch.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output;
use crate::data::Task;
use crate::metrics::{DataPart, Metric};
use crate::train::{Control, EpochRecord, Observer, Progress, Start};

/// A task's metrics in the order in which a line shows them.
fn loss_first(task: Task) -> impl Iterator<Item = Metric> {
    Metric::of_task(task).iter().rev().copied()
}

/// Shows a run and watches for an interrupt.
pub(super) struct RunProgress {
    quiet: bool,
    bar: Option<ProgressBar>,
    interrupt: Arc<AtomicBool>,
    epochs: u32,
    task: Task,
}

impl RunProgress {
    /// The progress of a run of `epochs` epochs.
    pub(super) fn new(quiet: bool, interrupt: Arc<AtomicBool>, epochs: u32) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style =
                ProgressStyle::with_template("{prefix} {bar:30} {percent:>3}%  {msg}  {eta} left")
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
            bar.with_style(style.progress_chars("=> "))
        });
        RunProgress {
            quiet,
            bar,
            interrupt,
            epochs,
            task: Task::default(),
        }
    }

    /// Writes a line, above the bar if there is one.
    pub(super) fn line(&self, text: &str) {
        match &self.bar {
            _ if self.quiet => {}
            // Before the first batch the bar is not shown yet.
            Some(bar) if bar.length().is_some() => bar.suspend(|| output::note(text)),
            _ => output::note(text),
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for RunProgress {
    fn start(&mut self, start: &Start<'_>) {
        let Start {
            config,
            data,
            split,
            ..
        } = start;
        (self.epochs, self.task) = (config.epochs, config.task);
        let test = data.test.as_ref().map_or(0, |t| t.labels.len());
        self.line(&format!(
            "{} ({}): {} training, {} validation, {test} test samples",
            data.name,
            data.path.display(),
            split.train.len(),
            split.validation.len(),
        ));
        self.line(&format!(
            "{}: {} parameters; {}, seed {}",
            start.network.describe(),
            start.parameters,
            start.backend,
            config.seed,
        ));
        for notice in data.notices.iter().chain(&start.notices) {
            self.line(&format!("note: {notice}"));
        }
        if start.drops_single_leftover {
            let size = config.batch_size;
            self.line(&format!("note: batches of {size} leave one sample over, which batch normalisation cannot learn from; it is left out of each epoch"));
        }
        if start.progress.update > 0 {
            self.line(&format!("resumed after epoch {}", start.progress.epoch));
        }
        if let Some(path) = start.run_dir {
            self.line(&format!("run: {}", path.display()));
        }
        if start.is_unlocked {
            self.line(
                "note: the file system has no locks; do not run a second process in this folder",
            );
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    fn batch(&mut self, progress: &Progress, batches: usize) {
        let Some(bar) = &self.bar else { return };
        if bar.length().is_none() {
            bar.set_length(u64::from(self.epochs) * batches as u64);
            // The estimate of the time left must not count the batches before a resume.
            bar.set_position(progress.update.saturating_sub(1));
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        let partial = &progress.partial;
        bar.set_position(progress.update);
        bar.set_prefix(format!("epoch {}/{}", progress.epoch + 1, self.epochs));
        let value = |m: Metric| {
            Some(format!(
                "  {} {}",
                m.short_name(),
                m.format(partial.get(m)?)
            ))
        };
        let values = loss_first(self.task).filter_map(value);
        bar.set_message(values.collect::<String>().trim_start().to_owned());
    }

    fn epoch(&mut self, record: &EpochRecord, best: bool) -> Control {
        let digits = self.epochs.to_string().len();
        let mut text = format!("epoch {:>digits$}/{}", record.epoch, self.epochs);
        for part in [DataPart::Training, DataPart::Validation] {
            for metric in loss_first(self.task) {
                let of_part = metric.of(part);
                if let Some(value) = record.get(of_part) {
                    text += &format!("  {} {}", of_part.short_name(), metric.format(value));
                }
            }
        }
        text += &format!("  lr {:.3e}  {:.2} s", record.lr, record.train_seconds);
        if best && record.evaluation(DataPart::Validation).is_some() {
            text += "  best";
        }
        self.line(&text);
        Control::Continue
    }
}
