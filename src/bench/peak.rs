//! What this machine can do: arithmetic without memory, and memory without arithmetic.

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
    /// Its name, if the system tells.
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// Threads that everything is measured on, besides one.
    pub threads: usize,
    /// The set that the engine's loops use.
    pub instruction_set: &'static str,
    /// Bytes of the largest cache, if the system tells.
    pub last_level_cache: Option<usize>,
}

impl Machine {
    /// Asks the system; `threads` are those to measure on.
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

/// A speed on a number of threads: operations or bytes in a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Speed {
    /// Threads at work.
    pub threads: usize,
    /// Of all of them together.
    pub per_second: f64,
}

/// Bytes in a second over arrays of a size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bandwidth {
    /// Bytes of w, m, v and g together.
    pub bytes: usize,
    /// What moves: [`BYTES_PER_PARAMETER`] for each parameter.
    #[serde(flatten)]
    pub speed: Speed,
}

/// The machine's limits, each on one thread and on all.
#[derive(Clone, Debug, Serialize)]
pub struct Peak {
    /// f32 operations by the widest multiply-adds that the processor has, also where the engine is told to use narrower ones.
    pub f32_flops: Vec<Speed>,
    /// bf16 operations, if the processor has them.
    pub bf16_flops: Option<Vec<Speed>>,
    /// The optimiser's traffic within the last-level cache.
    pub cache_bytes: Vec<Bandwidth>,
    /// The optimiser's traffic with memory.
    pub memory_bytes: Vec<Bandwidth>,
}

/// What one parameter costs an optimiser with two moments: w, m, v and g are read, w, m and v written, 4 bytes each.
pub const BYTES_PER_PARAMETER: usize = 28;

/// All four arrays together, for the figure within the cache: about the default network's.
const IN_CACHE: usize = 8 << 20;
/// What the last-level cache is taken for where nobody tells.
const USUAL_CACHE: usize = 32 << 20;
/// Bounds of one array for the figure of memory: a small cache must not make it short of work, nor a huge one the machine of memory.
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
        // A quarter more than the cache in each of four arrays: by the time that one comes round again nothing of it is left.
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

    /// Operations in a second on a number of threads that was measured; those of f32 for bf16 too if the processor has no others.
    pub fn flops_on(&self, threads: usize, products: ProductPrecision) -> Option<f64> {
        let speeds = match (products, &self.bf16_flops) {
            (ProductPrecision::Bf16, Some(speeds)) => speeds,
            _ => &self.f32_flops,
        };
        let speed = speeds.iter().find(|s| s.threads == threads)?;
        Some(speed.per_second)
    }

    /// Bytes in a second on a number of threads that was measured, over w, m, v and g of `parameters` numbers each: the figure of the cache if
    /// they fit into it.
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

/// One thread, and `threads` if that is something else.
pub fn one_and(threads: usize) -> impl Iterator<Item = usize> {
    [1, threads]
        .into_iter()
        .take(if threads == 1 { 1 } else { 2 })
}

/// The best speed of `chains` on every thread of a team at once.
fn arithmetic(chains: Chains, repeats: Repeats, team: &Team) -> Speed {
    // About 2 ms: long enough for the start of the threads not to count, short enough to fit between two interruptions.
    const ROUNDS: usize = 1_000_000;
    let per_thread = (ROUNDS * chains.flops()) as f64;
    let operations = per_thread * team.size() as f64;
    best(repeats, operations, team, |_| chains.run(ROUNDS))
}

/// The best speed of an update of as many parameters as fill `bytes` with w, m, v and g, each thread on its own part.
fn bandwidth(bytes: usize, repeats: Repeats, team: &Team) -> Bandwidth {
    let threads = team.size();
    let share = bytes / 16 / threads;
    let parts: Vec<Mutex<OptimizerArrays>> = (0..threads)
        .map(|_| Mutex::new(OptimizerArrays::default()))
        .collect();
    let own = |index: usize| parts[index].lock().unwrap_or_else(|e| e.into_inner());
    // Written first by the thread that uses it, so that it lies in memory next to that thread.
    team.run(|member| own(member.index()).fill(share));
    let moved = (share * threads * BYTES_PER_PARAMETER) as f64;
    let speed = best(repeats, moved, team, |index| own(index).update());
    Bandwidth {
        bytes: share * threads * 16,
        speed,
    }
}

/// The best speed of a call that does so much work, in which each member of a team is told its index.
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

    /// An update that touches memory as Adam's does and computes next to nothing.
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

    /// Small arrays where nobody says how large the cache is, and both figures by number of threads.
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
