//! The matrix products of training steps, and one square, in the layouts that training has.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::ThreadPoolBuilder;
use serde::Serialize;

use super::peak::Peak;
use super::timing::{self, Comparison, PairEffort};
use crate::backend::ProductPrecision;
use crate::error::{Error, Result};
use crate::gemm::{Beta, gemm, yardstick};

/// The sizes of a product: A `[m, k]`, B `[k, n]`, C `[m, n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
}

const fn shape(m: usize, n: usize, k: usize) -> Shape {
    Shape { m, n, k }
}

/// Forward, weight-gradient and input-gradient products of the default network, of the study's final model, of a wide
/// network, of small batches and of narrow layers; and a product of square matrices.
pub const SHAPES: [Shape; 10] = [
    shape(100, 500, 784),
    shape(100, 784, 500),
    shape(122, 569, 784),
    shape(122, 488, 569),
    shape(128, 1000, 1000),
    shape(784, 500, 100),
    shape(1000, 1000, 128),
    shape(16, 500, 784),
    shape(100, 50, 784),
    shape(1024, 1024, 1024),
];

impl Shape {
    /// Floating-point operations of the product: a multiplication and an addition for each of `m·n·k`.
    pub fn flops(&self) -> f64 {
        2.0 * (self.m * self.n * self.k) as f64
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.m, self.n, self.k)
    }
}

/// How the operands are stored. C is row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProductLayout {
    /// A `[m, k]` and B `[k, n]` row-major: the input gradient `dY W`.
    Nn,
    /// B is the transposed view of a row-major `[n, k]`: the forward product `X Wᵀ`.
    Nt,
    /// A is the transposed view of a row-major `[k, m]`: the weight gradient `dYᵀ X`.
    Tn,
}

impl ProductLayout {
    /// All layouts.
    pub const ALL: [ProductLayout; 3] = [ProductLayout::Nn, ProductLayout::Nt, ProductLayout::Tn];
}

impl std::fmt::Display for ProductLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ProductLayout::Nn => "NN",
            ProductLayout::Nt => "NT",
            ProductLayout::Tn => "TN",
        })
    }
}

/// A and B of a product, as they are stored.
#[derive(Clone, Debug)]
pub struct ProductOperands {
    /// The layout that they are stored in.
    pub layout: ProductLayout,
    a: Array2<f32>,
    b: Array2<f32>,
}

impl ProductOperands {
    /// Numbers between −½ and ½, the same for each layout.
    pub fn new(shape: Shape, layout: ProductLayout) -> Self {
        let value = |i: usize, j: usize| ((i * 31 + j * 7) % 257) as f32 / 257.0 - 0.5;
        let Shape { m, n, k } = shape;
        let a = |i: usize, p: usize| value(i, p);
        let b = |p: usize, j: usize| value(p + 3, j * 5);
        ProductOperands {
            layout,
            a: match layout {
                ProductLayout::Tn => Array2::from_shape_fn((k, m), |(p, i)| a(i, p)),
                _ => Array2::from_shape_fn((m, k), |(i, p)| a(i, p)),
            },
            b: match layout {
                ProductLayout::Nt => Array2::from_shape_fn((n, k), |(j, p)| b(p, j)),
                _ => Array2::from_shape_fn((k, n), |(p, j)| b(p, j)),
            },
        }
    }

    /// A `[m, k]`.
    pub fn a(&self) -> ArrayView2<'_, f32> {
        match self.layout {
            ProductLayout::Tn => self.a.t(),
            _ => self.a.view(),
        }
    }

    /// B `[k, n]`.
    pub fn b(&self) -> ArrayView2<'_, f32> {
        match self.layout {
            ProductLayout::Nt => self.b.t(),
            _ => self.b.view(),
        }
    }
}

/// The times of a product by our kernels and by `matrixmultiply`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ProductReport {
    /// Its sizes.
    #[serde(flatten)]
    pub shape: Shape,
    /// How its operands are stored.
    pub layout: ProductLayout,
    /// The number of threads.
    pub threads: usize,
    /// Seconds of both sides, and their ratio.
    #[serde(flatten)]
    pub times: Comparison,
    /// Floating-point operations per second of our kernels.
    pub flops_per_second: f64,
    /// That speed in percent of the machine's peak.
    pub percent_of_peak: f64,
}

