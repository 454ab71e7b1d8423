//! The protocol of the study file on simulated machines: workers of this program and of Optuna share a study, and pause
//! or die at any call. Whatever happens, no finished trial is lost, no trial is run twice, and the file stays readable.

mod machine;
mod optuna;

use std::collections::HashSet;
use std::ops::RangeFrom;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::metrics::ValidationMetric;
use crate::search::journal::Record;
use crate::search::journal::system::System;
use crate::search::plan::{PrunerName, SamplerName};
use crate::search::pruner::Never;
use crate::search::space::Space;
use crate::settings::Settings;
use machine::{
    EndsWhenDropped, Faults, JOURNAL, Killed, Promises, SimulatedMachine, SimulatedProcess,
};

/// The number of trials of a study.
const TRIALS: usize = 5;

/// The number of workers of this program.
const WORKERS: usize = 3;

/// The time without news after which a trial of Optuna is no longer waited for.
const FOREIGN_TIMEOUT: Duration = Duration::from_secs(600);

/// A search over two parameters.
pub(in crate::search) fn plan(sampler: SamplerName) -> Plan {
    let mut space = Space::default();
    space.add("lr", "0.001..0.01:log").unwrap();
    space.add("activation", "relu,tanh").unwrap();
    Plan {
        name: "test".into(),
        space,
        base: Settings::default(),
        unsaid: Settings::default(),
        seed: 11,
        repeats: 1,
        objective: ValidationMetric::default(),
        sampler,
        pruner: PrunerName::None,
    }
}

/// A value that is a function of the point, like that of a training run.
pub(super) fn value(point: &[f64]) -> f64 {
    1.0 - (point[0] - 0.004).abs() - 0.1 * point[1]
}

/// One worker of this program, started again whenever it was killed.
struct RestartedWorker<'a> {
    process: SimulatedProcess,
    plan: &'a Plan,
    promises: &'a Mutex<Promises>,
}

impl RestartedWorker<'_> {
    /// Works until the study is done. Each life has a name of its own.
    fn run(&self, lives: RangeFrom<usize>) {
        let _end = EndsWhenDropped(&self.process);
        for life in lives {
            let worker = format!("chainrule-sim-{}-{life}", self.process.number);
            self.process.start(&worker);
            let tears = self.process.tears();
            match catch_unwind(AssertUnwindSafe(|| self.live(worker))) {
                Ok(Ok(())) => break,
                Ok(Err(e)) => assert!(self.process.tears() > tears, "{e}"),
                Err(payload) if payload.is::<Killed>() => {}
                Err(payload) => resume_unwind(payload),
            }
        }
    }

    fn live(&self, worker: String) -> Result<()> {
        let system = Arc::new(self.process.clone());
        let journal = Journal::open_on(system, Path::new(JOURNAL), worker)?;
        let mut work = StudyWork::join(journal, self.plan, "hash", FOREIGN_TIMEOUT)?;
        loop {
            match work.claim(TRIALS)? {
                Next::Run(claim) => self.train(&mut work, &claim)?,
                Next::Wait(_) => self.process.sleep(Duration::from_secs(5)),
                Next::Failed { .. } => {}
                Next::Done(_) | Next::Exhausted => return Ok(()),
            }
        }
    }

    fn train(&self, work: &mut StudyWork<'_>, claim: &Claim) -> Result<()> {
        self.promises.lock().unwrap().begun.push(claim.id);
        let value = value(&claim.point);
        for step in 1..=2 {
            let seconds = 1 + self.process.below(20);
            self.process.sleep(Duration::from_secs(seconds as u64));
            if work.report(claim, step, value, &Never)? == Reported::Lost {
                return Ok(());
            }
        }
        if work.complete(claim, value, Attributes::new())? {
            self.promises
                .lock()
                .unwrap()
                .complete
                .push((claim.id, value));
        }
        Ok(())
    }
}

