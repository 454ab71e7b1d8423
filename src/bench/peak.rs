//! The limits of this machine: the speed of arithmetic in registers, and the bandwidth of cache and memory.

use std::path::Path;
use std::sync::Mutex;

use serde::Serialize;

use super::timing::{self, Repeats};
use crate::backend::ProductPrecision;
use crate::error::Result;
use crate::simd::chains::Chains;
use crate::simd::{self, InstructionSet};
use crate::threads::team::Team;

/// The processor, as the system describes it.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Its name, if the system tells it.
    pub cpu: Option<String>,
    /// The number of cores that this process may use.
    pub cores: usize,
    /// The number of threads to measure on, in addition to one thread.
    pub threads: usize,
    /// The instruction set that the engine's loops use.
    pub instruction_set: &'static str,
    /// Bytes of the largest cache, if the system tells them.
    pub last_level_cache: Option<usize>,
}

impl Machine {
    /// Asks the system. `threads` is the number of threads to measure on.
    ///
    /// # Errors
    /// If an instruction set is forced that this processor does not have.
    pub fn describe(threads: usize) -> Result<Self> {
        Ok(Machine {
            cpu: cpu_name(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads,
            instruction_set: InstructionSet::chosen()?.name(),
            last_level_cache: last_level_cache(),
        })
    }
}

/// "model name : AMD EPYC" of Linux.
fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The largest of the caches that Linux lists for the first core.
fn last_level_cache() -> Option<usize> {
    let folder = Path::new("/sys/devices/system/cpu/cpu0/cache");
    let caches = std::fs::read_dir(folder).ok()?.flatten();
    let sizes = caches.filter_map(|cache| {
        let text = std::fs::read_to_string(cache.path().join("size")).ok()?;
        parse_size(text.trim())
    });
    sizes.max()
}

/// "32768K" or "32M" in bytes.
fn parse_size(text: &str) -> Option<usize> {
    let unit = match text.chars().last()? {
        'K' => 1 << 10,
        'M' => 1 << 20,
        _ => return None,
    };
    text[..text.len() - 1]
        .parse::<usize>()
        .ok()?
        .checked_mul(unit)
}

/// A speed on a number of threads: operations or bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Speed {
    /// The number of threads.
    pub threads: usize,
    /// The speed of all threads together.
    pub per_second: f64,
}

/// The memory traffic of an optimiser's update, in bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bandwidth {
    /// Bytes of w, m, v and g together.
    pub bytes: usize,
    /// The traffic: [`BYTES_PER_PARAMETER`] for each parameter.
    #[serde(flatten)]
    pub speed: Speed,
}

/// The machine's limits, each on one thread and on all.
#[derive(Clone, Debug, Serialize)]
pub struct Peak {
    /// f32 operations, with the widest multiply-adds of the processor. The engine may be forced to use narrower ones.
    pub f32_flops: Vec<Speed>,
    /// bf16 operations, if the processor has them.
    pub bf16_flops: Option<Vec<Speed>>,
    /// The optimiser's traffic within the last-level cache.
    pub cache_bytes: Vec<Bandwidth>,
    /// The optimiser's traffic with memory.
    pub memory_bytes: Vec<Bandwidth>,
}

/// The traffic of one parameter with an optimiser of two moments: w, m, v and g are read, w, m and v are written, each
/// of 4 bytes.
pub const BYTES_PER_PARAMETER: usize = 28;

/// Bytes of all four arrays for the measurement in the cache: about those of the default network.
const IN_CACHE: usize = 8 << 20;
/// The assumed size of a last-level cache if the system does not tell it.
const USUAL_CACHE: usize = 32 << 20;
/// The least and the largest size of one array for the measurement in memory. With a small cache there must still be
/// enough work. With a huge cache the arrays must still fit into memory.
const IN_MEMORY: (usize, usize) = (64 << 20, 512 << 20);

