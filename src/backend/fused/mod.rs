//! The fast backend: the mathematics of [`super::Plain`], bit for bit, done where its numbers are in cache.
//!
//! # Panels
//!
//! Every matrix with one row a sample is kept in *panels* of 16 columns, `[⌈columns/16⌉][rows][16]`.
//! W `[outputs, inputs]` is kept in panels of 16 outputs, `[⌈outputs/16⌉][inputs][16]`, or transposed if it has few.
//! That is the layout that the kernels of [`gemm`](crate::gemm) read, so products copy next to nothing.
//! A last panel is padded with zeros in W, in its gradient and in every gradient of an activation.
//! So the padding never changes a result.
//!
//! # How the work is divided
//!
//! A [`Team`](crate::threads::team::Team) of threads runs through a block together.
//! Each member computes whole panels, that is whole columns.
//! It multiplies, adds the bias, normalises with batch statistics, applies dropout and the activation.
//! All this time the panel stays in the member's cache, and no other member is waited for.
//! A barrier is needed only before a product that reads the columns of all members.
//! How many threads a step is worth is tried while training, see [`Fused::on_up_to`].
//!
//! In the backward, a tile of 16 inputs × 16 outputs of dW goes straight into the optimiser.
//! The optimiser finds w, m and v of the tile side by side in memory.
//! Gradients of weights are written down only for clipping, and to add up those of an ensemble's members.
//!
//! # bf16
//!
//! With [`ProductPrecision::Bf16`](super::ProductPrecision::Bf16) what the three products multiply is rounded to bf16.
//! What they add up is not: parameters, moments, sums, norms, activations and the loss stay f32.
//! That is mixed precision with master weights (Micikevicius et al., “Mixed Precision Training”, ICLR 2018).
//! bf16 needs no loss scaling (Kalamkar et al., “A Study of BFLOAT16 for Deep Learning Training”, 2019).
//! A pair of bf16 is two neighbours along a product's sum.
//! So X and dY are rounded twice, along their columns and along their rows.
//! W is rounded block by block on its way into the first-level cache.
//!
//! | file | holds |
//! |---|---|
//! | `engine.rs` | [`Fused`]: threads and kernels |
//! | `backend.rs` | the calls of [`Backend`](super::Backend) |
//! | `forward.rs`, `backward.rs` | a block, and its reverse |
//! | `products.rs` | its products, whichever way its W lies |
//! | `input.rs` | pixels to numbers in panels |
//! | `update.rs` | the optimiser's step |
//! | `saved.rs`, `rounded.rs`, `buffer.rs`, `layout.rs` | what is kept, and how it lies |

mod backend;
mod backward;
mod buffer;
mod engine;
mod forward;
mod input;
mod layout;
mod products;
mod rounded;
mod saved;
mod update;

pub use buffer::Buffer;
pub use engine::Fused;
pub use saved::FusedSaved;
