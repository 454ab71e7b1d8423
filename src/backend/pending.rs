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
    /// Computes the loss of the first rows of `logits`, one for each target.
    pub(super) fn start<R: Real, D>(
        &self,
        logits: &[R],
        outputs: usize,
        targets: BatchTargets<'_, D>,
        loss: &Loss,
        mut dlogits: Option<&mut [R]>,
    ) -> Result<()> {
        let mut losses = self.losses.borrow_mut();
        if losses.len() == ROOM {
            let message = format!("expected at most {ROOM} pending losses, found one more");
            return Err(Error::Check(message));
        }
        let len = targets.host().len() * outputs;
        let mut dlogits = dlogits.as_mut().map(|d| &mut d[..len]);
        let found = loss.compute(dlogits.as_deref_mut(), &logits[..len], targets.host());
        let trains = dlogits.is_some();
        if let (Some(dlogits), 2..) = (dlogits, targets.members()) {
            let share = R::from_f64(1.0 / targets.members() as f64);
            dlogits.iter_mut().for_each(|d| *d *= share);
        }
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
}
