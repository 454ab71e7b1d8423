//! The members' scales of TabM-mini (Gorishniy, Kotelnikov, Babenko, “TabM: Advancing Tabular Deep Learning with
//! Parameter-Efficient Ensembling”, ICLR 2025, section 3).
//!
//! Members are networks that share their weights. They see the same sample, each with its own scale of every input: of
//! e `[n, in]` member m sees `$e \circ \mathbf{1} r_m^\top$`, with `$r_m$` `[in]`. The first layer is linear, so the
//! scale may as well be its weights':
//!
//! ```math
//! Z_m = (e \circ \mathbf{1} r_m^\top)\, W^\top = e\, W_m^\top, \qquad W_m = W \circ \mathbf{1} r_m^\top,
//! \qquad W_{m,ok} = W_{ok}\, r_{mk}
//! ```
//!
//! # Backward
//!
//! The layer's own backward gives `$G_m = dZ_m^\top e$`, the gradient of `$W_m$`, and `$dZ_m W_m$`, the member's part
//! of de. `$W_{ok}$` occurs in `$W_{m,ok}$` of every member, with factor `$r_{mk}$`; `$r_{mk}$` occurs in `$W_{m,ok}$`
//! for every output o, with factor `$W_{ok}$`:
//!
//! ```math
//! dW = \sum_m G_m \circ \mathbf{1} r_m^\top, \qquad dr_{mk} = \sum_o G_{m,ok} W_{ok}, \qquad de = \sum_m dZ_m W_m
//! ```
//!
//! So no gradient of a scaled input is needed for dr, and a step of a member costs as much as one of a plain network.
//!
//! W lies in panels of P outputs, `[⌈out/P⌉][in][P]`; with P = 1 it is row-major. The sum over outputs runs in 16
//! lanes, output o in lane o mod 16, which [`reduce::sum`] joins: the bits do not depend on P.

use super::reduce;
use crate::real::Real;
use crate::simd::{self, LANES};

/// `$W_m = W \circ \mathbf{1} r_m^\top$` in panels of P outputs; overwritten.
pub fn scale_weights<R: Real, const P: usize>(scaled: &mut [R], w: &[R], r: &[R]) {
    assert!(
        scaled.len() == w.len() && w.len().is_multiple_of(P * r.len()),
        "whole panels"
    );
    simd::dispatch(
        #[inline(always)]
        || {
            let (scaled, _) = scaled.as_chunks_mut::<P>();
            let (w, _) = w.as_chunks::<P>();
            for (scaled, w) in scaled
                .chunks_exact_mut(r.len())
                .zip(w.chunks_exact(r.len()))
            {
                for ((scaled, w), &r) in scaled.iter_mut().zip(w).zip(r) {
                    simd::row_by_row();
                    *scaled = w.map(|w| w * r);
                }
            }
        },
    );
}

/// From `$G_m$` to `$dr_m$`, which is overwritten, and to dW, which it is added to if it `adds` and else overwrites.
pub fn scale_weights_backward<R: Real, const P: usize>(
    [dw, dr]: [&mut [R]; 2],
    g: &[R],
    w: &[R],
    r: &[R],
    adds: bool,
) {
    let inputs = r.len();
    if !adds {
        dw.fill(R::ZERO);
    }
    assert!(
        dw.len() == w.len() && g.len() == w.len() && dr.len() == inputs,
        "as W and r"
    );
    simd::dispatch(
        #[inline(always)]
        || {
            let ((dw, _), (g, _), (w, _)) = (
                dw.as_chunks_mut::<P>(),
                g.as_chunks::<P>(),
                w.as_chunks::<P>(),
            );
            // Neighbouring inputs lie side by side, so some of them go through all panels together.
            for (block, dr) in dr.chunks_mut(LANES).enumerate() {
                let first = block * LANES;
                let mut lanes = [[R::ZERO; LANES]; LANES];
                for (panel, start) in (0..w.len()).step_by(inputs).enumerate() {
                    for (k, lanes) in lanes[..dr.len()].iter_mut().enumerate() {
                        simd::row_by_row();
                        let (at, r) = (start + first + k, r[first + k]);
                        let (mut sum, mut products, g, w) = (dw[at], *lanes, g[at], w[at]);
                        for q in 0..P {
                            sum[q] += g[q] * r;
                            products[(panel * P + q) % LANES] += g[q] * w[q];
                        }
                        (dw[at], *lanes) = (sum, products);
                    }
                }
                for (dr, lanes) in dr.iter_mut().zip(&lanes) {
                    *dr = reduce::sum(lanes);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::super::gradient::{check, dot, numbers};
    use super::*;

    #[test]
    fn by_hand() {
        // W [2, 3] row-major, and in panels of 2.
        let (w, r) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, -1.0, 2.0]);
        let mut scaled = [f32::NAN; 6];
        scale_weights::<_, 1>(&mut scaled, &w, &r);
        assert_eq!(scaled, [1.0, -2.0, 6.0, 4.0, -5.0, 12.0]);
        let g = [1.0, 0.5, 0.0, -1.0, 2.0, 1.0];
        let (mut dw, mut dr) = ([10.0; 6], [f32::NAN; 3]);
        scale_weights_backward::<_, 1>([&mut dw, &mut dr], &g, &w, &r, true);
        assert_eq!(dw, [11.0, 9.5, 10.0, 9.0, 8.0, 12.0]);
        assert_eq!(dr, [-3.0, 11.0, 6.0]);

        let panels = |x: [f32; 6]| [x[0], x[3], x[1], x[4], x[2], x[5]];
        let mut in_panels = [f32::NAN; 6];
        scale_weights::<_, 2>(&mut in_panels, &panels(w), &r);
        assert_eq!(in_panels, panels(scaled));
        let (mut dw, mut dr) = ([f32::NAN; 6], [f32::NAN; 3]);
        let (g, w) = (panels(g), panels(w));
        scale_weights_backward::<_, 2>([&mut dw, &mut dr], &g, &w, &r, false);
        assert_eq!(dw, panels([1.0, -0.5, 0.0, -1.0, -2.0, 2.0]));
        assert_eq!(dr, [-3.0, 11.0, 6.0]);
    }

    #[test]
    fn gradients_against_central_differences() {
        for (inputs, outputs) in [(1, 1), (3, 2), (1, 17), (7, 33)] {
            let (w, r) = (numbers(inputs * outputs, 1), numbers(inputs, 2));
            let g = numbers(inputs * outputs, 3);
            let forward = |w: &[f64], r: &[f64]| {
                let mut scaled = vec![f64::NAN; w.len()];
                scale_weights::<_, 1>(&mut scaled, w, r);
                dot(&g, &scaled)
            };
            let (mut dw, mut dr) = (vec![f64::NAN; w.len()], vec![f64::NAN; inputs]);
            scale_weights_backward::<_, 1>([&mut dw, &mut dr], &g, &w, &r, false);
            check("dW", &w, &dw, |w| forward(w, &r));
            check("dr", &r, &dr, |r| forward(&w, r));
        }
    }
}