/// Times a product on a number of threads.
///
/// # Errors
/// If the threads cannot be started, if the results of both sides differ, or if `peak` was not measured on that number
/// of threads.
pub fn measure(
    shape: Shape,
    layout: ProductLayout,
    threads: usize,
    peak: &Peak,
    effort: PairEffort,
) -> Result<ProductReport> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| Error::setting("threads", e.to_string()))?;
    let operands = ProductOperands::new(shape, layout);
    let (a, b) = (operands.a(), operands.b());
    let mut our_c = Array2::from_elem((shape.m, shape.n), f32::NAN);
    let mut their_c = our_c.clone();
    let times = pool.install(|| {
        timing::compare(
            effort,
            &mut || gemm(a, b, Beta::Overwrite, our_c.view_mut(), threads),
            &mut || matrixmultiply(a, b, their_c.view_mut(), threads),
        )
    });
    if !agree(&our_c, &their_c) {
        return Err(Error::Check(format!(
            "{shape} {layout}: not the numbers of matrixmultiply"
        )));
    }
    let unmeasured = || Error::Check(format!("no peak was measured on {threads} threads"));
    let limit = peak
        .flops_on(threads, ProductPrecision::F32)
        .ok_or_else(unmeasured)?;
    let flops_per_second = shape.flops() / times.ours;
    Ok(ProductReport {
        shape,
        layout,
        threads,
        times,
        flops_per_second,
        percent_of_peak: 100.0 * flops_per_second / limit,
    })
}

/// Whether two products of [`ProductOperands`] are finite and differ by at most 10⁻³. They are sums of numbers below ¼,
/// so that rounding makes them differ by less.
pub fn agree(c: &Array2<f32>, d: &Array2<f32>) -> bool {
    let close = |(c, d): (&f32, &f32)| c.is_finite() && d.is_finite() && (c - d).abs() <= 1e-3;
    c.dim() == d.dim() && c.iter().zip(d).all(close)
}

/// `C ← AB` by `matrixmultiply`, which is built without threads of its own here.
///
/// The longer side of C is cut into one piece per thread. The pieces are computed by the current rayon pool.
pub fn matrixmultiply(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    c: ArrayViewMut2<'_, f32>,
    threads: usize,
) {
    if threads <= 1 {
        return yardstick::matrixmultiply(a, b, c);
    }
    let (m, n) = c.dim();
    let left = threads / 2;
    let right = threads - left;
    if m >= n {
        let at = m * left / threads;
        let ((a0, a1), (c0, c1)) = (a.split_at(Axis(0), at), c.split_at(Axis(0), at));
        rayon::join(
            || matrixmultiply(a0, b, c0, left),
            || matrixmultiply(a1, b, c1, right),
        );
    } else {
        let at = n * left / threads;
        let ((b0, b1), (c0, c1)) = (b.split_at(Axis(1), at), c.split_at(Axis(1), at));
        rayon::join(
            || matrixmultiply(a, b0, c0, left),
            || matrixmultiply(a, b1, c1, right),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::naive;

    #[test]
    fn layouts_differ_in_memory_and_not_in_numbers() {
        let shape = shape(7, 5, 3);
        let [nn, nt, tn] = ProductLayout::ALL.map(|layout| ProductOperands::new(shape, layout));
        for other in [&nt, &tn] {
            assert_eq!(nn.a(), other.a());
            assert_eq!(nn.b(), other.b());
        }
        assert_eq!(
            (nn.a().strides(), nn.b().strides()),
            (&[3, 1][..], &[5, 1][..])
        );
        assert_eq!(nt.b().strides(), [1, 3]);
        assert_eq!(tn.a().strides(), [1, 7]);
    }

    #[test]
    fn pieces_of_c_make_the_whole() {
        for (shape, threads) in [
            (shape(7, 5, 3), 3),
            (shape(2, 11, 4), 4),
            (shape(1, 1, 2), 8),
        ] {
            let operands = ProductOperands::new(shape, ProductLayout::Nt);
            let mut c = Array2::from_elem((shape.m, shape.n), f32::NAN);
            matrixmultiply(operands.a(), operands.b(), c.view_mut(), threads);
            let mut exact = Array2::zeros((shape.m, shape.n));
            naive(
                operands.a(),
                operands.b(),
                Beta::Overwrite,
                exact.view_mut(),
            );
            for (found, exact) in c.iter().zip(&exact) {
                assert!(found.is_finite() && (found - exact).abs() <= 1e-6);
            }
        }
    }

    #[test]
    fn wrong_numbers_do_not_agree() {
        let c = Array2::from_shape_fn((3, 5), |(i, j)| (i * 5 + j) as f32);
        assert!(agree(&c, &c.clone()));
        for wrong in [f32::NAN, f32::INFINITY, 7.002] {
            let mut d = c.clone();
            d[(1, 2)] = wrong;
            assert!(!agree(&c, &d) && !agree(&d, &c), "{wrong}");
        }
        let nan = Array2::from_elem((3, 5), f32::NAN);
        assert!(!agree(&nan, &nan.clone()) && !agree(&c, &c.t().to_owned()));
    }
}
