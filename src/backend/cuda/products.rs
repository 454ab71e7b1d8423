//! The three products of a linear layer, on tiles chosen by the sizes.

use super::device::{CudaDevice, CudaKernel, Pointer, launch};
use super::{Tail, size};
use crate::error::Result;

/// The part of the result that a block of threads computes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tile {
    rows: usize,
    columns: usize,
    threads: u32,
    /// Outputs a multiprocessor computes per second, in parts of the largest tile's.
    ///
    /// Measured on an H200 (`benches/results/2026-11-26-cuda-h200`): with one block on each multiprocessor the medium
    /// tile has 0.77 and the small one 0.46, with many blocks 0.97 and 0.60. The medium tile has what lies between,
    /// because it is chosen for both. The small one is chosen where blocks are few.
    efficiency: f64,
}

/// As in `kernels/sgemm.cu`; the names of kernels end with `large`, `medium`, `small`.
const TILES: [Tile; 3] = [
    Tile {
        rows: 128,
        columns: 128,
        threads: 256,
        efficiency: 1.0,
    },
    Tile {
        rows: 64,
        columns: 64,
        threads: 128,
        efficiency: 0.9,
    },
    Tile {
        rows: 32,
        columns: 32,
        threads: 128,
        efficiency: 0.46,
    },
];

/// The least number of rows of a tile. Each tile leaves statistics, so this bounds how many are kept.
pub(super) const LEAST_TILE_ROWS: usize = 32;

/// The tile for a result `[m, n]`: the one whose rounds over all multiprocessors cost least, the larger one of equals.
///
/// Several blocks on one multiprocessor take about as long as one after the other, because one keeps it busy already.
/// Only the last bits of batch statistics depend on it.
fn choose(m: usize, n: usize, multiprocessors: usize) -> usize {
    let cost = |tile: &Tile| {
        let blocks = m.div_ceil(tile.rows) * n.div_ceil(tile.columns);
        let rounds = blocks.div_ceil(multiprocessors);
        (rounds * tile.rows * tile.columns) as f64 / tile.efficiency
    };
    let mut best = 0;
    for (i, tile) in TILES.iter().enumerate() {
        if cost(tile) < cost(&TILES[best]) {
            best = i;
        }
    }
    best
}

/// Sizes of a product with result `[m, n]`, and how it is launched.
#[derive(Clone, Copy)]
pub(super) struct CudaProduct {
    m: u32,
    n: u32,
    k: u32,
    tile: usize,
}

impl CudaProduct {
    pub(super) fn new(device: &CudaDevice, m: usize, n: usize, k: usize) -> Result<Self> {
        let tile = choose(m, n, device.multiprocessors());
        let of = |len| size(device, len);
        Ok(CudaProduct {
            m: of(m)?,
            n: of(n)?,
            k: of(k)?,
            tile,
        })
    }

    /// Rows of a tile, over which its statistics are taken.
    pub(super) fn tile_rows(&self) -> usize {
        TILES[self.tile].rows
    }

    fn grid(&self) -> [u32; 2] {
        let tile = TILES[self.tile];
        [
            self.n.div_ceil(tile.columns as u32),
            self.m.div_ceil(tile.rows as u32),
        ]
    }

    fn block(&self) -> [u32; 2] {
        [TILES[self.tile].threads, 1]
    }

