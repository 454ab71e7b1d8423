//! The pending losses of a backend that knows each loss at once.

use std::cell::{Cell, RefCell};

use super::BatchTargets;
use crate::error::{Error, Result};
use crate::ops::loss::{BatchLoss, Loss};
use crate::real::Real;

/// How many may be pending: a caller that waits for nothing collects each one before the next.
pub(super) const ROOM: usize = 1;

/// Losses that were computed and not collected yet. Its room is allocated once.
#[derive(Debug)]
pub(super) struct PendingLosses {
    losses: RefCell<Vec<BatchLoss>>,
    /// A training step's loss among them is not finite.
    diverged: Cell<bool>,
}

impl Default for PendingLosses {
    fn default() -> Self {
        PendingLosses {
            losses: RefCell::new(Vec::with_capacity(ROOM)),
            diverged: Cell::new(false),
        }
    }
}

impl PendingLosses {
    /// Computes the loss of the first rows of `logits`, one for each target and member.
    pub(super) fn start<R: Real, D>(
        &self,
        logits: &[R],
        outputs: usize,
        targets: BatchTargets<'_, D>,
        loss: &Loss,
        dlogits: Option<&mut [R]>,
    ) -> Result<()> {
        let mut losses = self.losses.borrow_mut();
        if losses.len() == ROOM {
            let message = format!("expected at most {ROOM} pending losses, found one more");
            return Err(Error::Check(message));
        }
        let trains = dlogits.is_some();
        let found = mean_over_members(loss, dlogits, logits, outputs, targets);
        if trains && !found.objective.is_finite() {
            self.diverged.set(true);
        }
        losses.push(found);
        Ok(())
    }

    /// Whether a training step's loss is not finite.
    pub(super) fn diverged(&self) -> bool {
        self.diverged.get()
    }

    /// Appends the losses to `losses`.
    pub(super) fn finish(&self, losses: &mut Vec<BatchLoss>) {
        losses.append(&mut self.losses.borrow_mut());
        self.diverged.set(false);
    }
}

/// The mean of the members' losses, in order, and its gradient: 1/members of each member's.
///
/// The number of right rows is rounded to the nearest whole one.
fn mean_over_members<R: Real, D>(
    loss: &Loss,
    mut dlogits: Option<&mut [R]>,
    logits: &[R],
    outputs: usize,
    targets: BatchTargets<'_, D>,
) -> BatchLoss {
    let (targets, members) = (targets.host(), targets.members());
    let len = targets.len() * outputs;
    let mut sum = BatchLoss::default();
    for member in 0..members {
        let part = member * len..(member + 1) * len;
        let dlogits = dlogits.as_deref_mut().map(|d| &mut d[part.clone()]);
        let own = loss.compute(dlogits, &logits[part], targets);
        sum.objective += own.objective;
        sum.plain_sum += own.plain_sum;
        sum.correct += own.correct;
    }
    if members == 1 {
        return sum;
    }
    if let Some(dlogits) = dlogits {
        let share = R::from_f64(1.0 / members as f64);
        dlogits[..members * len]
            .iter_mut()
            .for_each(|d| *d *= share);
    }
    BatchLoss {
        objective: sum.objective / members as f64,
        plain_sum: sum.plain_sum / members as f64,
        correct: (sum.correct + members / 2) / members,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::loss::Targets;

    #[test]
    fn a_steps_loss_that_is_no_number_stops_until_it_is_collected() {
        let pending = PendingLosses::default();
        let (plain, targets) = (Loss::default(), Targets::from(&[0]));
        let start = |dlogits: Option<&mut [f64]>| {
            let targets = BatchTargets::<()>::from(targets);
            pending.start(&[f64::NAN, 0.0], 2, targets, &plain, dlogits)
        };
        start(None).unwrap();
        assert!(!pending.diverged(), "no step's");
        assert!(start(None).is_err(), "no room");
        let mut losses = Vec::new();
        pending.finish(&mut losses);
        start(Some(&mut [0.0; 2])).unwrap();
        assert!(pending.diverged());
        pending.finish(&mut losses);
        assert!(!pending.diverged() && losses.len() == 2);
    }

    /// Three members' outputs for two rows, each member's loss by itself.
    #[test]
    fn members_losses_are_averaged() {
        let logits = [
            0.5, -1.0, 2.0, 0.0, 1.0, 1.5, -2.0, 0.25, 3.0, 1.0, 0.0, 4.0,
        ];
        let (plain, targets) = (Loss::default(), Targets::from(&[0, 1]));
        let (mut expected, mut d_expected) = (BatchLoss::default(), [0.0; 12]);
        let parts = logits.chunks(4).zip(d_expected.chunks_mut(4));
        for (logits, d_expected) in parts {
            let own = plain.compute(Some(&mut *d_expected), logits, targets);
            d_expected.iter_mut().for_each(|d| *d /= 3.0);
            expected.objective += own.objective / 3.0;
            expected.plain_sum += own.plain_sum / 3.0;
            expected.correct += own.correct;
        }
        assert_eq!(expected.correct, 4, "of 6: 1.33 of 2");
        let pending = PendingLosses::default();
        let targets = BatchTargets::<()>::from(targets).for_members(3);
        let (mut dlogits, mut losses) = ([f64::NAN; 12], Vec::new());
        pending
            .start(&logits, 2, targets, &plain, Some(&mut dlogits))
            .unwrap();
        pending.finish(&mut losses);
        assert!((losses[0].objective - expected.objective).abs() <= 1e-15);
        assert!((losses[0].plain_sum - expected.plain_sum).abs() <= 1e-15);
        assert_eq!(losses[0].correct, 1);
        for (found, expected) in dlogits.iter().zip(d_expected) {
            assert!(
                (found - expected).abs() <= 1e-16,
                "{found} against {expected}"
            );
        }
    }
}
