//! The first block's input: pixels become numbers in panels.

use std::ops::Range;

use super::buffer::Buffer;
use super::layout::to_panels;
use crate::backend::Input;
use crate::gemm::PANEL;
use crate::simd::{self, prefetch};

/// Panels of inputs whose pixels lie in one cache line.
pub(super) const PANELS_A_LINE: usize = 4;

/// Asks for the first of some pixels and its cache line.
#[inline(always)]
pub(super) fn prefetch_pixels(from: &[u8]) {
    prefetch(from.as_ptr().cast(), 1);
}

/// Fills the panels `own` of the input: pixels become numbers, row-major numbers change their order.
pub(super) fn convert(
    x: Input<'_, Buffer, f32>,
    columns: usize,
    own: Range<usize>,
    to: &mut [f32],
) {
    match x {
        Input::Pixels {
            data,
            rows,
            scale,
            shift,
            ..
        } => simd::dispatch(
            #[inline(always)]
            || convert_pixels(data, rows, scale, shift, own, to),
        ),
        Input::Values { buf, rows } => {
            to_panels(to, &buf[..rows * columns], columns, own.start * PANEL)
        }
    }
}

/// [`convert`] for pixels.
#[inline(always)]
fn convert_pixels(
    data: &[u8],
    rows: &[u32],
    scale: &[f32],
    shift: &[f32],
    own: Range<usize>,
    to: &mut [f32],
) {
    let columns = scale.len();
    let pixels_of = |row: u32, panel: usize| {
        let start = row as usize * columns;
        &data[start + panel * PANEL..start + columns]
    };
    if own.is_empty() {
        return;
    }
    // Samples lie anywhere in memory, where the processor does not expect them.
    // So the next line's pixels are prefetched before the first of these are converted.
    for &row in rows {
        prefetch_pixels(pixels_of(row, own.start));
    }
    for (panel, lines) in own.clone().zip(to.chunks_exact_mut(rows.len() * PANEL)) {
        let (lines, _) = lines.as_chunks_mut::<PANEL>();
        let ahead = panel + PANELS_A_LINE;
        if (panel - own.start).is_multiple_of(PANELS_A_LINE) && ahead < own.end {
            for &row in rows {
                prefetch_pixels(pixels_of(row, ahead));
            }
        }
        let j = panel * PANEL;
        let whole = (scale[j..].first_chunk(), shift[j..].first_chunk());
        if let (Some(scale), Some(shift)) = whole {
            for (line, &row) in lines.iter_mut().zip(rows) {
                simd::row_by_row();
                let pixels = pixels_of(row, panel).first_chunk();
                *line = convert_line(pixels.expect("a whole panel"), scale, shift);
            }
        } else {
            for (line, &row) in lines.iter_mut().zip(rows) {
                *line = [0.0; PANEL];
                for (q, &pixel) in pixels_of(row, panel).iter().enumerate() {
                    line[q] = f32::from(pixel) * scale[j + q] + shift[j + q];
                }
            }
        }
    }
}

#[inline(always)]
fn convert_line(pixels: &[u8; PANEL], scale: &[f32; PANEL], shift: &[f32; PANEL]) -> [f32; PANEL] {
    let mut numbers = [0.0; PANEL];
    for q in 0..PANEL {
        numbers[q] = f32::from(pixels[q]) * scale[q] + shift[q];
    }
    numbers
}
