//! Independent chains of multiply-adds that never leave the registers: what the arithmetic units can do at most.
//!
//! A fused multiply-add takes about 4 cycles and two can start in each.
//! So at least 8 chains are needed to keep both units busy; here there are 12, or 16 where there are 32 registers.
//! Some ARM processors start four in each cycle: there are 24 chains for them.
//! Each chain computes `c ← c/2 + 1/2`, which stays near 1 forever.

use std::hint::black_box;

use super::InstructionSet;

/// Chains for one instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Chains {
    run: fn(usize),
    flops: usize,
}

impl Chains {
    /// f32 multiply-adds of the widest set that this processor has.
    pub fn f32() -> Self {
        match InstructionSet::detect() {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => Chains {
                // SAFETY: the processor was asked.
                run: |rounds| unsafe { x86::avx512(rounds) },
                flops: 16 * 16 * 2,
            },
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Chains {
                // SAFETY: the processor was asked.
                run: |rounds| unsafe { x86::avx2(rounds) },
                flops: 12 * 8 * 2,
            },
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Chains {
                run: neon,
                flops: 24 * 4 * 2,
            },
            _ => Chains {
                run: portable,
                flops: 12 * 4 * 2,
            },
        }
    }

    /// Products of bf16 pairs, added up in f32 (`vdpbf16ps`), if this processor has them.
    pub fn bf16() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
            return Some(Chains {
                // SAFETY: the processor was asked.
                run: |rounds| unsafe { x86::avx512_bf16(rounds) },
                flops: 16 * 32 * 2,
            });
        }
        None
    }

    /// Advances every chain by this number of steps.
    pub fn run(&self, rounds: usize) {
        (self.run)(rounds);
    }

    /// Floating-point operations of one round.
    pub fn flops(&self) -> usize {
        self.flops
    }
}

/// The starts differ: a compiler would compute equal chains once.
#[inline(always)]
fn advance<V: Copy, const N: usize>(
    rounds: usize,
    start: impl Fn(f32) -> V,
    step: impl Fn(V) -> V,
) {
    let mut chains: [V; N] = std::array::from_fn(|i| start(black_box(i as f32)));
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = step(*chain);
        }
    }
    black_box(&chains);
}

fn portable(rounds: usize) {
    let half = black_box([0.5_f32; 4]);
    advance::<[f32; 4], 12>(
        rounds,
        |x| [x; 4],
        #[inline(always)]
        |chain| std::array::from_fn(|lane| chain[lane].mul_add(half[lane], half[lane])),
    );
}

#[cfg(target_arch = "aarch64")]
fn neon(rounds: usize) {
    use std::arch::aarch64::{vdupq_n_f32, vfmaq_f32};
    // SAFETY: every 64-bit ARM processor has NEON; likewise below.
    let half = unsafe { vdupq_n_f32(black_box(0.5)) };
    advance::<_, 24>(
        rounds,
        // SAFETY: as above.
        |x| unsafe { vdupq_n_f32(x) },
        // SAFETY: as above.
        |chain| unsafe { vfmaq_f32(half, chain, half) },
    );
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_fmadd_ps, _mm256_set1_ps, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_fmadd_ps,
        _mm512_set1_ps,
    };
    use std::hint::black_box;

    use super::advance;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(rounds: usize) {
        let half = _mm256_set1_ps(black_box(0.5));
        advance::<_, 12>(
            rounds,
            |x| _mm256_set1_ps(x),
            |chain| _mm256_fmadd_ps(chain, half, half),
        );
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(rounds: usize) {
        let half = _mm512_set1_ps(black_box(0.5));
        advance::<_, 16>(
            rounds,
            |x| _mm512_set1_ps(x),
            |chain| _mm512_fmadd_ps(chain, half, half),
        );
    }

    /// The instruction cannot scale its sum, so a chain adds products of 0 to it.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn avx512_bf16(rounds: usize) {
        let zero = _mm512_set1_ps(black_box(0.0));
        let zeros = _mm512_cvtne2ps_pbh(zero, zero);
        advance::<_, 16>(
            rounds,
            |x| _mm512_set1_ps(x),
            |chain| _mm512_dpbf16_ps(chain, zeros, zeros),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_this_processor_runs() {
        portable(3);
        let chains = [Some(Chains::f32()), Chains::bf16()];
        for chains in chains.into_iter().flatten() {
            chains.run(1000);
            assert!(chains.flops() >= 96);
        }
    }
}
