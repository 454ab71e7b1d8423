//! Transposition of blocks of 8 × 8 numbers, which turns a matrix that lies across the panels that kernels read.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::InstructionSet;

/// Rows and columns of a block.
pub(crate) const BLOCK: usize = 8;

/// `to[j, i] = from[i, j]` for a matrix of `rows` × `columns`, both multiples of [`BLOCK`].
///
/// Its rows lie `from_row` apart, and those of the transposed one `to_row`.
///
/// # Safety
/// All of these numbers are readable and writable, and the two matrices do not overlap.
pub(crate) unsafe fn transpose(
    [rows, columns]: [usize; 2],
    from: *const f32,
    from_row: isize,
    to: *mut f32,
    to_row: isize,
) {
    let matrix = SquareBlocks {
        counts: [rows / BLOCK, columns / BLOCK],
        from,
        from_row,
        to,
        to_row,
    };
    match super::set() {
        // SAFETY: the set in use is one of this processor; the rest is the caller's promise.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 | InstructionSet::Avx2 => unsafe { x86::blocks(&matrix) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        InstructionSet::Neon => matrix.each(|block| unsafe { neon::transpose(block) }),
        // SAFETY: as above.
        _ => matrix.each(|block| unsafe { transpose_portable(block) }),
    }
}

/// A matrix and where its transpose goes, cut into blocks.
struct SquareBlocks {
    counts: [usize; 2],
    from: *const f32,
    from_row: isize,
    to: *mut f32,
    to_row: isize,
}

/// A block of [`BLOCK`] × [`BLOCK`] numbers, and where its transpose goes.
#[derive(Clone, Copy)]
struct SquareBlock {
    from: *const f32,
    from_row: isize,
    to: *mut f32,
    to_row: isize,
}

impl SquareBlocks {
    #[inline(always)]
    fn each(&self, transpose: impl Fn(SquareBlock)) {
        let [rows, columns] = self.counts;
        for i in 0..rows {
            for j in 0..columns {
                let (i, j) = ((i * BLOCK) as isize, (j * BLOCK) as isize);
                transpose(SquareBlock {
                    from: self.from.wrapping_offset(i * self.from_row + j),
                    to: self.to.wrapping_offset(j * self.to_row + i),
                    from_row: self.from_row,
                    to_row: self.to_row,
                });
            }
        }
    }
}

/// # Safety
/// The block is readable and its transpose writable.
unsafe fn transpose_portable(block: SquareBlock) {
    for i in 0..BLOCK as isize {
        for j in 0..BLOCK as isize {
            // SAFETY: the caller's promise.
            unsafe {
                *block.to.offset(j * block.to_row + i) = *block.from.offset(i * block.from_row + j);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;

    use super::{SquareBlock, SquareBlocks};

    /// # Safety
    /// The blocks are readable and their transposes writable, and the processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn blocks(blocks: &SquareBlocks) {
        // SAFETY: the caller's promise.
        blocks.each(|block| unsafe { transpose(block) });
    }

    /// Pairs, then pairs of pairs, then halves: three layers of 8 shuffles.
    ///
    /// # Safety
    /// As for a block of [`blocks`].
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn transpose(block: SquareBlock) {
        // SAFETY: the caller's promise.
        unsafe {
            let row = |i: isize| _mm256_loadu_ps(block.from.offset(i * block.from_row));
            let pairs = |i: isize| {
                let (a, b) = (row(i), row(i + 1));
                (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b))
            };
            let ((a0, a1), (b0, b1), (c0, c1), (d0, d1)) = (pairs(0), pairs(2), pairs(4), pairs(6));
            let quads = |a, b| {
                (
                    _mm256_shuffle_ps::<0b01_00_01_00>(a, b),
                    _mm256_shuffle_ps::<0b11_10_11_10>(a, b),
                )
            };
            let ((p0, p1), (p2, p3)) = (quads(a0, b0), quads(a1, b1));
            let ((q0, q1), (q2, q3)) = (quads(c0, d0), quads(c1, d1));
            let halves = [(p0, q0), (p1, q1), (p2, q2), (p3, q3)];
            for (j, (p, q)) in halves.into_iter().enumerate() {
                let to = |j: usize| block.to.offset(j as isize * block.to_row);
                _mm256_storeu_ps(to(j), _mm256_permute2f128_ps::<0x20>(p, q));
                _mm256_storeu_ps(to(j + 4), _mm256_permute2f128_ps::<0x31>(p, q));
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use core::arch::aarch64::*;

    use super::SquareBlock;

    /// Four quarters of 4 × 4: pairs, then halves, two layers of 4 shuffles each.
    ///
    /// # Safety
    /// The block is readable and its transpose writable.
    #[inline]
    pub(super) unsafe fn transpose(block: SquareBlock) {
        for (i, j) in [(0, 0), (0, 4), (4, 0), (4, 4)] {
            // SAFETY: the caller's promise.
            unsafe {
                let row = |r: isize| vld1q_f32(block.from.offset((i + r) * block.from_row + j));
                let column = |c: isize, numbers: float64x2_t| {
                    let to = block.to.offset((j + c) * block.to_row + i);
                    vst1q_f32(to, vreinterpretq_f32_f64(numbers));
                };
                let pairs = |a: float32x4_t, b: float32x4_t| {
                    (
                        vreinterpretq_f64_f32(vtrn1q_f32(a, b)),
                        vreinterpretq_f64_f32(vtrn2q_f32(a, b)),
                    )
                };
                let ((a0, a1), (b0, b1)) = (pairs(row(0), row(1)), pairs(row(2), row(3)));
                column(0, vzip1q_f64(a0, b0));
                column(1, vzip1q_f64(a1, b1));
                column(2, vzip2q_f64(a0, b0));
                column(3, vzip2q_f64(a1, b1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns_and_nothing_else_changes() {
        let (from_row, to_row) = (27, 33);
        for (rows, columns) in [(0, 8), (8, 8), (16, 24), (24, 16), (32, 8)] {
            let from: Vec<f32> = (0..rows.max(1) * from_row).map(|i| i as f32).collect();
            let mut to = vec![-1.0; columns * to_row];
            let sizes = [rows, columns];
            // SAFETY: both have such rows of such numbers.
            unsafe {
                transpose(
                    sizes,
                    from.as_ptr(),
                    from_row as isize,
                    to.as_mut_ptr(),
                    to_row as isize,
                );
            }
            for (at, &found) in to.iter().enumerate() {
                let (j, i) = (at / to_row, at % to_row);
                let expected = if i < rows {
                    from[i * from_row + j]
                } else {
                    -1.0
                };
                assert_eq!(found, expected, "{rows} × {columns}, ({j}, {i})");
            }
        }
    }
}
