//! Chapter 13: reproducibility, the same bits every time.
//!
//! The same seed gives the same weights, to the last bit, with any instruction set, on any number of threads, and after
//! any interruption (f32). Three rules do it: sums have one order, random numbers have an address, and no function is
//! the system's.
//!
//! # Derivation
//!
//! **Sums depend on their order.** Each addition rounds to 24 bits. In f32 `$2^{24} + 1$` has no room, and is rounded
//! to `$2^{24}$`:
//!
//! ```math
//! (2^{24} + 1) - 2^{24} = 0, \qquad (2^{24} - 2^{24}) + 1 = 1
//! ```
//!
//! One bit is enough: every later step starts from other weights, and the runs go apart. So every sum in this crate has
//! one order, which no thread and no register decides:
//!
//! | sum | order | reason |
//! |---|---|---|
//! | a cell of a product | one chain in ascending k | vectors lie across cells: [chapter 12](super::products) |
//! | down a column (db, dγ, means) | rows one after the other | vectors lie across columns |
//! | along a row (softmax) | 16 lanes by `i mod 16`, then a tree | as wide as the widest register |
//! | all gradients (clipping) | 16 lanes in f64, then a tree | lanes follow the network, not its layout in memory |
//!
//! A register of 8 numbers computes 16 lanes in two halves, one of 4 in four quarters, plain code one by one. Each lane
//! still sees the same numbers in the same order. *Threads divide results, and never a sum*: each computes whole cells
//! or whole columns.
//!
//! **What the order is worth.** A sum of n numbers, one after the other, has up to n − 1 roundings on the way of its
//! first number. In 16 lanes the longest way is ⌈n/16⌉ − 1 additions and 4 more in the tree:
//!
//! ```math
//! |\text{error}| \le (n - 1)\, u \sum |x_i| \qquad\text{against}\qquad
//! \big(\lceil n/16 \rceil + 3\big)\, u \sum |x_i|
//! ```
//!
//! to first order in u. The order that vectors want is also the more precise one.
//!
//! **Random numbers have an address.** A generator that goes from number to number must know how many were drawn
//! before. Two threads would have to agree on it. A counter-based generator computes the number at an address. The mask
//! of [chapter 8](super::dropout) is a function of (seed, layer, step, element). Shuffles and initial weights are short
//! sequences, each with a stream of its own: (seed, purpose, epoch). So epoch 7 is the same, whether or not epochs 1 to
//! 6 were run before it in this process.
//!
//! **No function is the system's.** IEEE 754 fixes +, −, ×, ÷, √ and the fused multiply-add to the last bit. It does
//! not fix exp, log, tanh or cos, and libraries differ. Here they are made of those operations: in f32 by this crate
//! ([`real::math`](crate::real::math)), in f64 by a portable library.
//!
//! **And fusing is said.** `$ab + c$` with one rounding is another number than with two. A compiler for Rust does not
//! fuse by itself. The products fuse always, by instruction or emulated; the optimisers never do.
//!
//! # Cost
//!
//! No operation and no byte is added: the orders are those that vectors want. What is given up are other orders.
//! Threads may not split k, so a product with a small result and a long sum has less to share out: dW of a small layer.
//! Without an instruction for fused multiply-adds they are emulated, which is many times slower.
//!
//! # Stability
//!
//! The same bits are not the right bits. But what can be repeated can be examined: a gradient that is wrong in update
//! 31,415 will be wrong there again. And tests compare for equality, so no error hides in a tolerance.
//!
//! f64 products and bf16 promise less, the same bits on one kind of processor.
//!
//! # By hand
//!
//! ```
//! use chainrule::gemm::{Beta, gemm};
//! use chainrule::ops::dropout::Mask;
//! use chainrule::ops::reduce;
//! use ndarray::Array2;
//!
//! // Floating-point sums depend on their order.
//! let big = 16_777_216.0_f32; // 2²⁴
//! assert_eq!(((big + 1.0) - big, (big - big) + 1.0), (0.0, 1.0));
//!
//! // A row: 16 lanes by i mod 16, then a tree. Added up one by one it has other bits, and a larger error.
//! let row: Vec<f32> = (0..1000).map(|i| 1.0 + (i * 7919 % 1000) as f32 / 997.0).collect();
//! let mut lanes = [0.0_f32; 16];
//! for (i, x) in row.iter().enumerate() {
//!     lanes[i % 16] += x;
//! }
//! for half in [8, 4, 2, 1] {
//!     for i in 0..half {
//!         lanes[i] += lanes[i + half];
//!     }
//! }
//! let exact: f64 = row.iter().map(|&x| f64::from(x)).sum();
//! let one_by_one: f32 = row.iter().sum();
//! let error = |sum: f32| (f64::from(sum) - exact).abs();
//! assert_eq!(reduce::sum(&row).to_bits(), lanes[0].to_bits());
//! assert!(error(lanes[0]) < error(one_by_one));
//! let u = f64::from(f32::EPSILON) / 2.0;
//! assert!(error(one_by_one) <= 999.0 * u * exact && error(lanes[0]) <= (63.0 + 3.0) * u * exact);
//!
//! // Columns: rows one after the other.
//! let mut sums = [0.0_f32; 4];
//! reduce::add_rows(&row, &mut sums);
//! let by_hand = [0, 1, 2, 3].map(|j| row.iter().skip(j).step_by(4).fold(0.0_f32, |sum, x| sum + x));
//! assert_eq!(sums, by_hand);
//!
//! // A product on 1, 2 and 3 threads.
//! let number = |i: usize, j: usize| ((i * 37 + j * 101) % 64) as f32 / 17.0 - 1.5;
//! let a = Array2::from_shape_fn((150, 90), |(i, p)| number(i, p));
//! let b = Array2::from_shape_fn((90, 130), |(p, j)| number(p, j));
//! let product = |threads: usize| {
//!     let mut c = Array2::zeros((150, 130));
//!     gemm(a.view(), b.view(), Beta::Overwrite, c.view_mut(), threads);
//!     c
//! };
//! assert!(product(1) == product(2) && product(2) == product(3));
//!
//! // A mask has an address: any part of it can be computed alone.
//! let mask = Mask { seed: 1, layer: 0, step: 9, p: 0.5 };
//! let (mut all, mut part) = ([0.0_f32; 1000], [0.0_f32; 10]);
//! mask.factors(0, &mut all);
//! mask.factors(501, &mut part);
//! assert_eq!(part, all[501..511]);
//! ```
//!
//! # Exercise
//!
//! Train on one thread, and let `verify` train again on two. It compares every tensor of every epoch:
//!
//! ```text
//! chainrule train --epochs 2 --threads 1 --dropout 0.2 --out first
//! chainrule verify first --threads 2
//! ```
//!
//! # Sources
//!
//! * Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, 2002, chapter 4: errors of sums.
//! * Goldberg, “What Every Computer Scientist Should Know About Floating-Point Arithmetic”, *ACM Computing Surveys*
//!   23(1), 1991.
//! * IEEE 754-2019, sections 5.4 and 9.2: which operations are rounded correctly, and for which that is only advice.
//! * Salmon, Moraes, Dror, Shaw, “Parallel Random Numbers: As Easy as 1, 2, 3”, SC 2011.
//! * Demmel, Nguyen, “Parallel Reproducible Summation”, *IEEE Transactions on Computers* 64(7), 2015.
