//! The optimiser's step, compiled for this processor.

use crate::optim::StepRule;
use crate::simd;

/// One step for some parameters.
pub(super) fn apply(rule: &StepRule<f32>, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    simd::dispatch(
        #[inline(always)]
        || rule.apply(w, g, m, v),
    );
}
