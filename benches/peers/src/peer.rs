//! The libraries to compare with. Each computes `C ← AB` on views.

use std::ffi::c_int;

use chainrule::gemm::yardstick;
use ndarray::{ArrayView2, ArrayViewMut2};

/// A library with a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The crate `matrixmultiply`, without threads: chainrule uses it too, and one build has one set of features.
    MatrixMultiply,
    /// The crate `gemm`, on the threads of the current rayon pool.
    Gemm,
    /// OpenBLAS, on its own threads.
    OpenBlas,
}

impl Peer {
    /// All libraries.
    pub const ALL: [Peer; 3] = [Peer::MatrixMultiply, Peer::Gemm, Peer::OpenBlas];

    /// The library's name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Peer::MatrixMultiply => "matrixmultiply",
            Peer::Gemm => "gemm",
            Peer::OpenBlas => "openblas",
        }
    }

    /// Whether the library can use this number of threads.
    pub fn can_use(self, threads: usize) -> bool {
        threads == 1 || self != Peer::MatrixMultiply
    }

    /// Sets the number of threads that the library uses from now on.
    pub fn prepare(self, threads: usize) {
        if self == Peer::OpenBlas {
            // SAFETY: the function takes any positive number, and no product is being computed.
            unsafe { openblas_set_num_threads(threads as c_int) };
        }
    }

    /// `C ← AB`, C row-major, A and B row-major or transposed views of row-major matrices.
    ///
    /// # Panics
    /// If the shapes do not match.
    pub fn multiply(
        self,
        a: ArrayView2<'_, f32>,
        b: ArrayView2<'_, f32>,
        c: ArrayViewMut2<'_, f32>,
        threads: usize,
    ) {
        assert_eq!(a.ncols(), b.nrows());
        assert_eq!(c.dim(), (a.nrows(), b.ncols()));
        match self {
            Peer::MatrixMultiply => yardstick::matrixmultiply(a, b, c),
            Peer::Gemm => gemm_crate(a, b, c, threads),
            Peer::OpenBlas => openblas(a, b, c),
        }
    }
}

fn gemm_crate(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    mut c: ArrayViewMut2<'_, f32>,
    threads: usize,
) {
    let parallelism = match threads {
        1 => gemm::Parallelism::None,
        n => gemm::Parallelism::Rayon(n),
    };
    let (m, k) = a.dim();
    let n = b.ncols();
    let (sa, sb) = (a.strides(), b.strides());
    let sc = [c.strides()[0], c.strides()[1]];
    // SAFETY: pointers and strides are those of the views (column stride first, as this crate expects), and their
    // shapes were compared. C is borrowed mutably. The scalars are 0 for the old C and 1 for AB: alpha and beta have
    // the opposite meaning of BLAS.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            sc[1],
            sc[0],
            false,
            a.as_ptr(),
            sa[1],
            sa[0],
            b.as_ptr(),
            sb[1],
            sb[0],
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn openblas(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, mut c: ArrayViewMut2<'_, f32>) {
    let int = |n: usize| c_int::try_from(n).expect("sizes of an int");
    let ((transpose_a, lda), (transpose_b, ldb)) = (stored(&a), stored(&b));
    assert!(c.is_standard_layout(), "C must be row-major");
    let (m, k) = a.dim();
    let n = b.ncols();
    // SAFETY: the pointers are those of the views, `stored` gives the layout of each matrix, and the shapes were
    // compared. C is row-major with m rows of n, and borrowed mutably.
    unsafe {
        cblas_sgemm(
            ROW_MAJOR,
            transpose_a,
            transpose_b,
            int(m),
            int(n),
            int(k),
            1.0,
            a.as_ptr(),
            int(lda),
            b.as_ptr(),
            int(ldb),
            0.0,
            c.as_mut_ptr(),
            int(n),
        );
    }
}

/// Whether a matrix is stored transposed, and the distance between its stored rows.
fn stored(view: &ArrayView2<'_, f32>) -> (c_int, usize) {
    if view.is_standard_layout() {
        (NO_TRANSPOSE, view.ncols())
    } else {
        assert!(
            view.t().is_standard_layout(),
            "neither row-major nor a transpose"
        );
        (TRANSPOSE, view.nrows())
    }
}

const ROW_MAJOR: c_int = 101;
const NO_TRANSPOSE: c_int = 111;
const TRANSPOSE: c_int = 112;

#[link(name = "openblas")]
unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);

    fn cblas_sgemm(
        order: c_int,
        transpose_a: c_int,
        transpose_b: c_int,
        m: c_int,
        n: c_int,
        k: c_int,
        alpha: f32,
        a: *const f32,
        lda: c_int,
        b: *const f32,
        ldb: c_int,
        beta: f32,
        c: *mut f32,
        ldc: c_int,
    );
}
