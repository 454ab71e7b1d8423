//! Chapter 12: products, and why they are fast.
//!
//! Nearly all time of a training step goes into products of matrices. A processor can multiply far faster than it can
//! read numbers from memory, so a fast product reads each number seldom and uses it often.
//!
//! # Derivation
//!
//! **Roofline.** A program does F operations and moves B bytes. A machine with a peak of P operations a second and a
//! bandwidth of M bytes a second needs at least F/P and at least B/M. So its speed is at most
//!
//! ```math
//! \frac{F}{\max(F/P,\; B/M)} = \min\Big(P,\; \frac{F}{B} M\Big)
//! ```
//!
//! F/B is the *intensity*. Below P/M, memory is the limit; above, arithmetic. A core with two units for fused
//! multiply-adds of 8 numbers at 3 GHz has P = 2 · 8 · 2 · 3 · 10⁹ = 96 · 10⁹. With M = 15 · 10⁹ the ridge is at 6.4.
//!
//! **The intensity of a product** of `[m, k]` by `[k, n]`, each matrix moved once, 4 bytes a number:
//!
//! ```math
//! \frac{2mkn}{4(mk + kn + mn)} = \frac12 \Big/ \Big(\frac1n + \frac1m + \frac1k\Big)
//! ```
//!
//! Divide above and below by mkn to see it. The smallest of the three sizes decides. A layer of 784 × 500 has an
//! intensity of 0.5 with one sample, and 38 with 100. An optimiser's step has 0.5 and stays at the memory's speed.
//!
//! **Three loops are not enough.** Moving each matrix once is what memory should see. But the inner loop reads from
//! somewhere too. A dot product reads two numbers for each multiply-add: 8 bytes for 2 operations, intensity 1/4. Even
//! the first-level cache, with about 64 bytes a cycle, could feed 16 operations a cycle, of 32 that are possible.
//!
//! **Registers.** Keep a tile of C, r rows by c columns, in registers. For each p, read r numbers of A and c of B, and
//! use each number of A c times and each of B r times:
//!
//! ```math
//! C_{ij} \leftarrow C_{ij} + A_{ip} B_{pj}, \qquad \text{intensity } \frac{2rc}{4(r + c)}
//! ```
//!
//! | instruction set | tile | registers of sums | intensity |
//! |---|---|---|---|
//! | none | 1 × 1 | 1 | 0.25 |
//! | AVX2 | 6 × 16 | 12 of 16, 8 numbers each | 2.2 |
//! | AVX-512 | 14 × 32 | 28 of 32, 16 numbers each | 4.9 |
//!
//! The tile has another purpose. A multiply-add takes about 4 cycles until its sum can be used, and two can start in
//! every cycle. So at least 8 independent sums must be under way. 12 or 28 registers are enough.
//!
//! **Panels.** A tile reads c neighbouring numbers of a row of B, then those of the next row. In a row-major matrix
//! these rows lie far apart: a new cache line and often a new page each. So B is copied once into *panels* of 16
//! columns, in which rows follow each other. 16 numbers of f32 are one cache line. Training in f32 keeps weights and
//! activations in panels from the start.
//!
//! **Cache blocks.** Let a cache hold b × b blocks of A, B and C. There are mkn/b³ products of blocks, each of which
//! reads 2b² numbers:
//!
//! ```math
//! \frac{mkn}{b^3}\, 2b^2 = \frac{2mkn}{b} \quad\text{numbers from the level below}
//! ```
//!
//! Twice the side, half the traffic; a cache of S numbers allows b up to about `$\sqrt{S/3}$`. Each level gets its own
//! block:
//!
//! | kept in | what | size |
//! |---|---|---|
//! | registers | a tile of C | 6 × 16 or 14 × 32 |
//! | first level | 400 rows of a panel of B | 25 KB |
//! | second level | 160 rows of A by 400 columns | 250 KB |
//! | last level | 64 panels of B by 400 rows | 1.6 MB |
//!
//! **One chain.** Each cell of C is a chain of fused multiply-adds in ascending p, each rounded once:
//!
//! ```math
//! c_0 = 0, \qquad c_{p+1} = \mathrm{round}(a_p b_p + c_p)
//! ```
//!
//! Tiles and blocks change which cell is computed when, and never the order within a cell. When k is cut into blocks,
//! the later block goes on from the sum of the earlier one. So all instruction sets and all numbers of threads give the
//! same bits. A vector holds neighbouring cells of a row of C, and no sum runs across it. [`gemm`](mod@crate::gemm)
//! holds the code.
//!
//! # Cost
//!
//! | for n = 100, 784 → 500 | operations | bytes | at least, on the core above |
//! |---|---|---|---|
//! | a product | 78.4 million | 2.1 MB | 0.82 ms arithmetic, 0.14 ms memory |
//! | forward and dW of the layer | 157 million | 4.2 MB | 1.6 ms |
//! | Adam on its weights | 5 million | 11 MB | 0.05 ms arithmetic, 0.73 ms memory |
//!
//! The optimiser does 3 % of the operations and would take a third of the time. That is why its bytes are worth saving.
//!
//! # Stability
//!
//! A fused multiply-add rounds once where a product and a sum round twice. A chain of k has the bound
//! `$\gamma_k \sum |a_p b_p|$` of [chapter 1](super::forward). Sums in another order, as of 8 lanes side by side, would
//! have a smaller bound, but a different result for every width of a vector.
//!
//! # By hand
//!
//! ```
//! use chainrule::gemm::{Beta, gemm, naive};
//! use ndarray::{Array2, s};
//!
//! let number = |i: usize, j: usize| ((i * 37 + j * 101) % 64) as f32 / 17.0 - 1.5;
//! let a = Array2::from_shape_fn((20, 900), |(i, p)| number(i, p));
//! let b = Array2::from_shape_fn((900, 40), |(p, j)| number(p + 5, j));
//! let mut c = Array2::zeros((20, 40));
//! gemm(a.view(), b.view(), Beta::Overwrite, c.view_mut(), 1);
//!
//! // Every bit is that of the chain, written as a loop. k = 900 is more than two blocks of 400.
//! let chain = |i: usize, j: usize| (0..900).fold(0.0_f32, |sum, p| a[(i, p)].mul_add(b[(p, j)], sum));
//! assert!(c.indexed_iter().all(|((i, j), c)| c.to_bits() == chain(i, j).to_bits()));
//! // Product and sum rounded apart are other bits.
//! let twice = |i: usize, j: usize| (0..900).fold(0.0_f32, |sum, p| sum + a[(i, p)] * b[(p, j)]);
//! assert!(c.indexed_iter().any(|((i, j), c)| c.to_bits() != twice(i, j).to_bits()));
//!
//! // A sum that is cut anywhere goes on from where it was.
//! let mut halves = Array2::zeros((20, 40));
//! gemm(a.slice(s![.., ..123]), b.slice(s![..123, ..]), Beta::Overwrite, halves.view_mut(), 1);
//! gemm(a.slice(s![.., 123..]), b.slice(s![123.., ..]), Beta::Accumulate, halves.view_mut(), 1);
//! assert_eq!(halves, c);
//!
//! // The error, against a product summed in f64: within γ_k Σ |a b|.
//! let mut exact = Array2::zeros((20, 40));
//! naive(a.view(), b.view(), Beta::Overwrite, exact.view_mut());
//! let gamma = 900.0 * f32::EPSILON / 2.0;
//! for ((i, j), c) in c.indexed_iter() {
//!     let sizes: f32 = (0..900).map(|p| (a[(i, p)] * b[(p, j)]).abs()).sum();
//!     assert!((c - exact[(i, j)]).abs() <= 1.01 * gamma * sizes);
//! }
//!
//! // Intensities: of products, whose smallest size decides, and of tiles.
//! let product = |m: f64, k: f64, n: f64| 2.0 * m * k * n / (4.0 * (m * k + k * n + m * n));
//! let short = |m: f64, k: f64, n: f64| 0.5 / (1.0 / n + 1.0 / m + 1.0 / k);
//! for (samples, expected) in [(1.0, 0.5), (100.0, 37.7)] {
//!     assert!((product(samples, 784.0, 500.0) - expected).abs() < 0.05);
//!     assert!((product(samples, 784.0, 500.0) / short(samples, 784.0, 500.0) - 1.0).abs() < 1e-12);
//! }
//! let tile = |r: f64, c: f64| 2.0 * r * c / (4.0 * (r + c));
//! assert!((tile(6.0, 16.0) - 2.2).abs() < 0.05 && (tile(14.0, 32.0) - 4.9).abs() < 0.05);
//! ```
//!
//! # Exercise
//!
//! Compute the least time of a product of 100 × 784 by 784 × 500 from your machine's peak and bandwidth. `bench`
//! measures both, as multiply-adds f32 and as the optimiser in memory. Then come products, of which yours is
//! 100x500x784 NN (m, n, k), as a share of the peak, and whole steps as a share of their bound:
//!
//! ```text
//! chainrule bench --quick
//! ```
//!
//! # Sources
//!
//! * Williams, Waterman, Patterson, “Roofline”, *Communications of the ACM* 52(4), 2009.
//! * Goto, van de Geijn, “Anatomy of High-Performance Matrix Multiplication”, ACM TOMS 34(3), 2008.
//! * Van Zee, van de Geijn, “BLIS”, ACM TOMS 41(3), 2015.
//! * Hong, Kung, “I/O complexity: The red-blue pebble game”, STOC 1981: no order of the loops moves much less.
//! * Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, 2002, section 3.1.
//!
//! Next: [chapter 13](super::reproducibility).
