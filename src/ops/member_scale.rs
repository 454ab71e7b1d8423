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
//! lanes, output o in lane o mod 16, anew for each [`GROUP`] of outputs, so that threads can share the groups. Then the
//! groups' lanes are added in order, and [`reduce::sum`] joins them. So neither P nor threads change a bit.

use super::reduce;
use crate::real::Real;
use crate::simd::{self, LANES};

/// Outputs that are summed in one go.
pub const GROUP: usize = 4 * LANES;

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

/// From `$G_m$` to `$dr_m$` `[in]`, which is overwritten, and its part of dW, which is added; all row-major.
pub fn scale_weights_backward<R: Real>([dw, dr]: [&mut [R]; 2], g: &[R], w: &[R], r: &[R]) {
    let inputs = r.len();
    assert!(
        dw.len() == w.len() && g.len() == w.len() && dr.len() == inputs,
        "as W and r"
    );
    for (k, dr) in dr.iter_mut().enumerate() {
        let mut total = [R::ZERO; LANES];
        for group in (k..w.len()).step_by(GROUP * inputs) {
            let mut lanes = [R::ZERO; LANES];
            let places = (group..w.len()).step_by(inputs).take(GROUP);
            for (o, at) in places.enumerate() {
                dw[at] += g[at] * r[k];
                lanes[o % LANES] += g[at] * w[at];
            }
            reduce::add_rows(&lanes, &mut total);
        }
        *dr = reduce::sum(&total);
    }
}

/// [`scale_weights_backward`] for some inputs and a panel of 16 outputs, all `[inputs, 16]`.
///
/// `lanes` are the sums of its [`GROUP`] of outputs, to which those over these are added; [`join_lanes`] ends them.
pub fn scale_panel_backward<R: Real>([dw, lanes]: [&mut [R]; 2], g: &[R], w: &[R], r: &[R]) {
    let ((dw, _), (lanes, _)) = (dw.as_chunks_mut::<LANES>(), lanes.as_chunks_mut::<LANES>());
    let ((g, _), (w, _)) = (g.as_chunks::<LANES>(), w.as_chunks::<LANES>());
    simd::dispatch(
        #[inline(always)]
        || {
            let sums = dw.iter_mut().zip(lanes);
            for ((((dw, lanes), g), w), &r) in sums.zip(g).zip(w).zip(r) {
                simd::row_by_row();
                let (mut sum, mut products) = (*dw, *lanes);
                for q in 0..LANES {
                    sum[q] += g[q] * r;
                    products[q] += g[q] * w[q];
                }
                (*dw, *lanes) = (sum, products);
            }
        },
    );
}

/// From the groups' lanes `[groups, inputs, 16]` to `$dr_m$`, whose length may be less than `inputs`.
pub fn join_lanes<R: Real>(dr: &mut [R], lanes: &[R], inputs: usize) {
    for (k, dr) in dr.iter_mut().enumerate() {
        let mut total = [R::ZERO; LANES];
        for group in lanes.chunks_exact(inputs * LANES) {
            reduce::add_rows(&group[k * LANES..][..LANES], &mut total);
        }
        *dr = reduce::sum(&total);
    }
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
        scale_weights_backward([&mut dw, &mut dr], &g, &w, &r);
        assert_eq!(dw, [11.0, 9.5, 10.0, 9.0, 8.0, 12.0]);
        assert_eq!(dr, [-3.0, 11.0, 6.0]);

        let panels = |x: [f32; 6]| [x[0], x[3], x[1], x[4], x[2], x[5]];
        let mut in_panels = [f32::NAN; 6];
        scale_weights::<_, 2>(&mut in_panels, &panels(w), &r);
        assert_eq!(in_panels, panels(scaled));
    }

    /// 137 outputs row-major, and in panels filled up with zeros: the same bits.
    #[test]
    fn the_layout_changes_no_bit() {
        let (inputs, outputs) = (5, 137);
        let single = |salt| -> Vec<f32> {
            let numbers = numbers(inputs * outputs, salt);
            numbers.into_iter().map(|x| x as f32).collect()
        };
        let (w, g, mut dw) = (single(1), single(2), single(3));
        let r = &single(4)[..inputs];
        let panels = |x: &[f32]| -> Vec<Vec<f32>> {
            let panel = |first: usize| {
                let number = |i: usize| x.get((first + i % LANES) * inputs + i / LANES).copied();
                (0..inputs * LANES)
                    .map(|i| number(i).unwrap_or(0.0))
                    .collect()
            };
            (0..outputs).step_by(LANES).map(panel).collect()
        };
        let mut expected = panels(&dw);
        let mut lanes = vec![0.0; outputs.div_ceil(GROUP) * inputs * LANES];
        for (p, dw) in expected.iter_mut().enumerate() {
            let (g, w) = (&panels(&g)[p], &panels(&w)[p]);
            let group = p * LANES / GROUP * inputs * LANES;
            let lanes = &mut lanes[group..][..inputs * LANES];
            scale_panel_backward([dw, lanes], g, w, r);
        }
        let mut dr = vec![f32::NAN; inputs];
        scale_weights_backward([&mut dw, &mut dr], &g, &w, r);
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        assert_eq!(bits(&expected.concat()), bits(&panels(&dw).concat()));
        let mut joined = vec![f32::NAN; inputs];
        join_lanes(&mut joined, &lanes, inputs);
        assert_eq!(bits(&dr), bits(&joined));
    }

    #[test]
    fn gradients_against_central_differences() {
        for (inputs, outputs) in [(1, 1), (3, 2), (1, 17), (7, 33), (2, 67)] {
            let (w, r) = (numbers(inputs * outputs, 1), numbers(inputs, 2));
            let g = numbers(inputs * outputs, 3);
            let forward = |w: &[f64], r: &[f64]| {
                let mut scaled = vec![f64::NAN; w.len()];
                scale_weights::<_, 1>(&mut scaled, w, r);
                dot(&g, &scaled)
            };
            let (mut dw, mut dr) = (vec![0.0; w.len()], vec![f64::NAN; inputs]);
            scale_weights_backward([&mut dw, &mut dr], &g, &w, &r);
            check("dW", &w, &dw, |w| forward(w, &r));
            check("dr", &r, &dr, |r| forward(&w, r));
        }
    }
}
