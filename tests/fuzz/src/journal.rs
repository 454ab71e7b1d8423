//! A study file, by the operations on it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use chainrule::metrics::{Direction, ValidationMetric};
use chainrule::search::journal::{
    Attributes, Journal, NewTrial, Operation, Parameter, Record, TrialState,
};
use chainrule::search::pruner::Never;
use chainrule::search::{
    Claim, Distribution, Next, Plan, PrunerName, Reported, SamplerName, Space, StudyWork,
};
use chainrule::settings::Settings;
use serde_json::json;

use crate::files::{Files, sound};
use crate::study::{finished, state};

/// The budget of the study.
const TRIALS: usize = 6;

/// No trial of the other program is taken over while an input is read.
const FOREIGN_TIMEOUT: Duration = Duration::from_secs(3600);

/// The most operations of one input.
const OPERATIONS: usize = 32;

/// The input is a list of operations of two workers and of another program on one study: each is a byte that says
/// which one, and bytes that say the rest. After each operation, nothing that was written has changed but torn pieces,
/// every trial that had ended is as it was, and workers and a reader see the same; who reads the file at the end, from
/// its beginning, sees that too. No trial is given to both workers.
pub fn journal(input: &[u8]) -> bool {
    let plan = plan();
    let files = Files::new();
    let path = files.write("study.journal", b"");
    let mut study = SharedStudy {
        reader: Journal::open(&path).expect("an empty file is a study file"),
        path,
        workers: [None, None],
        claims: [None, None],
        plan: &plan,
    };
    let mut input = Unstructured::new(input);
    for _ in 0..OPERATIONS {
        if input.is_empty() || study.step(&mut input).is_err() {
            break;
        }
    }
    let journal = Journal::open(&study.path).expect("the file is sound to the end");
    assert_eq!(state(journal.storage()), state(study.reader.storage()));
    !finished(journal.storage()).is_empty()
}

/// A search over two parameters.
fn plan() -> Plan {
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
        sampler: SamplerName::Random,
        pruner: PrunerName::None,
    }
}

struct SharedStudy<'a> {
    path: PathBuf,
    /// It follows the file.
    reader: Journal,
    workers: [Option<StudyWork<'a>>; 2],
    /// The trial that each worker runs.
    claims: [Option<Claim>; 2],
    plan: &'a Plan,
}

