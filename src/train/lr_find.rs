//! The learning-rate range test (Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3), with
//! the names and the defaults of Lightning's `lr_find`.
//!
//! One short training, in which the rate rises by the same factor from batch to batch. Where it is too small the loss
//! stays; then the loss falls; where it is too large the loss rises. The rate at which the loss falls fastest is the
//! suggestion. The loss is that of each batch before its update, and noisy: it is smoothed by an exponential moving
//! average with Adam's correction for its start,
//!
//! ```math
//! a_i = \beta a_{i-1} + (1-\beta) \ell_i, \qquad s_i = a_i / (1-\beta^i)
//! ```

use std::sync::Arc;

use serde::Serialize;

use super::fit::Observer;
use super::run::{RunOptions, run_with};
use super::trainer::Progress;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::optim::By;
use crate::settings::{Config, ScheduleName, ScheduleSettings, Settings};

/// The first tenth of the steps, and at least this many, are no suggestion: the average has just begun.
const SKIPPED: usize = 10;

/// How the rate rises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeTestOptions {
    /// The first rate.
    pub min_lr: f64,
    /// The last rate.
    pub max_lr: f64,
    /// Updates from the first to the last rate.
    pub steps: u32,
    /// Stop once the smoothed loss is this many times the best.
    pub early_stop_threshold: f64,
    /// β of the moving average, in `[0, 1)`.
    pub smoothing: f64,
}

/// A step of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RateLoss {
    /// The rate of the update.
    pub lr: f64,
    /// The batch's mean objective before it.
    pub loss: f64,
    /// The moving average of the losses.
    pub smoothed: f64,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeTestEnd {
    /// The last rate was reached.
    LastRate,
    /// The smoothed loss rose above the threshold.
    LossRose,
    /// The loss, or a weight, stopped being a finite number.
    Diverged,
}

/// What a range test has shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeTest {
    /// The rate at which the smoothed loss falls fastest.
    pub suggestion: Option<f64>,
    /// Why there is no suggestion.
    pub reason: Option<String>,
    /// How it ended.
    pub end: RangeTestEnd,
    /// The updates, in order.
    pub steps: Vec<RateLoss>,
}

impl RangeTestOptions {
    /// Refuses rates, steps and thresholds that make no test.
    ///
    /// # Errors
    /// Names the flag, what is expected and what was found.
    pub fn check(&self) -> Result<()> {
        let refuse = |key: &str, message: String| Err(Error::setting(key, message));
        let RangeTestOptions { min_lr, max_lr, .. } = *self;
        if !(min_lr > 0.0 && min_lr.is_finite()) {
            return refuse(
                "--min-lr",
                format!("expected a rate above 0, found {min_lr}"),
            );
        }
        if !(max_lr > min_lr && max_lr.is_finite()) {
            let message = format!("expected a rate above --min-lr {min_lr}, found {max_lr}");
            return refuse("--max-lr", message);
        }
        let least = 2 * SKIPPED as u32;
        if self.steps < least {
            let message = format!("expected at least {least}, found {}", self.steps);
            return refuse("--steps", message);
        }
        let threshold = self.early_stop_threshold;
        if !(threshold > 1.0 && threshold.is_finite()) {
            let message = format!("expected a factor above 1, found {threshold}");
            return refuse("--early-stop-threshold", message);
        }
        if !(0.0..1.0).contains(&self.smoothing) {
            let message = format!("expected a number in [0, 1), found {}", self.smoothing);
            return refuse("--smoothing", message);
        }
        Ok(())
    }

    /// The settings of the short training: those of a run, with the rising rate, and nothing measured beside.
    fn settings(&self, of_run: &Settings) -> Settings {
        let mut settings = of_run.clone();
        settings.optimizer.lr = Some(self.min_lr);
        settings.schedule = ScheduleSettings {
            name: Some(ScheduleName::Exponential),
            by: Some(By::Update),
            gamma: Some(libm::pow(
                self.max_lr / self.min_lr,
                1.0 / f64::from(self.steps - 1),
            )),
            ..ScheduleSettings::default()
        };
        // An epoch has at least one batch; the observer ends the training.
        settings.train.epochs = Some(self.steps);
        settings.train.patience = None;
        settings.train.monitor = None;
        settings.train.watch = None;
        settings.data.test = Some(false);
        settings
    }
}

