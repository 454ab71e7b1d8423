//! General matrix multiplication, where almost all time goes.
//!
//! ```math
//! C \leftarrow A B + \beta C, \qquad A: [m, k],\; B: [k, n],\; C: [m, n],\; \beta \in \{0, 1\}
//! ```
//!
//! There are two entries.
//!
//! * [`gemm()`] multiplies `ndarray` views of any strides. A transposed operand is `a.t()` and costs nothing.
//! * `PanelProducts` multiplies the matrices of a layer that are kept in panels, the layout that kernels read.
//!
//! [`naive()`] is the definition, which every faster path is tested against.
//!
//! # Where to read
//!
//! | file | holds |
//! |---|---|
//! | `kernel/` | the innermost loops in registers, and the contract that they keep |
//! | `params.rs` | the width of a panel and block sizes, each with its reason |
//! | `pack.rs` | copies into panels |
//! | `bf16.rs` | numbers rounded to bf16, and copies of them in pairs |
//! | `blocked.rs` | the loops round the kernels for matrices of any strides |
//! | `element.rs` | a product on the calling thread, by type of number |
//! | `parallel.rs` | [`gemm()`], and the pieces of C that threads share |
//! | `panels.rs` | the three products of a layer in panels |
//! | `panels_bf16.rs` | its forward product in bf16, which rounds W on the way |
//! | `naive.rs` | the definition |
//! | `yardstick.rs` | `matrixmultiply`, to compare with |
//!
//! This module has kernels for f32, and for bf16 products in panels: for AVX-512, AVX2, NEON, and in plain Rust for
//! every other processor. Products in f64 are computed by the crate `matrixmultiply`.
//!
//! # Same bits
//!
//! Work is split between threads over tiles of C only, never over k.
//! In the kernels here each element of C is one chain of fused multiply-adds in ascending k.
//! So its bits depend neither on the instruction set nor on the split.
//! `matrixmultiply` adds in an order of its own, and the cuts are at multiples of [`ROW_GRAIN`] and [`COLUMN_GRAIN`].
//! So it computes an element by the same instructions however C is split.

mod bf16;
mod blocked;
mod element;
mod kernel;
mod naive;
mod pack;
mod panels;
mod panels_bf16;
mod parallel;
mod params;
#[cfg(test)]
mod tests;
pub mod yardstick;

pub(crate) use bf16::{Pair, pack_pairs, pack_rows};
pub use element::{Beta, Element};
pub(crate) use kernel::{Kernel, Operand};
pub use naive::naive;
pub(crate) use pack::Line;
pub(crate) use panels::{ForwardProduct, PanelProducts, WeightTile};
pub use parallel::{COLUMN_GRAIN, ROW_GRAIN, gemm};
pub(crate) use params::PANEL;
