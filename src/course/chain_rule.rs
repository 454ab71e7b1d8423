//! Chapter 3: the chain rule on matrices.
//!
//! The backward pass starts from the loss, whose gradient with respect to itself is 1, and goes through the operations
//! in reverse. Each turns the gradient of its output into those of its inputs, by one rule.
//!
//! # Derivation
//!
//! **One path.** If L depends on y and y on x, then `$\frac{dL}{dx} = \frac{dL}{dy} \frac{dy}{dx}$`.
//!
//! **Several paths.** If x acts on `$y_1, \dots, y_m$`, and these on L, a small change δx changes each `$y_i$` by
//! `$\frac{\partial y_i}{\partial x} \delta x$`. To first order the changes of L add up:
//!
//! ```math
//! \frac{\partial L}{\partial x} = \sum_i \frac{\partial L}{\partial y_i} \frac{\partial y_i}{\partial x}
//! ```
//!
//! That is all. The rest is to find, for one cell, every place where it occurs.
//!
//! **One cell of a product.** Let `$Y = A B$` with A `[n, k]`, B `[k, m]`, and let dY `[n, m]` be known.
//!
//! ```math
//! Y_{ij} = \sum_p A_{ip} B_{pj}
//! ```
//!
//! Fix one cell `$A_{ip}$`. It occurs in row i of Y, in every column j, with the factor `$B_{pj}$`. Sum over these
//! places:
//!
//! ```math
//! dA_{ip} = \sum_j dY_{ij} B_{pj}
//! ```
//!
//! This is a product of matrices, if the summed index j stands inside: `$B_{pj} = (B^\top)_{jp}$`. So
//!
//! ```math
//! dA = dY\, B^\top
//! ```
//!
//! Fix one cell `$B_{pj}$`. It occurs in column j of Y, in every row i, with the factor `$A_{ip}$`:
//!
//! ```math
//! dB_{pj} = \sum_i dY_{ij} A_{ip} = \sum_i (A^\top)_{pi}\, dY_{ij} \quad\Rightarrow\quad dB = A^\top dY
//! ```
//!
//! **Why the transpose.** The forward product sums over p, the index that A and B share. A cell of A keeps its p, so
//! its gradient must sum over the other index of B, which is j. Summing over a matrix's other index is what a
//! transpose writes.
//!
//! **The dimensions say the same.** dA must be `[n, k]`. There are dY `[n, m]` and B `[k, m]`. The m must cancel:
//!
//! | wanted | from | only this fits |
//! |---|---|---|
//! | dA `[n, k]` | dY `[n, m]`, B `[k, m]` | dY Bᵀ: `[n, m] [m, k]` |
//! | dB `[k, m]` | A `[n, k]`, dY `[n, m]` | Aᵀ dY: `[k, n] [n, m]` |
//!
//! This finds the formula fast. It proves nothing: if n = k = m everything fits, and a wrong product goes unseen. Test
//! with sizes that differ.
//!
//! **The same without indices.** To first order the loss changes by `$\delta L = \langle dY, \delta Y\rangle$`, the sum
//! of all products of cells. With the trace it is `$\operatorname{tr}(dY^\top \delta Y)$`. A change of A makes
//! `$\delta Y = \delta A\, B$`. Factors go round in a trace, `$\operatorname{tr}(PQ) = \operatorname{tr}(QP)$`:
//!
//! ```math
//! \delta L = \operatorname{tr}(dY^\top \delta A\, B) = \operatorname{tr}(B\, dY^\top \delta A)
//! = \operatorname{tr}\big((dY\, B^\top)^\top \delta A\big) = \langle dY\, B^\top, \delta A \rangle
//! ```
//!
//! This holds for every δA. So `$dA = dY\, B^\top$`.
//!
//! **The other operations of a network** come from the same question, where does a cell occur?
//!
//! | forward | a cell occurs in | backward |
//! |---|---|---|
//! | `$Y = AB$` | a row or a column of Y | `$dA = dY\,B^\top$`, `$dB = A^\top dY$` |
//! | `$Y = A + B$` | one cell, factor 1 | `$dA = dB = dY$` |
//! | `$Y = \mathbf{1} b^\top$` | a column, factor 1 | `$db = dY^\top \mathbf{1}$` |
//! | `$Y = f(X)$`, entry by entry | one cell, factor `$f'(X_{ij})$` | `$dX = f'(X) \circ dY$` |
//! | X is used twice | both places | the sum of both gradients |
//!
//! **Why backwards.** Let `$J_1, \dots, J_K$` be the matrices of all partial derivatives of K operations. The gradient
//! is `$(J_K \cdots J_1)^\top$` times one vector, because L is one number. From the side of the loss each step is a
//! matrix times a *vector*; from the other side it would be a matrix times a *matrix*. No J is ever written down: for a
//! product with `[n, k]` and `[n, m]` it has n² · k · m entries, and the formulas above need n · k · m multiplications.
//!
//! **Central differences.** A formula can be checked without believing it. Taylor's series around x, once with h and
//! once with −h, has equal even terms, which cancel in the difference:
//!
//! ```math
//! \frac{f(x+h) - f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots
//! ```
//!
//! # Cost
//!
//! | | operations | bytes |
//! |---|---|---|
//! | Y = AB | 2nkm | 4 (nk + km + nm) |
//! | dA and dB | 4nkm | 8 (nk + km + nm) |
//!
//! A backward pass has twice the operations of its forward pass. Checking one gradient of P parameters by central
//! differences takes 2P forward passes. That is a test, and no way to train.
//!
//! # Stability
//!
//! A central difference has two errors: `$h^2 f'''/6$` from the series, and about `$u |f| / h$` from rounding, since
//! two almost equal numbers are subtracted. Their sum is least where both are alike, at `$h \approx u^{1/3}$`: in f64
//! about `$5 \cdot 10^{-6}$`, which leaves 10 digits. In f32 only 4 would be left, so gradients are checked in f64.
//! Where f has a kink between x − h and x + h, as relu has, the difference measures the kink.
//!
//! # By hand
//!
//! ```
//! use chainrule::gemm::{Beta, gemm};
//! use ndarray::{Array2, ArrayView2, array};
//! # mod check { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/course/check.rs")); }
//! # use check::{assert_close, differences, dot};
//!
//! // n = 2, k = 3, m = 4: sizes that differ. L = Σ dY ∘ Y, so its gradient with respect to Y is dY.
//! let a = array![[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]];
//! let b = array![[2.0, 1.0, 0.0, -1.0], [0.5, -3.0, 1.0, 2.0], [1.0, 4.0, -2.0, 0.0]];
//! let dy = array![[1.0, 0.5, -1.0, 2.0], [-0.5, 1.5, 0.0, 1.0]];
//!
//! // Cell (0, 2) of dA: row 0 of dY with row 2 of B. Cell (1, 3) of dB: column 1 of A with column 3 of dY.
//! let da_02 = 1.0 * 1.0 + 0.5 * 4.0 + -1.0 * -2.0 + 2.0 * 0.0;
//! let db_13 = -2.0 * 2.0 + 0.0 * 1.0;
//!
//! let mut da = Array2::zeros((2, 3));
//! let mut db = Array2::zeros((3, 4));
//! gemm(dy.view(), b.t(), Beta::Overwrite, da.view_mut(), 1);
//! gemm(a.t(), dy.view(), Beta::Overwrite, db.view_mut(), 1);
//! assert_eq!((da[(0, 2)], db[(1, 3)]), (da_02, db_13));
//!
//! // Every cell against central differences.
//! let flat = |m: &Array2<f64>| m.iter().copied().collect::<Vec<f64>>();
//! let loss = |a: ArrayView2<f64>, b: ArrayView2<f64>| dot(&flat(&dy), &flat(&a.dot(&b)));
//! let of_a = |a: &[f64]| loss(ArrayView2::from_shape((2, 3), a).unwrap(), b.view());
//! let of_b = |b: &[f64]| loss(a.view(), ArrayView2::from_shape((3, 4), b).unwrap());
//! assert_close(&flat(&da), &differences(&flat(&a), of_a));
//! assert_close(&flat(&db), &differences(&flat(&b), of_b));
//!
//! // The error of a central difference: a hundredth of h, a ten-thousandth of the error.
//! let slope = |h: f64| ((1.0 + h).exp() - (1.0 - h).exp()) / (2.0 * h);
//! let error = |h: f64| slope(h) / 1.0_f64.exp() - 1.0;
//! assert!((error(1e-1) / error(1e-3) - 1e4).abs() < 10.0);
//! // Much smaller steps are worse again: rounding.
//! assert!(error(1e-12).abs() > 1e-6 && error(5e-6).abs() < 1e-10);
//! ```
//!
//! # Exercise
//!
//! Without activation and batch norm a network is a chain of products. Compute dH1, which is `$dZ\, W_2$`, and dW2.
//! Then let every entry be checked:
//!
//! ```text
//! chainrule explain --widths 3 --activation identity --batch-norm false --batch-size 2 --quiz --blank dH1,dW2
//! chainrule gradcheck --activation identity --batch-norm false --inputs 3 --widths 4 --classes 2 --all
//! ```
//!
//! # Sources
//!
//! * Goodfellow, Bengio, Courville, *Deep Learning*, 2016, sections 6.5.2 to 6.5.4.
//! * Rumelhart, Hinton, Williams, “Learning representations by back-propagating errors”, *Nature* 323, 1986.
//! * Magnus, Neudecker, *Matrix Differential Calculus*, 3rd edition, 2019, chapters 5 and 9: the way by traces.
//! * Griewank, Walther, *Evaluating Derivatives*, 2nd edition, 2008, chapters 3 and 4: what the reverse mode costs.
//! * Press, Teukolsky, Vetterling, Flannery, *Numerical Recipes*, 3rd edition, 2007, section 5.7: the best h.
//!
//! Next: [chapter 4](super::linear).
