//! A product on the calling thread, by the kernels that the type of its numbers has.

use ndarray::ArrayView2;

use super::blocked;
use super::kernel::Kernel;
use super::pack::StridedMatrix;
use crate::real::Real;

/// What happens to the old contents of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beta {
    /// `C ← AB`; C is never read, so it may hold anything, NaN included.
    Overwrite,
    /// `C ← AB + C`.
    Accumulate,
}

/// A [`Real`] that a matrix kernel exists for.
pub trait Element: Real {
    /// `C ← AB + βC` on raw parts, on the calling thread.
    ///
    /// # Safety
    /// Strides are in elements. For all i < m, j < n, p < k these addresses are inside live allocations:
    ///
    /// * `a + i·rsa + p·csa` and `b + p·rsb + j·csb`, readable;
    /// * `c + i·rsc + j·csc`, writable, and initialised if `beta` is not 0.
    ///
    /// No two (i, j) give the same element of C, and C overlaps neither A nor B.
    #[allow(clippy::too_many_arguments)]
    unsafe fn gemm_raw(
        shape: [usize; 3],
        a: *const Self,
        a_strides: [isize; 2],
        b: *const Self,
        b_strides: [isize; 2],
        beta: Self,
        c: *mut Self,
        c_strides: [isize; 2],
    );
}

impl Element for f32 {
    unsafe fn gemm_raw(
        [m, k, n]: [usize; 3],
        a: *const f32,
        [rsa, csa]: [isize; 2],
        b: *const f32,
        [rsb, csb]: [isize; 2],
        beta: f32,
        c: *mut f32,
        [rsc, csc]: [isize; 2],
    ) {
        let (kernel, accumulate) = (Kernel::chosen(), beta != 0.0);
        let source = |start, row, column| StridedMatrix { start, row, column };
        let (a, b) = (source(a, rsa, csa), source(b, rsb, csb));
        // SAFETY: the caller's promise.
        unsafe { blocked::product(kernel, [m, k, n], a, b, accumulate, c, [rsc, csc]) }
    }
}

impl Element for f64 {
    unsafe fn gemm_raw(
        [m, k, n]: [usize; 3],
        a: *const f64,
        [rsa, csa]: [isize; 2],
        b: *const f64,
        [rsb, csb]: [isize; 2],
        beta: f64,
        c: *mut f64,
        [rsc, csc]: [isize; 2],
    ) {
        // SAFETY: the caller's promise is the one that `matrixmultiply` asks for.
        unsafe { matrixmultiply::dgemm(m, k, n, 1.0, a, rsa, csa, b, rsb, csb, beta, c, rsc, csc) }
    }
}

/// On the calling thread; C begins at `c` and has these strides.
///
/// # Safety
/// A is `[m, k]`, B `[k, n]` and C `[m, n]`.
/// C is a mutable view, or a piece of one that no other thread reads or writes.
pub(super) unsafe fn multiply<R: Element>(
    a: ArrayView2<'_, R>,
    b: ArrayView2<'_, R>,
    beta: Beta,
    c: *mut R,
    c_strides: &[isize],
) {
    let (m, k) = a.dim();
    let n = b.ncols();
    let beta = match beta {
        Beta::Overwrite => R::ZERO,
        Beta::Accumulate => R::ONE,
    };
    let strides = |s: &[isize]| [s[0], s[1]];
    // SAFETY: views only hold addresses inside their array.
    // By the caller's promise C overlaps no other view, and its elements are initialised and distinct.
    unsafe {
        R::gemm_raw(
            [m, k, n],
            a.as_ptr(),
            strides(a.strides()),
            b.as_ptr(),
            strides(b.strides()),
            beta,
            c,
            strides(c_strides),
        );
    }
}