impl SharedStudy<'_> {
    /// One operation, and what holds before and after it.
    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let (kind, worker): (u8, u8) = (input.arbitrary()?, input.arbitrary()?);
        let worker = usize::from(worker % 2);
        let bytes = fs::read(&self.path).expect("the file stays");
        let before = finished(self.reader.storage());
        match kind % 10 {
            0 | 1 => self.claim(worker),
            2 => self.report(worker, input)?,
            3 | 4 => self.finish(worker, input)?,
            5 => self.leave(worker),
            6 => self.tear(input)?,
            7 | 8 => self.foreign(input)?,
            _ => self.enqueue(input)?,
        }
        self.check(&bytes, &before);
        Ok(())
    }

    fn check(&mut self, bytes: &[u8], before: &BTreeMap<usize, String>) {
        let now = fs::read(&self.path).expect("the file stays");
        assert!(now.len() >= bytes.len(), "the file only grows");
        let mut pairs = bytes.iter().zip(&now);
        let is_kept = pairs.all(|(old, new)| old == new || *new == b' ');
        assert!(is_kept, "only torn pieces become spaces");
        self.reader.refresh().expect("the file is sound");
        let ended = finished(self.reader.storage());
        for (id, trial) in before {
            assert_eq!(
                ended.get(id),
                Some(trial),
                "a finished trial stays as it is"
            );
        }
        let seen = state(self.reader.storage());
        for worker in self.workers.iter_mut().flatten() {
            let (storage, _) = worker.look().expect("the study stays");
            assert_eq!(state(storage), seen);
        }
    }

    /// Joins the study, if the worker has not done so, and claims a trial, if it runs none.
    fn claim(&mut self, index: usize) {
        if self.workers[index].is_none() {
            let joined = Journal::open(&self.path)
                .and_then(|journal| StudyWork::join(journal, self.plan, "hash", FOREIGN_TIMEOUT));
            self.workers[index] = sound(joined);
        }
        let [claim, other] = [&self.claims[index], &self.claims[1 - index]];
        let (None, Some(work)) = (claim, &mut self.workers[index]) else {
            return;
        };
        let Some(Next::Run(claim)) = sound(work.claim(TRIALS)) else {
            return;
        };
        assert!(work.is_own(&claim).unwrap());
        if let (Some(other), Some(its_worker)) = (other, &mut self.workers[1 - index]) {
            let both = other.id == claim.id && its_worker.is_own(other).unwrap();
            assert!(!both, "both workers run trial {}", claim.id);
        }
        self.claims[index] = Some(claim);
    }

    fn report(&mut self, index: usize, input: &mut Unstructured<'_>) -> Result<()> {
        let (step, value): (u8, f64) = (input.arbitrary()?, input.arbitrary()?);
        if let (Some(claim), Some(work)) = (&self.claims[index], &mut self.workers[index]) {
            let is_own = work.is_own(claim).unwrap();
            let reported = work.report(claim, step.into(), value, &Never).unwrap();
            assert_eq!(reported != Reported::Lost, is_own);
        }
        Ok(())
    }

    /// Ends the trial in one of four ways.
    fn finish(&mut self, index: usize, input: &mut Unstructured<'_>) -> Result<()> {
        let (how, value): (u8, f64) = (input.arbitrary()?, input.arbitrary()?);
        let claim = self.claims[index].take();
        let (Some(claim), Some(work)) = (claim, &mut self.workers[index]) else {
            return Ok(());
        };
        let was_own = work.is_own(&claim).unwrap();
        let ended = match how % 4 {
            0 => work.fail(&claim, "as it was told"),
            1 => work.give_back(&claim),
            2 => work.diverge(&claim, Attributes::new()),
            _ => work.complete(&claim, value, Attributes::new()),
        };
        assert_eq!(ended.unwrap(), was_own);
        let (storage, _) = work.look().unwrap();
        let trial = storage.trial(claim.id).expect("its study stays");
        if was_own {
            assert!(trial.state().is_finished(), "{trial:?}");
        }
        if was_own && how % 4 == 3 {
            let last = trial.last_report().map(|(_, reported)| reported);
            let expected = [Some(value), last]
                .into_iter()
                .flatten()
                .find(|x| x.is_finite());
            assert!(expected.is_none() || trial.value() == expected, "{trial:?}");
            assert_eq!(trial.state() == TrialState::Complete, value.is_finite());
        }
        Ok(())
    }

    /// The worker goes, as if it was killed.
    fn leave(&mut self, index: usize) {
        (self.workers[index], self.claims[index]) = (None, None);
    }

    /// The other program appends to the file.
    fn append(&self, text: &str) {
        let file = fs::OpenOptions::new().append(true).open(&self.path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.expect("room for temporary files");
    }

    fn append_record(&self, worker: u8, operation: Operation) {
        self.append(&(line(worker, operation) + "\n"));
    }

    /// The other program dies while it writes a line.
    fn tear(&self, input: &mut Unstructured<'_>) -> Result<()> {
        let line = line(0, operation(input)?);
        let most = line
            .char_indices()
            .map(|(at, _)| at)
            .skip(1)
            .collect::<Vec<usize>>();
        self.append(&line[..*input.choose(&most)?]);
        Ok(())
    }

    fn foreign(&self, input: &mut Unstructured<'_>) -> Result<()> {
        let worker: u8 = input.arbitrary()?;
        self.append_record(worker, operation(input)?);
        Ok(())
    }

    /// The other program puts a point into the queue, which may not lie in the space.
    fn enqueue(&self, input: &mut Unstructured<'_>) -> Result<()> {
        let (lr, choice): (f64, u8) = (input.arbitrary()?, input.arbitrary()?);
        let activation = ["relu", "tanh", "sigmoid", ""][usize::from(choice % 4)];
        let mut trial = NewTrial::new(TrialState::Waiting, None);
        let point = json!({"lr": lr, "activation": activation});
        trial.system_attrs.insert("fixed_params".into(), point);
        let trial = Box::new(trial);
        self.append_record(choice, Operation::CreateTrial { study: 0, trial });
        Ok(())
    }
}

/// The line of another program's operation. It writes names for numbers that JSON does not have.
fn line(worker: u8, operation: Operation) -> String {
    let worker = format!("optuna-{worker}");
    let line = Record { worker, operation }.to_line();
    line.replace("_value\":null", "_value\":NaN")
        .replace("_internal\":null", "_internal\":Infinity")
        .replace("\"values\":[null]", "\"values\":[-Infinity]")
}

/// An operation of another program, on trials and studies that may not exist. It does not delete the first study.
fn operation(input: &mut Unstructured<'_>) -> Result<Operation> {
    let (kind, id): (u8, u8) = (input.arbitrary()?, input.arbitrary()?);
    let (trial, study) = (usize::from(id % 8), usize::from(id % 3));
    let state = *input.choose(&[
        TrialState::Running,
        TrialState::Complete,
        TrialState::Pruned,
        TrialState::Fail,
        TrialState::Waiting,
    ])?;
    let value: f64 = input.arbitrary()?;
    let key = String::from_utf8_lossy(input.bytes(input.len().min(3))?).into_owned();
    Ok(match kind % 9 {
        0 => Operation::CreateStudy {
            name: ["other", "another", "test"][study].into(),
            directions: vec![Direction::Minimize],
        },
        1 => Operation::DeleteStudy {
            study: study.max(1),
        },
        2 => Operation::StudyUserAttr {
            study,
            key,
            value: json!(value),
        },
        3 => Operation::CreateTrial {
            study,
            trial: Box::new(NewTrial::new(state, None)),
        },
        4 => Operation::SetParameter {
            trial,
            name: if id % 2 == 0 { "lr".into() } else { key },
            parameter: Parameter {
                internal: value,
                distribution: Distribution::float(0.001, 0.01, id % 4 < 2, None).unwrap(),
            },
        },
        5 | 6 => Operation::SetState {
            trial,
            state,
            values: Some(vec![value]),
            at: None,
        },
        7 => Operation::Report {
            trial,
            step: id.into(),
            value,
        },
        _ => Operation::TrialSystemAttr {
            trial,
            key,
            value: json!(value),
        },
    })
}