/// Trains with a rising rate, and says which rate to take. Nothing is written. `of_run` are the settings of the run to
/// come; its rate, schedule, epochs and patience have no part in the test. The same seed gives the same bits.
///
/// # Errors
/// If options, settings and data do not fit each other, a device fails, or `observer` interrupts the test.
pub fn lr_find(
    of_run: &Settings,
    options: &RangeTestOptions,
    load: impl FnOnce(&Config) -> Result<Arc<Dataset>>,
    run_options: &RunOptions<'_>,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<RangeTest> {
    options.check()?;
    let config = Config::new(&options.settings(of_run))?;
    let data = load(&config)?;
    let mut curve = RateCurve {
        options: *options,
        interrupted,
        steps: Vec::new(),
        average: 0.0,
        weight: 1.0,
        best: f64::INFINITY,
        epoch_sum: 0.0,
        rose: false,
    };
    let outcome = run_with(config, data, run_options, &mut curve)?;
    if interrupted() {
        return Err(Error::Interrupted(
            "interrupted; nothing was written".into(),
        ));
    }
    let end = match (curve.rose, outcome.summary.diverged) {
        (true, _) => RangeTestEnd::LossRose,
        (_, true) => RangeTestEnd::Diverged,
        _ => RangeTestEnd::LastRate,
    };
    let (suggestion, reason) = match suggest(&curve.steps, options.steps, end) {
        Ok(lr) => (Some(lr), None),
        Err(why) => (None, Some(why)),
    };
    Ok(RangeTest {
        suggestion,
        reason,
        end,
        steps: curve.steps,
    })
}

/// Collects the steps, and ends the training.
struct RateCurve<'a> {
    options: RangeTestOptions,
    interrupted: &'a (dyn Fn() -> bool + Sync),
    steps: Vec<RateLoss>,
    /// The moving average before its correction.
    average: f64,
    /// βⁱ.
    weight: f64,
    best: f64,
    /// The sum of the epoch's losses before this batch.
    epoch_sum: f64,
    rose: bool,
}

impl RateCurve<'_> {
    fn is_over(&self) -> bool {
        self.rose || self.steps.len() == self.options.steps as usize
    }

    fn add(&mut self, lr: f64, loss: f64) {
        let beta = self.options.smoothing;
        self.average = beta * self.average + (1.0 - beta) * loss;
        self.weight *= beta;
        let smoothed = self.average / (1.0 - self.weight);
        self.steps.push(RateLoss { lr, loss, smoothed });
        self.rose =
            self.steps.len() > 1 && smoothed > self.options.early_stop_threshold * self.best;
        self.best = self.best.min(smoothed);
    }
}

impl Observer for RateCurve<'_> {
    fn interrupted(&self) -> bool {
        self.is_over() || (self.interrupted)()
    }

    fn batch(&mut self, progress: &Progress, _batches: usize) {
        let partial = &progress.partial;
        if partial.batches == 1 {
            self.epoch_sum = 0.0;
        }
        let loss = partial.loss_sum() - self.epoch_sum;
        self.epoch_sum = partial.loss_sum();
        // A device may have begun steps after the last one.
        if !self.is_over() {
            self.add(partial.lr(), loss);
        }
    }
}

