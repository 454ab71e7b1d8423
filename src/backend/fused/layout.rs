//! Panels of activations, and row-major matrices made from them.

use crate::gemm::PANEL;
use crate::threads::team::Member;

/// The number of panels of this number of columns.
pub(super) fn panels(columns: usize) -> usize {
    columns.div_ceil(PANEL)
}

/// Whether the members divide a matrix of outputs by its panels.
///
/// With less than 4 panels per member the shares would be too unequal.
pub(super) fn by_columns(panels: usize, member: &Member<'_>) -> bool {
    member.size() == 1 || panels >= 4 * member.size()
}

/// Copies row-major rows of `columns` numbers into `panels`, from column `start` on.
pub(super) fn to_panels(panels: &mut [f32], rows: &[f32], columns: usize, start: usize) {
    let n = rows.len() / columns;
    for (p, panel) in panels.chunks_exact_mut(n * PANEL).enumerate() {
        let first = start + p * PANEL;
        let width = PANEL.min(columns - first);
        for (line, row) in panel
            .chunks_exact_mut(PANEL)
            .zip(rows.chunks_exact(columns))
        {
            line[..width].copy_from_slice(&row[first..first + width]);
            line[width..].fill(0.0);
        }
    }
}

/// The reverse of [`to_panels`], from column 0 on.
pub(super) fn from_panels(rows: &mut [f32], panels: &[f32], columns: usize) {
    let n = rows.len() / columns;
    for (p, panel) in panels.chunks_exact(n * PANEL).enumerate() {
        let first = p * PANEL;
        let width = PANEL.min(columns - first);
        for (line, row) in panel
            .chunks_exact(PANEL)
            .zip(rows.chunks_exact_mut(columns))
        {
            row[first..first + width].copy_from_slice(&line[..width]);
        }
    }
}
