//! Loops that are written once, compiled for each instruction set, and chosen while the program runs.
//!
//! A loop is plain Rust in a closure.
//! [`dispatch`] inlines it into a function that is compiled for the widest vectors of this processor.
//! The compiler then turns it into vector instructions of that width.
//! Multiply-adds are written as `mul_add`, which is one rounded operation on every machine.
//! So all sets give the same bits.
//!
//! On a processor without that operation the system computes it in software, which is right and slow.
//!
//! `CHAINRULE_KERNEL=portable|avx2|avx512|neon` forces a set, for tests and comparisons.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | [`InstructionSet`] and [`dispatch`] |
//! | `chains.rs` | chains of multiply-adds, which measure the peak of the arithmetic units |
//! | `mingw.rs` | multiply-adds for MinGW, whose own are not rounded once |
//! | `prefetch.rs` | prefetching of cache lines |
//! | `transpose.rs` | transposition of small blocks |

pub mod chains;
#[cfg(all(windows, target_env = "gnu"))]
mod mingw;
mod prefetch;
mod transpose;

use std::sync::OnceLock;

use crate::error::{Error, Result};
pub(crate) use prefetch::{prefetch, prefetch_to_write};
pub(crate) use transpose::{BLOCK, transpose};

/// The environment variable that forces an instruction set.
pub const VARIABLE: &str = "CHAINRULE_KERNEL";

/// The instruction sets that loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512 F, BW, DQ and VL: 16 floats at a time.
    Avx512,
    /// AVX2 and FMA: 8 floats at a time.
    Avx2,
    /// NEON, which every 64-bit ARM processor has: 4 floats at a time.
    Neon,
    /// What every processor of the target has.
    Portable,
}

impl InstructionSet {
    /// Every set, the fastest first.
    pub const ALL: [InstructionSet; 4] = [
        InstructionSet::Avx512,
        InstructionSet::Avx2,
        InstructionSet::Neon,
        InstructionSet::Portable,
    ];

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => {
                InstructionSet::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
            }
            #[cfg(not(target_arch = "x86_64"))]
            InstructionSet::Avx512 | InstructionSet::Avx2 => false,
            InstructionSet::Neon => cfg!(target_arch = "aarch64"),
            InstructionSet::Portable => true,
        }
    }

    /// The sets of this processor, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.is_available())
    }

    /// Its name, as [`VARIABLE`] knows it.
    pub fn name(self) -> &'static str {
        match self {
            InstructionSet::Avx512 => "avx512",
            InstructionSet::Avx2 => "avx2",
            InstructionSet::Neon => "neon",
            InstructionSet::Portable => "portable",
        }
    }

    /// The fastest set of this processor.
    pub fn detect() -> Self {
        (Self::available().next()).unwrap_or(InstructionSet::Portable)
    }

    /// The set in use: the one that [`VARIABLE`] names, else the fastest.
    ///
    /// # Errors
    /// If it names none, or one that this processor lacks.
    pub fn chosen() -> Result<Self> {
        let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
            return Ok(Self::detect());
        };
        if let Some(set) = Self::available().find(|set| name == set.name()) {
            return Ok(set);
        }
        let names: Vec<&str> = Self::available().map(Self::name).collect();
        let (expected, found) = (names.join(", "), name.to_string_lossy());
        let of = match Self::ALL.iter().any(|set| name == set.name()) {
            true => "a set that this processor has",
            false => "an instruction set",
        };
        let message = format!("expected {of} ({expected}), found {found}");
        Err(Error::setting(VARIABLE, message))
    }

    /// Whether its `mul_add` is an instruction. If not, every product takes several times as long.
    pub fn has_mul_add(self) -> bool {
        self != InstructionSet::Portable
            || cfg!(any(target_arch = "aarch64", target_feature = "fma"))
    }
}

/// This kind of processor: its architecture and its fastest set, as in "x86_64, avx512".
pub fn processor() -> String {
    format!(
        "{}, {}",
        std::env::consts::ARCH,
        InstructionSet::detect().name()
    )
}

/// Numbers that loops over columns take together, and lanes of sums whose order is fixed.
///
/// It is a multiple of the f32 lanes of every set: two registers of AVX2, one of AVX-512.
pub const LANES: usize = 16;

/// Runs a loop with the instruction set in use.
///
/// The closure, and every function that it calls in its loop, must be `#[inline(always)]`.
/// Else they are compiled for the portable set only.
/// A function that the loop calls for each number comes to it by value, as an argument of an inlined function.
/// A captured one would be read from memory again after each store.
/// A name in [`VARIABLE`] that cannot be served counts as absent here; the program refuses it at its start.
#[inline]
pub fn dispatch<T>(body: impl FnOnce() -> T) -> T {
    run_with(set(), body)
}

/// Keeps a loop over rows of one vector register taking one row after the other.
///
/// Without it compilers may take 16 rows at a time and gather and scatter their columns, which is several times slower.
/// It is no instruction, only a statement that compilers may not repeat or reorder.
#[inline(always)]
pub fn row_by_row() {
    // Others than these have no stable `asm!`, or no gathers. Interpreted code has neither.
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    // SAFETY: it is empty.
    unsafe {
        std::arch::asm!("", options(nomem, nostack, preserves_flags))
    };
}

/// The instruction set in use, as [`dispatch`] takes it.
#[inline]
pub fn set() -> InstructionSet {
    static SET: OnceLock<InstructionSet> = OnceLock::new();
    *SET.get_or_init(|| InstructionSet::chosen().unwrap_or_else(|_| InstructionSet::detect()))
}

/// Runs a loop with a given set, which the processor must have.
#[inline]
fn run_with<T>(set: InstructionSet, body: impl FnOnce() -> T) -> T {
    match set {
        // SAFETY: a set is only ever chosen after the processor was asked for its features.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => unsafe { avx512(body) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => unsafe { avx2(body) },
        // NEON is what every 64-bit ARM processor has, so all code is compiled for it there.
        _ => body(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_gives_the_same_bits() {
        let x: Vec<f32> = (0..1021).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut results = Vec::new();
        for set in InstructionSet::available() {
            let mut y = vec![f32::NAN; x.len()];
            let sum = run_with(
                set,
                #[inline(always)]
                || {
                    let mut sum = 0.0_f32;
                    for (y, &x) in y.iter_mut().zip(&x) {
                        *y = x.mul_add(x, -1.1) / 3.7;
                        sum = y.mul_add(x, sum);
                    }
                    sum
                },
            );
            let bits: Vec<u32> = y.iter().map(|y| y.to_bits()).collect();
            results.push((sum.to_bits(), bits));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