impl Peak {
    /// Measures on one thread and on those of `machine`.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn measure(machine: &Machine, repeats: Repeats) -> Result<Self> {
        let mut peak = Peak {
            f32_flops: Vec::new(),
            bf16_flops: Chains::bf16().map(|_| Vec::new()),
            cache_bytes: Vec::new(),
            memory_bytes: Vec::new(),
        };
        // Each of the four arrays is a quarter larger than the cache, so that no part of it is still in cache when the
        // next update reads it.
        let cache = machine.last_level_cache.unwrap_or(USUAL_CACHE);
        let array = (cache / 4 * 5).clamp(IN_MEMORY.0, IN_MEMORY.1);
        for threads in one_and(machine.threads) {
            let team = Team::new(threads)?;
            peak.f32_flops
                .push(arithmetic(Chains::f32(), repeats, &team));
            if let (Some(chains), Some(speeds)) = (Chains::bf16(), &mut peak.bf16_flops) {
                speeds.push(arithmetic(chains, repeats, &team));
            }
            peak.cache_bytes.push(bandwidth(IN_CACHE, repeats, &team));
            peak.memory_bytes.push(bandwidth(4 * array, repeats, &team));
        }
        Ok(peak)
    }

    /// Operations per second on a number of threads, if it was measured. For bf16 those of f32 if the processor has no
    /// bf16 operations.
    pub fn flops_on(&self, threads: usize, products: ProductPrecision) -> Option<f64> {
        let speeds = match (products, &self.bf16_flops) {
            (ProductPrecision::Bf16, Some(speeds)) => speeds,
            _ => &self.f32_flops,
        };
        let speed = speeds.iter().find(|s| s.threads == threads)?;
        Some(speed.per_second)
    }

    /// Bytes per second on a number of threads, if it was measured, over w, m, v and g of `parameters` numbers each.
    /// It is the bandwidth of the cache if the four arrays fit into it, else that of memory.
    pub fn bandwidth_on(
        &self,
        threads: usize,
        parameters: usize,
        machine: &Machine,
    ) -> Option<f64> {
        let cache = machine.last_level_cache.unwrap_or(USUAL_CACHE);
        let figures = if 16 * parameters <= cache {
            &self.cache_bytes
        } else {
            &self.memory_bytes
        };
        let figure = figures.iter().find(|b| b.speed.threads == threads)?;
        Some(figure.speed.per_second)
    }
}

/// The numbers of threads to measure on: 1, and `threads` if that is not 1.
pub fn one_and(threads: usize) -> impl Iterator<Item = usize> {
    [1, threads]
        .into_iter()
        .take(if threads == 1 { 1 } else { 2 })
}

/// The best speed of `chains` with all threads of a team at work.
fn arithmetic(chains: Chains, repeats: Repeats, team: &Team) -> Speed {
    // About 2 ms: much longer than the start of the threads, and short enough that some repeats are not interrupted.
    const ROUNDS: usize = 1_000_000;
    let per_thread = (ROUNDS * chains.flops()) as f64;
    let operations = per_thread * team.size() as f64;
    best(repeats, operations, team, |_| chains.run(ROUNDS))
}

/// The best speed of an update. Its w, m, v and g fill `bytes` together, and each thread updates its own part.
fn bandwidth(bytes: usize, repeats: Repeats, team: &Team) -> Bandwidth {
    let threads = team.size();
    let share = bytes / 16 / threads;
    let parts: Vec<Mutex<OptimizerArrays>> = (0..threads)
        .map(|_| Mutex::new(OptimizerArrays::default()))
        .collect();
    let own = |index: usize| parts[index].lock().unwrap_or_else(|e| e.into_inner());
    // Each thread writes its own arrays first, so that the system places them in memory near that thread.
    team.run(|member| own(member.index()).fill(share));
    let moved = (share * threads * BYTES_PER_PARAMETER) as f64;
    let speed = best(repeats, moved, team, |index| own(index).update());
    Bandwidth {
        bytes: share * threads * 16,
        speed,
    }
}