    fn of<'k>(&self, kernels: [&'k CudaKernel; 3]) -> &'k CudaKernel {
        kernels[self.tile]
    }

    /// `$C = A B^\top + \mathbf 1 b^\top$`, A `[m, k]`, B `[n, k]`.
    ///
    /// # Safety
    /// The pointers are to matrices and vectors of these sizes.
    pub(super) unsafe fn nt_bias(
        self,
        device: &CudaDevice,
        c: Pointer<f32>,
        [a, b, bias]: [Pointer<f32>; 3],
    ) -> Result<()> {
        let k = &device.kernels;
        let kernel = self.of([
            &k.sgemm_nt_bias_large,
            &k.sgemm_nt_bias_medium,
            &k.sgemm_nt_bias_small,
        ]);
        let (grid, block) = (self.grid(), self.block());
        // SAFETY: the caller's promise; the types are the kernel's.
        unsafe {
            launch!(
                device, kernel, grid, block, c, a, b, bias, self.m, self.n, self.k
            )
        }
    }

    /// [`CudaProduct::nt_bias`], then dropout and activation in the block's order: a block without batch norm.
    ///
    /// # Safety
    /// As [`CudaProduct::nt_bias`]; `out` and `pre` are as large as C.
    pub(super) unsafe fn nt_block(
        self,
        device: &CudaDevice,
        [out, pre]: [Pointer<f32>; 2],
        [a, b, bias]: [Pointer<f32>; 3],
        tail: &Tail,
    ) -> Result<()> {
        let k = &device.kernels;
        let kernel = self.of([
            &k.sgemm_nt_block_large,
            &k.sgemm_nt_block_medium,
            &k.sgemm_nt_block_small,
        ]);
        let (grid, block) = (self.grid(), self.block());
        let Tail {
            activation,
            order,
            mask,
        } = *tail;
        // SAFETY: the caller's promise; the types are the kernel's.
        unsafe {
            launch!(
                device, kernel, grid, block, out, pre, a, b, bias, self.m, self.n, self.k,
                activation, order, mask
            )
        }
    }

    /// [`CudaProduct::nt_bias`], and of every tile's columns the mean and the sum of squared deviations.
    ///
    /// # Safety
    /// As [`CudaProduct::nt_bias`]; the statistics have `[⌈m / tile_rows⌉, n]` numbers each.
    pub(super) unsafe fn nt_statistics(
        self,
        device: &CudaDevice,
        c: Pointer<f32>,
        [mean, m2]: [Pointer<f32>; 2],
        [a, b, bias]: [Pointer<f32>; 3],
    ) -> Result<()> {
        let k = &device.kernels;
        let kernel = self.of([
            &k.sgemm_nt_statistics_large,
            &k.sgemm_nt_statistics_medium,
            &k.sgemm_nt_statistics_small,
        ]);
        let (grid, block) = (self.grid(), self.block());
        // SAFETY: the caller's promise; the types are the kernel's.
        unsafe {
            launch!(
                device, kernel, grid, block, c, mean, m2, a, b, bias, self.m, self.n, self.k
            )
        }
    }

    /// `$C = A B$`, A `[m, k]`, B `[k, n]`.
    ///
    /// # Safety
    /// The pointers are to matrices and vectors of these sizes.
    pub(super) unsafe fn nn(
        self,
        device: &CudaDevice,
        c: Pointer<f32>,
        [a, b]: [Pointer<f32>; 2],
    ) -> Result<()> {
        let k = &device.kernels;
        let kernel = self.of([&k.sgemm_nn_large, &k.sgemm_nn_medium, &k.sgemm_nn_small]);
        let (grid, block) = (self.grid(), self.block());
        // SAFETY: the caller's promise; the types are the kernel's.
        unsafe { launch!(device, kernel, grid, block, c, a, b, self.m, self.n, self.k) }
    }

    /// `$C = A^\top B$`, A `[k, m]`, B `[k, n]`, and the column sums of A `[m]`.
    ///
    /// # Safety
    /// The pointers are to matrices and vectors of these sizes.
    pub(super) unsafe fn tn(
        self,
        device: &CudaDevice,
        [c, sums]: [Pointer<f32>; 2],
        [a, b]: [Pointer<f32>; 2],
    ) -> Result<()> {
        let k = &device.kernels;
        let kernel = self.of([&k.sgemm_tn_large, &k.sgemm_tn_medium, &k.sgemm_tn_small]);
        let (grid, block) = (self.grid(), self.block());
        // SAFETY: the caller's promise; the types are the kernel's.
        unsafe {
            launch!(
                device, kernel, grid, block, c, sums, a, b, self.m, self.n, self.k
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_by_hand() {
        // One block of any tile: the smallest wastes least.
        assert_eq!(choose(10, 10, 100), 2);
        // 64 large tiles on 64 multiprocessors, one round; 256 medium ones, four rounds of a quarter, less efficient.
        assert_eq!(choose(1024, 1024, 64), 0);
        // 100 rows of 500: four large tiles leave most of the device idle, 64 small ones do not.
        assert_eq!(choose(100, 500, 64), 2);
        // Two rounds of small tiles cost less than one of medium ones, three cost more.
        assert_eq!(choose(128, 2000, 132), 2);
        assert_eq!(choose(1000, 300, 132), 1);
        assert!(TILES.iter().all(|tile| tile.rows >= LEAST_TILE_ROWS));
    }
}