/// The mean of some steps' losses, and its standard error.
fn mean(steps: &[RateLoss]) -> (f64, f64) {
    let count = steps.len() as f64;
    let mean = steps.iter().map(|s| s.loss).sum::<f64>() / count;
    let squares = steps.iter().map(|s| (s.loss - mean) * (s.loss - mean));
    let variance = squares.sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// The rate at which the smoothed loss falls fastest, or why there is none; `asked` steps were to be made.
///
/// # Errors
/// If the loss never fell, or fell up to the end.
fn suggest(steps: &[RateLoss], asked: u32, end: RangeTestEnd) -> Result<f64, String> {
    let skipped = SKIPPED.max(asked as usize / 10);
    if steps.len() <= skipped + 1 {
        return Err(format!(
            "the test ended after {} steps: lower --min-lr",
            steps.len()
        ));
    }
    let (first, error) = mean(&steps[..skipped]);
    let later = steps.iter().enumerate().skip(skipped);
    let (lowest, best) = later
        .min_by(|a, b| a.1.smoothed.total_cmp(&b.1.smoothed))
        .expect("more steps than are skipped");
    if first - best.smoothed <= (0.01 * first.abs()).max(3.0 * error) {
        return Err(format!(
            "the loss never fell by more than its noise: it began at {first:.4} ± {error:.4}, and its lowest smoothed \
             value is {:.4}; a larger --batch-size or more --steps make it less noisy",
            best.smoothed
        ));
    }
    // The average lags behind: whether the loss still falls is seen in the losses themselves.
    let tail = skipped.min(steps.len() / 2);
    let (before, last) = steps[steps.len() - 2 * tail..].split_at(tail);
    if lowest == steps.len() - 1 && end == RangeTestEnd::LastRate && mean(last).0 < mean(before).0 {
        return Err(format!(
            "the loss fell up to the last rate, {:.1e}: raise --max-lr",
            best.lr
        ));
    }
    // The rates rise by one factor: the slope by the step is that by the rate's logarithm.
    let slope = |i: usize| (steps[i + 1].smoothed - steps[i - 1].smoothed) / 2.0;
    let inner = skipped..=lowest.min(steps.len() - 2);
    let steepest = inner.min_by(|&a, &b| slope(a).total_cmp(&slope(b)));
    let none = "the loss fell in the first steps alone: lower --min-lr";
    steepest.map(|i| steps[i].lr).ok_or_else(|| none.to_owned())
}

impl RangeTest {
    /// The smoothed losses worth showing: from the lowest to the largest before it. Behind it they may be larger by
    /// powers of ten.
    pub fn shown_losses(&self) -> (f64, f64) {
        let steps = self.steps.iter().enumerate();
        let lowest = steps.min_by(|a, b| a.1.smoothed.total_cmp(&b.1.smoothed));
        let Some((place, lowest)) = lowest else {
            return (0.0, 1.0);
        };
        let largest = |steps: &[RateLoss]| {
            steps
                .iter()
                .map(|s| s.smoothed)
                .fold(lowest.smoothed, f64::max)
        };
        match largest(&self.steps[..place]) {
            before if before > lowest.smoothed => (lowest.smoothed, before),
            _ => (lowest.smoothed, largest(&self.steps)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(losses: impl IntoIterator<Item = f64>) -> Vec<RateLoss> {
        let step = |(i, loss): (i32, f64)| RateLoss {
            lr: libm::pow(10.0, f64::from(i) / 10.0 - 8.0),
            loss,
            smoothed: loss,
        };
        (0..).zip(losses).map(step).collect()
    }

    #[test]
    fn the_suggestion_is_where_the_loss_falls_fastest() {
        let sigmoid = |i: i32| 1.0 / (1.0 + libm::exp(f64::from(i - 40) / 4.0));
        let falls = (0..60).map(|i| 1.0 + sigmoid(i));
        let steps = curve(falls.clone().chain((0..20).map(|i| 1.1 + f64::from(i))));
        let lr = suggest(&steps, 80, RangeTestEnd::LossRose).unwrap();
        assert_eq!(lr, steps[40].lr);
        let why = suggest(&curve(falls), 60, RangeTestEnd::LastRate).unwrap_err();
        assert!(why.contains("raise --max-lr"), "{why}");
    }

    #[test]
    fn there_is_none_where_the_loss_does_not_fall() {
        let noise = (0..80).map(|i| 2.3 + 0.01 * f64::from(i % 7));
        let mut noise = curve(noise);
        // One loss alone is lower than the first ones; their average is not.
        let (mut average, mut weight) = (0.0, 1.0);
        for step in &mut noise {
            average = 0.98 * average + 0.02 * step.loss;
            weight *= 0.98;
            step.smoothed = average / (1.0 - weight);
        }
        let why = suggest(&noise, 80, RangeTestEnd::LastRate).unwrap_err();
        assert!(why.contains("never fell"), "{why}");
        let rises = (0..80).map(|i| 2.3 + f64::from(i) / 10.0);
        assert!(suggest(&curve(rises), 80, RangeTestEnd::LossRose).is_err());
        let why = suggest(&curve([1.0; 5]), 80, RangeTestEnd::Diverged).unwrap_err();
        assert!(why.contains("--min-lr"), "{why}");
    }
}
