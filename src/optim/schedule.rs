//! Learning-rate schedules: how the rate changes during a run.
//!
//! A schedule is a pure function of the schedule step t, so a resumed run needs no state for it. Schedule steps
//! are epochs or updates (see [`By`]), counted from 0. The factor of the base rate, in a run of T schedule
//! steps:
//!
//! | schedule | factor |
//! |---|---|
//! | constant | 1 |
//! | step | `$\gamma^{\lfloor t / \text{step\_size} \rfloor}$` |
//! | multistep | `$\gamma^{k}$`, k the number of milestones ≤ t |
//! | exponential | `$\gamma^t$` |
//! | cosine | `$\tfrac12 (1 + \cos(\pi t / T))$` (Loshchilov & Hutter, “SGDR”, ICLR 2017) |
//! | onecycle | cosine from 1/25 up to 1, then down to 1/250 000 (Smith & Topin, “Super-Convergence”, 2018) |
//! | plateau | 1; the state [`Plateau`] multiplies it |
//!
//! Meaning and defaults are those of PyTorch's `torch.optim.lr_scheduler`.
//!
//! Warm-up (Goyal et al., “Accurate, Large Minibatch SGD”, 2017, section 2.2) can precede each of them. For the
//! first W steps the factor is `$(t+1)/W$`. The schedule then runs from its own step 0 over the remaining T − W
//! steps.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The unit of schedule steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The rate changes after every epoch.
    #[default]
    Epoch,
    /// The rate changes after every update.
    Update,
}

/// A schedule with its settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// The base rate throughout.
    #[default]
    Constant,
    /// × gamma every `step_size` steps.
    Step {
        /// Number of steps, at least 1.
        step_size: u64,
        /// The factor, greater than 0, default 0.1.
        gamma: f64,
    },
    /// × gamma at every milestone.
    MultiStep {
        /// Ascending.
        milestones: Vec<u64>,
        /// The factor, greater than 0, default 0.1.
        gamma: f64,
    },
    /// × gamma every step.
    Exponential {
        /// The factor, greater than 0.
        gamma: f64,
    },
    /// Half a cosine wave from the base rate to 0, over the whole run.
    Cosine,
    /// Up from a small rate to the base rate, then down to almost 0, over the whole run.
    OneCycle {
        /// The share of the run in which the rate rises, in (0, 1), default 0.3.
        pct_start: f64,
    },
    /// × factor when a metric of the validation part stops improving.
    Plateau {
        /// In (0, 1), default 0.1.
        factor: f64,
        /// Number of epochs without improvement that leave the rate as it is, default 10.
        patience: u64,
    },
}

impl Schedule {
    /// Default of step's and multistep's gamma.
    pub const GAMMA: f64 = 0.1;
    /// Default of onecycle's pct_start.
    pub const PCT_START: f64 = 0.3;
    /// Default of plateau's factor.
    pub const FACTOR: f64 = 0.1;
    /// Default of plateau's patience.
    pub const PATIENCE: u64 = 10;

    /// The rate of schedule step `t` (from 0) in a run of `total` schedule steps, after `warmup` steps of
    /// warm-up. After the end of the run cosine and onecycle keep their last rate.
    pub fn rate(&self, base_lr: f64, warmup: u64, t: u64, total: u64) -> f64 {
        if t < warmup {
            return base_lr * ((t + 1) as f64 / warmup as f64);
        }
        base_lr * self.factor(t - warmup, total.saturating_sub(warmup).max(1))
    }

    fn factor(&self, t: u64, total: u64) -> f64 {
        match self {
            Schedule::Constant | Schedule::Plateau { .. } => 1.0,
            Schedule::Step { step_size, gamma } => power(*gamma, t / step_size),
            Schedule::MultiStep { milestones, gamma } => {
                let passed = milestones.iter().filter(|&&m| m <= t).count();
                power(*gamma, passed as u64)
            }
            Schedule::Exponential { gamma } => power(*gamma, t),
            Schedule::Cosine => anneal(1.0, 0.0, t.min(total) as f64 / total as f64),
            Schedule::OneCycle { pct_start } => one_cycle(t.min(total - 1), total, *pct_start),
        }
    }

