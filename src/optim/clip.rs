//! Clipping by the global norm (Pascanu, Mikolov, Bengio, “On the difficulty of training recurrent neural networks”,
//! ICML 2013, section 3.2).
//!
//! All gradients together are one long vector. If it is longer than c it is shortened to length c; its
//! direction stays:
//!
//! ```math
//! g \leftarrow g \cdot \min\Big(1,\ \frac{c}{\lVert g \rVert_2 + 10^{-6}}\Big)
//! ```
//!
//! [`SquareSum`] measures the length, [`scale`] gives the factor, and [`super::Step`] carries the factor into
//! the step.

use crate::real::Real;

/// The square of a norm, summed part by part.
///
/// The sum runs in f64 over 16 lanes, which are joined by one fixed tree. Lane j mod 16 adds, in ascending
/// order, all that belongs to output unit j of a layer: row j of W `[out, in]` and element j of a vector. So
/// the order of the additions depends on the network alone and not on the layout of its parameters, and in f32
/// no square overflows.
#[derive(Clone, Copy, Debug, Default)]
pub struct SquareSum {
    lanes: [f64; Self::LANES],
}

impl SquareSum {
    /// Sums that run side by side.
    pub const LANES: usize = 16;

    /// Adds a row-major matrix `[units, inputs]`. A vector has 1 input.
    pub fn add_rows<R: Real>(&mut self, gradients: &[R], inputs: usize) {
        for (unit, row) in gradients.chunks_exact(inputs).enumerate() {
            let lane = &mut self.lanes[unit % Self::LANES];
            *lane = row.iter().fold(*lane, |sum, g| {
                let g = g.to_f64();
                sum + g * g
            });
        }
    }

    /// Adds rows of 16 units each, one for every lane.
    pub fn add_lanes<R: Real>(&mut self, gradients: &[R]) {
        for units in gradients.chunks_exact(Self::LANES) {
            for (lane, g) in self.lanes.iter_mut().zip(units) {
                let g = g.to_f64();
                *lane += g * g;
            }
        }
    }

    /// Adds panels of 16 inputs, `[panels, units, 16]`.
    pub fn add_transposed<R: Real>(&mut self, gradients: &[R], units: usize) {
        for (row, inputs) in gradients.chunks_exact(Self::LANES).enumerate() {
            let lane = &mut self.lanes[row % units];
            for g in inputs {
                let g = g.to_f64();
                *lane += g * g;
            }
        }
    }

    /// The norm of what was added.
    pub fn norm(&self) -> f64 {
        let mut lanes = self.lanes;
        let mut width = Self::LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        lanes[0].sqrt()
    }
}

/// The factor that shortens a gradient of this norm to at most c. A NaN norm gives NaN, so that a diverged run
/// is seen.
pub fn scale(norm: f64, c: f64) -> f64 {
    let factor = c / (norm + 1e-6);
    if factor > 1.0 { 1.0 } else { factor }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm<R: Real>(gradients: &[R]) -> f64 {
        let mut sum = SquareSum::default();
        sum.add_rows(gradients, 1);
        sum.norm()
    }

    #[test]
    fn norm_of_known_vectors() {
        assert_eq!(norm::<f32>(&[]), 0.0);
        assert_eq!(norm(&[3.0_f32, -4.0]), 5.0);
        // 1² + … + 24² = 24·25·49/6 = 4900
        let run: Vec<f64> = (1..=24).map(f64::from).collect();
        assert_eq!(norm(&run), 70.0);
        // 33 elements: two full rows of lanes and one element more
        assert_eq!(norm(&[2.0_f32; 33]), 132.0_f64.sqrt());
        assert_eq!(norm(&[3e38_f32, 0.0]), f64::from(3e38_f32));
        assert!(norm(&[1.0_f32, f32::NAN]).is_nan());
    }

    /// 19 units of 3 inputs, row-major, and with 16 units side by side: the same bits.
    #[test]
    fn the_layout_changes_no_bit() {
        let g = |unit: usize, input: usize| ((unit * 3 + input) as f64 * 0.7).sin();
        let rows: Vec<f64> = (0..19 * 3).map(|i| g(i / 3, i % 3)).collect();
        let lanes: Vec<f64> = (0..2 * 3 * SquareSum::LANES)
            .map(|i| {
                (
                    i / (3 * SquareSum::LANES) * SquareSum::LANES + i % SquareSum::LANES,
                    i / SquareSum::LANES % 3,
                )
            })
            .map(|(unit, input)| if unit < 19 { g(unit, input) } else { 0.0 })
            .collect();
        let (mut a, mut b) = (SquareSum::default(), SquareSum::default());
        a.add_rows(&rows, 3);
        b.add_lanes(&lanes);
        assert_eq!(a.norm().to_bits(), b.norm().to_bits());
    }

    /// 3 units of 19 inputs, row-major, and in panels of 16 inputs: the same bits.
    #[test]
    fn a_transposed_matrix_has_the_same_bits() {
        let g = |unit: usize, input: usize| ((unit * 19 + input) as f64 * 0.7).sin();
        let rows: Vec<f64> = (0..3 * 19).map(|i| g(i / 19, i % 19)).collect();
        let panels: Vec<f64> = (0..2 * 3 * SquareSum::LANES)
            .map(|i| {
                let (panel, unit) = (i / (3 * SquareSum::LANES), i / SquareSum::LANES % 3);
                (panel * SquareSum::LANES + i % SquareSum::LANES, unit)
            })
            .map(|(input, unit)| if input < 19 { g(unit, input) } else { 0.0 })
            .collect();
        let (mut a, mut b) = (SquareSum::default(), SquareSum::default());
        a.add_rows(&rows, 19);
        b.add_transposed(&panels, 3);
        assert_eq!(a.norm().to_bits(), b.norm().to_bits());
    }

    #[test]
    fn long_gradients_are_shortened() {
        assert_eq!(scale(0.2, 0.25), 1.0);
        assert_eq!(scale(0.0, 0.25), 1.0);
        assert!((scale(5.0, 0.25) - 0.25 / 5.000001).abs() < 1e-15);
        assert_eq!(scale(f64::INFINITY, 1.0), 0.0);
        assert!(scale(f64::NAN, 1.0).is_nan());
    }
}
