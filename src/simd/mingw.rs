//! Multiply-adds without the processor's instruction, as MinGW's C library should compute them.
//!
//! `f32::mul_add` calls the C function `fmaf` there. MinGW's splits the factors and rounds more than once, so that its
//! result may be off by one place. These functions stand in its place in the whole program, and round once.

/// $`xy + z`$, rounded once.
// SAFETY: it is the C function of this name, with the same arguments and result.
#[unsafe(no_mangle)]
extern "C" fn fmaf(x: f32, y: f32, z: f32) -> f32 {
    libm::fmaf(x, y, z)
}

/// $`xy + z`$, rounded once.
// SAFETY: it is the C function of this name, with the same arguments and result.
#[unsafe(no_mangle)]
extern "C" fn fma(x: f64, y: f64, z: f64) -> f64 {
    libm::fma(x, y, z)
}