    /// Whether the rate depends on the length of the run.
    pub fn spans_run(&self) -> bool {
        matches!(self, Schedule::Cosine | Schedule::OneCycle { .. })
    }

    /// The state of a plateau schedule at the start of a run; `None` for the others.
    pub fn plateau(&self) -> Option<Plateau> {
        match *self {
            Schedule::Plateau { factor, patience } => Some(Plateau::new(factor, patience)),
            _ => None,
        }
    }

    /// Refuses settings that do not fit each other, by key.
    pub fn validate(&self, by: By) -> Result<()> {
        match self {
            Schedule::MultiStep { milestones, .. } if !milestones.is_sorted_by(|a, b| a < b) => {
                let message = format!("must ascend, found {milestones:?}");
                Err(Error::setting("milestones", message))
            }
            Schedule::Plateau { .. } if by != By::Epoch => Err(Error::setting(
                "by",
                "must be \"epoch\" with plateau, which looks at the validation part after an epoch, found \"update\"",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses a warm-up that leaves nothing to a schedule that spans the run of `total` schedule steps.
    pub fn validate_warmup(&self, warmup: u64, total: u64) -> Result<()> {
        if self.spans_run() && warmup >= total {
            return Err(Error::setting(
                "warmup",
                format!("must be less than the {total} schedule steps of the run, found {warmup}"),
            ));
        }
        Ok(())
    }
}

/// γⁿ by the portable library, like the cosine below: the last bit of the system's functions may differ between
/// machines.
fn power(gamma: f64, n: u64) -> f64 {
    libm::pow(gamma, n as f64)
}

/// The value after the share `part` of the way from `start` to `end`, along half a cosine wave.
fn anneal(start: f64, end: f64, part: f64) -> f64 {
    end + (start - end) / 2.0 * (libm::cos(PI * part) + 1.0)
}

/// The factor of onecycle at step t < total.
///
/// The rate peaks at step `$\text{pct\_start} \cdot T - 1$`, which may lie between two steps or before the
/// first one. If it is 0 the rise has no length, and the run starts at the peak (PyTorch divides by zero
/// there).
fn one_cycle(t: u64, total: u64, pct_start: f64) -> f64 {
    const START: f64 = 1.0 / 25.0;
    const END: f64 = START / 1e4;
    let t = t as f64;
    let peak = pct_start * total as f64 - 1.0;
    let last = total as f64 - 1.0;
    if t > peak {
        anneal(1.0, END, (t - peak) / (last - peak))
    } else if peak == 0.0 {
        1.0
    } else {
        anneal(START, 1.0, t / peak)
    }
}

/// The state of the plateau schedule: PyTorch's `ReduceLROnPlateau` with relative threshold 1e-4, no cooldown and no
/// smallest rate.
///
/// A loss is a cost, a score is the negative of one. An epoch is good if its cost is below the best one by more than
/// `$10^{-4}$` times the size of that, else bad. An epoch with cost NaN is bad. More than `patience` bad epochs in a
/// row lower the rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    factor: f64,
    patience: u64,
    // An option, because JSON has no infinity to start from.
    best: Option<f64>,
    bad_epochs: u64,
    scale: f64,
}

impl Plateau {
    /// The state at the start of a run.
    pub fn new(factor: f64, patience: u64) -> Self {
        Plateau {
            factor,
            patience,
            best: None,
            bad_epochs: 0,
            scale: 1.0,
        }
    }

    /// The factor of the scheduled rate.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Takes the cost of an epoch, a value of which smaller ones are better. `base_lr` is needed because a reduction by
    /// at most 1e-8 is skipped.
    pub fn observe(&mut self, cost: f64, base_lr: f64) {
        const THRESHOLD: f64 = 1e-4;
        const SMALLEST_REDUCTION: f64 = 1e-8;
        let best = self.best.unwrap_or(f64::INFINITY);
        if cost < best * (1.0 - THRESHOLD.copysign(best)) {
            self.best = Some(cost);
            self.bad_epochs = 0;
        } else {
            self.bad_epochs += 1;
        }
        if self.bad_epochs > self.patience {
            let lower = self.scale * self.factor;
            if base_lr * (self.scale - lower) > SMALLEST_REDUCTION {
                self.scale = lower;
            }
            self.bad_epochs = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates of a run of `expected.len()` steps, base rate 0.1.
    fn assert_rates(schedule: &Schedule, warmup: u64, expected: &[f64]) {
        let total = expected.len() as u64;
        for (t, &e) in (0..).zip(expected) {
            let rate = schedule.rate(0.1, warmup, t, total);
            assert!(rate.is_finite(), "step {t}: {rate}");
            assert!((rate - e).abs() <= 1e-15, "step {t}: {rate}, expected {e}");
        }
    }

    #[test]
    fn powers_of_gamma() {
        let step = Schedule::Step {
            step_size: 3,
            gamma: 0.5,
        };
        assert_rates(&step, 0, &[0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025]);
        let multi = Schedule::MultiStep {
            milestones: vec![2, 5],
            gamma: 0.1,
        };
        assert_rates(&multi, 0, &[0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001]);
        let exponential = Schedule::Exponential { gamma: 0.9 };
        assert_rates(&exponential, 0, &[0.1, 0.09, 0.081, 0.0729, 0.06561]);
        assert_rates(&Schedule::Constant, 2, &[0.05, 0.1, 0.1]);
    }

    /// `CosineAnnealingLR(o, 7)`
    #[test]
    fn cosine_is_torch_s() {
        let expected = [
            0.1,
            0.09504844339512096,
            0.08117449009293669,
            0.061126046697815725,
            0.03887395330218429,
            0.018825509907063328,
            0.004951556604879048,
        ];
        assert_rates(&Schedule::Cosine, 0, &expected);
        for after in [7, 8, 20] {
            assert_eq!(Schedule::Cosine.rate(0.1, 0, after, 7), 0.0);
        }
    }

    /// `SequentialLR(o, [LinearLR(o, 1/W, 1.0, W-1), ...], milestones=[W])` with `CosineAnnealingLR(o, 5)` and
    /// `StepLR(o, 2, .5)`
    #[test]
    fn warmup_is_torch_s() {
        let cosine = [
            0.025,
            0.05,
            0.075,
            0.1,
            0.1,
            0.09045084971874738,
            0.06545084971874737,
            0.03454915028125263,
            0.009549150281252633,
        ];
        assert_rates(&Schedule::Cosine, 4, &cosine);
        let step = Schedule::Step {
            step_size: 2,
            gamma: 0.5,
        };
        let third = 0.1 / 3.0;
        assert_rates(
            &step,
            3,
            &[third, 2.0 * third, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025],
        );
    }

    /// `OneCycleLR(o, 0.1, total_steps=T, pct_start=p, cycle_momentum=False)`
    #[test]
    fn onecycle_is_torch_s() {
        let cycle = |pct_start| Schedule::OneCycle { pct_start };
        let ten = [
            0.0040000000000000036,
            0.052000000000000005,
            0.1,
            0.09504846320134738,
            0.0811745653949763,
            0.06112620219362893,
            0.03887419780637107,
            0.0188258346050237,
            0.004951936798652629,
            4e-07,
        ];
        assert_rates(&cycle(0.3), 0, &ten);
        let peak_between_steps = [
            0.0040000000000000036,
            0.046750181997862024,
            0.0988516421226845,
            0.08844757247686304,
            0.05305827080875998,
            0.015743251279950788,
            4e-07,
        ];
        assert_rates(&cycle(0.45), 0, &peak_between_steps);
        let peak_before_start = [0.09944154354509119, 0.046263710266697504, 4e-07];
        assert_rates(&cycle(0.3), 0, &peak_before_start);
        assert_rates(&cycle(0.3), 0, &[0.0811745653949763, 4e-07]);
        assert_rates(&cycle(0.3), 0, &[4e-07]);
        assert_eq!(
            cycle(0.3).rate(0.1, 0, 12, 10),
            cycle(0.3).rate(0.1, 0, 9, 10)
        );
    }

    #[test]
    fn onecycle_without_rise_starts_at_the_peak() {
        let half = Schedule::OneCycle { pct_start: 0.5 };
        assert_rates(&half, 0, &[0.1, 4e-07]);
        let tenth = Schedule::OneCycle { pct_start: 0.1 };
        assert_eq!(tenth.rate(0.1, 0, 0, 10), 0.1);
    }

    /// The rate after each loss, as `ReduceLROnPlateau(o, factor=f, patience=p)` sets it.
    #[test]
    fn plateau_is_torch_s() {
        let check = |mut plateau: Plateau, base: f64, epochs: &[(f64, f64)]| {
            for (i, &(loss, rate)) in epochs.iter().enumerate() {
                plateau.observe(loss, base);
                let found = base * plateau.scale();
                assert!((found - rate).abs() <= 1e-15 * base, "epoch {i}: {found}");
            }
        };
        let nan = f64::NAN;
        let epochs = [
            (1.0, 0.1),
            (0.9, 0.1),
            (0.95, 0.1),
            // better than 0.9, but not by the threshold
            (0.89995, 0.05),
            (0.92, 0.05),
            (0.5, 0.05),
            (nan, 0.05),
            (0.6, 0.025),
            (0.7, 0.025),
            (0.7, 0.0125),
            (0.7, 0.0125),
        ];
        check(Plateau::new(0.5, 1), 0.1, &epochs);
        let tiny = [(1.0, 5e-8), (1.0, 5e-9), (1.0, 5e-9), (1.0, 5e-9)];
        check(Plateau::new(0.1, 0), 5e-8, &tiny);
        check(
            Plateau::new(0.5, 0),
            0.1,
            &[(nan, 0.05), (f64::INFINITY, 0.025)],
        );
    }

    /// `ReduceLROnPlateau(o, "max", factor=0.5, patience=0)`: a score must rise by more than 1e-4 of the best one.
    #[test]
    fn plateau_takes_scores_as_negative_costs() {
        let mut plateau = Plateau::new(0.5, 0);
        for (score, scale) in [
            (0.5, 1.0),
            (0.500_04, 0.5),
            (0.500_06, 0.5),
            (0.5, 0.25),
            (0.6, 0.25),
            (0.6, 0.125),
            (0.0, 0.0625),
        ] {
            plateau.observe(-score, 0.1);
            assert_eq!(plateau.scale(), scale, "{score}");
        }
        let mut from_zero = Plateau::new(0.5, 0);
        from_zero.observe(-0.0, 0.1);
        from_zero.observe(-0.1, 0.1);
        assert_eq!(from_zero.scale(), 1.0);
    }

    #[test]
    fn plateau_goes_on_after_json() {
        let mut whole = Plateau::new(0.5, 1);
        let fresh: Plateau = reload(&whole);
        assert_eq!(fresh, whole);
        whole.observe(0.123_456_789_012_345_67, 0.1);
        whole.observe(0.3, 0.1);
        let mut resumed = reload(&whole);
        whole.observe(0.3, 0.1);
        resumed.observe(0.3, 0.1);
        assert_eq!(resumed, whole);
        assert_eq!(resumed.scale(), 0.5);
    }

    fn reload(plateau: &Plateau) -> Plateau {
        serde_json::from_str(&serde_json::to_string(plateau).unwrap()).unwrap()
    }

    #[test]
    fn settings_are_checked() {
        let refused = |schedule: Schedule, by| schedule.validate(by).unwrap_err().to_string();
        let milestones = |milestones| Schedule::MultiStep {
            milestones,
            gamma: 0.1,
        };
        assert_eq!(
            refused(milestones(vec![3, 9, 9]), By::Epoch),
            "milestones: must ascend, found [3, 9, 9]"
        );
        assert!(milestones(vec![3, 9]).validate(By::Epoch).is_ok());
        let plateau = |factor| Schedule::Plateau {
            factor,
            patience: 1,
        };
        assert!(refused(plateau(0.5), By::Update).starts_with("by: must be \"epoch\""));
        assert!(plateau(0.5).validate(By::Epoch).is_ok());
    }

    #[test]
    fn warmup_leaves_room_for_a_schedule_over_the_run() {
        assert!(Schedule::Cosine.validate_warmup(4, 5).is_ok());
        assert_eq!(
            Schedule::Cosine
                .validate_warmup(5, 5)
                .unwrap_err()
                .to_string(),
            "warmup: must be less than the 5 schedule steps of the run, found 5"
        );
        assert!(Schedule::Constant.validate_warmup(50, 5).is_ok());
        assert!(Schedule::Cosine.rate(0.1, 5, 5, 5).is_finite());
    }
}
