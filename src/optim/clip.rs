//! Clipping by the global norm (Pascanu, Mikolov, Bengio, “On the difficulty of training recurrent neural networks”,
//! ICML 2013, section 3.2).
//!
//! All gradients together are one long vector. If it is longer than c it is shortened to c; its direction stays:
//!
//! ```math
//! g \leftarrow g \cdot \min\Big(1,\ \frac{c}{\lVert g \rVert_2 + 10^{-6}}\Big)
//! ```
//!
//! [`norm`] measures, [`scale`] gives the factor, [`super::Step`] carries it into the step.

use crate::real::Real;

const LANES: usize = 16;

/// Euclidean norm of all gradients.
///
/// The sum runs in f64 over 16 lanes (element i belongs to lane i mod 16), which are joined by one fixed tree. So the
/// order of the additions depends on the length alone, and in f32 no square overflows.
pub fn norm<R: Real>(gradients: &[R]) -> f64 {
    let mut lanes = [0.0; LANES];
    for chunk in gradients.chunks(LANES) {
        for (lane, g) in lanes.iter_mut().zip(chunk) {
            let g = g.to_f64();
            *lane += g * g;
        }
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0].sqrt()
}

/// The factor that shortens a gradient of this norm to at most c. A NaN norm gives NaN: a diverged run shows.
pub fn scale(norm: f64, c: f64) -> f64 {
    let factor = c / (norm + 1e-6);
    if factor > 1.0 { 1.0 } else { factor }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn long_gradients_are_shortened() {
        assert_eq!(scale(0.2, 0.25), 1.0);
        assert_eq!(scale(0.0, 0.25), 1.0);
        assert!((scale(5.0, 0.25) - 0.25 / 5.000001).abs() < 1e-15);
        assert_eq!(scale(f64::INFINITY, 1.0), 0.0);
        assert!(scale(f64::NAN, 1.0).is_nan());
    }
}