/// The best speed of a call: `work` is its number of operations or bytes, and each member of the team gets its index.
///
/// The best of many short repeats is one in which no other program ran.
fn best(repeats: Repeats, work: f64, team: &Team, call: impl Fn(usize) + Sync) -> Speed {
    let mut on_team = || team.run(|member| call(member.index()));
    let seconds = timing::seconds_per_call(repeats, &mut on_team);
    let least = seconds.into_iter().fold(f64::INFINITY, f64::min);
    Speed {
        threads: team.size(),
        per_second: work / least,
    }
}

/// One thread's share of an optimiser's arrays.
#[derive(Default)]
struct OptimizerArrays {
    w: Vec<f32>,
    m: Vec<f32>,
    v: Vec<f32>,
    g: Vec<f32>,
}

impl OptimizerArrays {
    fn fill(&mut self, count: usize) {
        for array in [&mut self.w, &mut self.m, &mut self.v, &mut self.g] {
            *array = vec![0.01; count];
        }
    }

    /// An update with the memory traffic of Adam's but with little arithmetic.
    fn update(&mut self) {
        let OptimizerArrays { w, m, v, g } = self;
        simd::dispatch(
            #[inline(always)]
            || {
                for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(&*g) {
                    *m = 0.9_f32.mul_add(*m, 0.1 * g);
                    *v = 0.9_f32.mul_add(*v, 0.1 * g);
                    *w = (-0.001 * *m).mul_add(*v, *w);
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sizes_as_linux_writes_them() {
        assert_eq!(parse_size("32K"), Some(32 << 10));
        assert_eq!(parse_size("32768K"), Some(32 << 20));
        assert_eq!(parse_size("16M"), Some(16 << 20));
        for text in ["", "K", "12", "x2K", "99999999999999999999K", "1é"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn one_thread_is_measured_once() {
        assert_eq!(one_and(1).collect::<Vec<_>>(), [1]);
        assert_eq!(one_and(6).collect::<Vec<_>>(), [1, 6]);
    }

    /// The bandwidth of the cache for arrays that fit into it, else that of memory, by number of threads.
    #[test]
    fn arrays_that_fit_the_cache_get_its_speed() {
        let speed = |threads, per_second| Speed {
            threads,
            per_second,
        };
        let figure = |threads, per_second| Bandwidth {
            bytes: 1,
            speed: speed(threads, per_second),
        };
        let peak = Peak {
            f32_flops: vec![speed(1, 10.0), speed(2, 20.0)],
            bf16_flops: Some(vec![speed(1, 30.0)]),
            cache_bytes: vec![figure(1, 3.0), figure(2, 5.0)],
            memory_bytes: vec![figure(1, 2.0), figure(2, 2.5)],
        };
        let machine = Machine {
            cpu: None,
            cores: 2,
            threads: 2,
            instruction_set: "portable",
            last_level_cache: Some(1600),
        };
        assert_eq!(peak.flops_on(2, ProductPrecision::F32), Some(20.0));
        assert_eq!(peak.flops_on(3, ProductPrecision::F32), None);
        assert_eq!(peak.flops_on(1, ProductPrecision::Bf16), Some(30.0));
        assert_eq!(peak.bandwidth_on(1, 100, &machine), Some(3.0));
        assert_eq!(peak.bandwidth_on(2, 101, &machine), Some(2.5));
    }

    #[test]
    fn every_thread_updates_its_part() {
        let repeats = Repeats {
            count: 1,
            duration: Duration::ZERO,
        };
        let found = bandwidth(16 * 3 * 10 + 5, repeats, &Team::new(3).unwrap());
        assert_eq!((found.bytes, found.speed.threads), (16 * 3 * 10, 3));
        assert!(found.speed.per_second.is_finite() && found.speed.per_second > 0.0);
    }
}