/// Runs a study on a machine. Returns the bytes of the file, and what the workers were promised.
fn simulate(seed: u64, faults: Faults, optuna: usize) -> (Vec<u8>, Promises) {
    let plan = plan(SamplerName::Random);
    let journal = Path::new(JOURNAL);
    let machine = SimulatedMachine::new(seed, WORKERS + optuna, faults, journal);
    let promises = Mutex::default();
    let process = |number| SimulatedProcess {
        machine: machine.clone(),
        number,
    };
    let worker = |number| RestartedWorker {
        process: process(number),
        plan: &plan,
        promises: &promises,
    };
    std::thread::scope(|scope| {
        for number in 0..WORKERS {
            let worker = worker(number);
            scope.spawn(move || worker.run(0..));
        }
        for number in WORKERS..WORKERS + optuna {
            let other = optuna::OptunaWorker {
                process: process(number),
                study: &plan.name,
                promises: &promises,
            };
            scope.spawn(move || other.run());
        }
    });
    // If Optuna was the last one to append to a torn line, then the next worker mends it.
    machine.wake(0);
    worker(0).run(1000..);
    (machine.bytes(journal), promises.into_inner().unwrap())
}

/// Checks what must hold after every simulation. Returns the replayed file.
fn check(seed: u64, bytes: &[u8], promises: &Promises) -> Storage {
    let mut storage = Storage::default();
    let whole = bytes.iter().rposition(|&b| b == b'\n').unwrap() + 1;
    for line in bytes[..whole].split_inclusive(|&b| b == b'\n') {
        let line = std::str::from_utf8(line).unwrap();
        let record = Record::parse(line.trim_end());
        let record = record.unwrap_or_else(|e| panic!("seed {seed}: {e}: {line}"));
        let _ = storage.apply(record);
    }
    for &(id, value) in &promises.complete {
        let trial = storage.trial(id).unwrap();
        let found = (trial.state(), trial.value());
        let expected = (TrialState::Complete, Some(value));
        assert_eq!(found, expected, "seed {seed}: trial {id} was lost");
    }
    let mut seen = HashSet::new();
    let twice = promises.begun.iter().find(|id| !seen.insert(**id));
    assert_eq!(twice, None, "seed {seed}: run by two workers");
    storage
}

/// Slots, points and values of the trials with a result, by slot.
fn results(storage: &Storage) -> Vec<(u32, Value, f64)> {
    let study = storage.studies().next().unwrap();
    let slots = Slots::of(storage, study);
    let ended = storage.trials(study).filter(|t| t.state().has_result());
    let result = |t: &Trial| {
        let point = ["lr", "activation"].map(|name| t.parameter(name).unwrap());
        (slots.slot(t).unwrap(), json!(point), t.value().unwrap())
    };
    let mut results: Vec<_> = ended.map(result).collect();
    results.sort_by_key(|r| r.0);
    results
}

/// The faults of a seed: some machines pause, some kill, some have no kernel's lock, and so on.
fn faults(seed: u64) -> Faults {
    Faults {
        pause: [30, 100, 1_000_000][(seed % 3) as usize],
        death: [1_000_000, 60, 200][(seed / 3 % 3) as usize],
        tear: [None, Some(15)][(seed / 9 % 2) as usize],
        has_kernel_lock: [false, true, true][(seed / 18 % 3) as usize],
        forgets_kernel_lock: [false, true, false][(seed / 18 % 3) as usize],
        shows_deaths: [true, false][(seed / 54 % 2) as usize],
    }
}

/// Workers of this program alone come to the same trials and values as an undisturbed worker.
#[test]
fn workers_that_pause_and_die_lose_nothing() {
    let calm = Faults {
        pause: u32::MAX,
        death: u32::MAX,
        tear: None,
        ..faults(18)
    };
    let (bytes, promises) = simulate(0, calm, 0);
    let expected = results(&check(0, &bytes, &promises));
    assert_eq!(expected.len(), TRIALS);
    for seed in 0..2000 {
        let (bytes, promises) = simulate(seed, faults(seed), 0);
        let storage = check(seed, &bytes, &promises);
        assert_eq!(results(&storage), expected, "seed {seed}");
    }
}

/// Workers of Optuna break locks, release locks that are not theirs, and leave trials running.
#[test]
fn optuna_s_workers_and_ours_lose_nothing_of_each_other() {
    for seed in 0..1000 {
        let (bytes, promises) = simulate(seed, faults(seed), 1);
        let storage = check(seed, &bytes, &promises);
        let study = storage.studies().next().unwrap();
        let results = storage.results(study);
        assert!(results >= TRIALS, "seed {seed}: {results} results");
    }
}
