//! Whole runs have the same bits, whatever is combined: threads, instruction set, interruptions, and settings.
//!
//! All combinations would be millions. The rows of [`rows`] hold every pair of values of every two factors.
//! Each row trains on pictures of 12 x 12 pixels, and is compared with the same run on the plain backend, one thread,
//! undisturbed: losses and metrics of each epoch to the last digit, and SHA-256 of each tensor after epochs 1, 2 and 4.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chainrule::data::{Dataset, Features, ImageShape, Labels, Samples, Task};
use chainrule::settings::{Config, Settings};
use chainrule::simd::{self, InstructionSet};
use chainrule::text::hex;
use chainrule::train::{self, EpochRecord, Observer, Outcome, Progress, RunOptions};
use sha2::{Digest, Sha256};

use crate::output_with;

const THREADS: [usize; 4] = [1, 2, 3, 8];
/// Places in the list of this machine's sets, which begins again after its end.
const SETS: usize = 3;
/// What happens to a run after so many updates.
const DISTURBANCES: [&[(u64, Event)]; 3] = [
    &[],
    &[
        (3, Event::Interrupted),
        (8, Event::Interrupted),
        (9, Event::Interrupted),
    ],
    &[
        (2, Event::Killed),
        (5, Event::Interrupted),
        (7, Event::Killed),
        (10, Event::Interrupted),
        (11, Event::Killed),
    ],
];
/// The five networks of the benchmarks, at about a tenth of their width, and an ensemble.
const NETWORKS: [&str; 6] = [
    "model.width = 50\ntrain.batch_size = 40",
    "model.width = 57\nmodel.depth = 8\nmodel.dropout = 0.333\ntrain.batch_size = 41",
    "model.widths = [100, 100, 100]\nmodel.dropout = 0.2\nmodel.batch_norm = false\ntrain.batch_size = 43",
    "model.width = 50\ntrain.batch_size = 16",
    "model.width = 5\ntrain.batch_size = 40",
    "model.widths = [21, 12]\nmodel.members = 3\nmodel.batch_norm = false\ntrain.batch_size = 33",
];
const OPTIMIZERS: [&str; 6] = [
    "optimizer.name = 'sgd'\noptimizer.lr = 0.05",
    "optimizer.name = 'sgd'\noptimizer.lr = 0.02\noptimizer.momentum = 0.9\noptimizer.nesterov = true\noptimizer.weight_decay = 0.001",
    "optimizer.name = 'adam'",
    "optimizer.name = 'adamw'",
    "optimizer.name = 'rmsprop'\noptimizer.momentum = 0.5",
    "optimizer.name = 'rprop'",
];
const SCHEDULES: [&str; 12] = [
    "schedule.name = 'constant'",
    "schedule.name = 'step'\nschedule.step_size = 2\nschedule.gamma = 0.5",
    "schedule.name = 'step'\nschedule.step_size = 2\nschedule.gamma = 0.5\nschedule.by = 'update'",
    "schedule.name = 'multistep'\nschedule.milestones = [1, 2, 7]",
    "schedule.name = 'multistep'\nschedule.milestones = [1, 2, 7]\nschedule.by = 'update'",
    "schedule.name = 'exponential'\nschedule.gamma = 0.9",
    "schedule.name = 'exponential'\nschedule.gamma = 0.9\nschedule.by = 'update'",
    "schedule.name = 'cosine'\nschedule.warmup = 1",
    "schedule.name = 'cosine'\nschedule.warmup = 1\nschedule.by = 'update'",
    "schedule.name = 'onecycle'",
    "schedule.name = 'onecycle'\nschedule.by = 'update'",
    "schedule.name = 'plateau'\nschedule.patience = 0\nschedule.factor = 0.5",
];
const ACTIVATIONS: [&str; 8] = [
    "model.activation = 'relu'",
    "model.activation = 'leaky_relu'",
    "model.activation = 'sigmoid'",
    "model.activation = 'tanh'",
    "model.activation = 'gelu'",
    "model.activation = 'silu'",
    "model.activation = 'elu'",
    "model.activation = 'identity'",
];
const ORDERS: [&str; 2] = [
    "model.order = 'dropout_activation'",
    "model.order = 'activation_dropout'",
];
const LOSSES: [&str; 7] = [
    "train.loss = 'cross_entropy'",
    "train.loss = 'cross_entropy'\ntrain.label_smoothing = 0.1",
    "train.loss = 'cross_entropy'\ntrain.class_weights = 'balanced'",
    "train.loss = 'mse'\ndata.task = 'regression'",
    "train.loss = 'huber'\ntrain.delta = 0.5\ndata.task = 'regression'",
    "train.loss = 'mae'\ndata.task = 'regression'",
    "train.loss = 'bce'\ntrain.positive_weights = [0.5, 2.0, 1.0]\ndata.task = 'multilabel'",
];
const INITS: [&str; 5] = [
    "model.init = 'default'",
    "model.init = 'kaiming_uniform'",
    "model.init = 'kaiming_normal'",
    "model.init = 'xavier_uniform'",
    "model.init = 'xavier_normal=0.7'",
];
const AUGMENTS: [&str; 5] = [
    "data.augment = 'none'",
    "data.augment = 'flip'",
    "data.augment = 'shift=2'",
    "data.augment = 'noise=0.1'",
    "data.augment = 'flip,shift=1,noise=0.05'",
];
const CLIPS: [&str; 2] = ["train.clip_norm = 0.0", "train.clip_norm = 0.5"];
const NORMALIZE: [&str; 2] = ["data.normalize = 'auto'", "data.normalize = 'standard'"];

/// The factors that are settings.
const SETTINGS: [&[&str]; 10] = [
    &NETWORKS,
    &OPTIMIZERS,
    &SCHEDULES,
    &ACTIVATIONS,
    &ORDERS,
    &LOSSES,
    &INITS,
    &AUGMENTS,
    &CLIPS,
    &NORMALIZE,
];
const EPOCHS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    /// By a signal: it writes a checkpoint.
    Interrupted,
    /// At once: what was done since the last checkpoint is lost.
    Killed,
}

/// Values of all factors: places in their lists.
type Row = Vec<usize>;

/// Rows in which every pair of values of every two factors occurs. Each row takes a pair that is missing, and then
/// for each other factor the value that brings the most further pairs.
fn rows() -> Vec<Row> {
    let sizes: Vec<usize> = [THREADS.len(), SETS, DISTURBANCES.len()]
        .into_iter()
        .chain(SETTINGS.iter().map(|values| values.len()))
        .collect();
    let factors = sizes.len();
    let mut missing = Vec::new();
    for a in 0..factors {
        for b in a + 1..factors {
            missing.extend((0..sizes[a]).flat_map(|x| (0..sizes[b]).map(move |y| (a, x, b, y))));
        }
    }
    let mut rows = Vec::new();
    while let Some(&(a, x, b, y)) = missing.first() {
        let mut row: Vec<Option<usize>> = vec![None; factors];
        (row[a], row[b]) = (Some(x), Some(y));
        for factor in 0..factors {
            if row[factor].is_some() {
                continue;
            }
            let gain = |value: &usize| {
                let with = |f: usize| if f == factor { Some(*value) } else { row[f] };
                let is_new = |&&(a, x, b, y): &&(usize, usize, usize, usize)| {
                    (a == factor || b == factor) && with(a) == Some(x) && with(b) == Some(y)
                };
                missing.iter().filter(is_new).count()
            };
            // The first of the best.
            row[factor] = (0..sizes[factor]).rev().max_by_key(gain);
        }
        let row: Row = row.into_iter().flatten().collect();
        missing.retain(|&(a, x, b, y)| row[a] != x || row[b] != y);
        rows.push(row);
    }
    rows
}

fn settings(row: &Row) -> Settings {
    let values = SETTINGS
        .iter()
        .zip(&row[3..])
        .map(|(values, &place)| values[place]);
    let text = values.collect::<Vec<_>>().join("\n");
    let mut settings: Settings = toml::from_str(&text).unwrap();
    settings.train.epochs = Some(EPOCHS);
    settings.train.seed = Some(7);
    settings
}

/// Pictures with labels for a task.
fn data(task: Task) -> Arc<Dataset> {
    const ROWS: usize = 160;
    const WIDTH: usize = 144;
    let pixels = (0..ROWS * WIDTH).map(|i| {
        let (row, pixel) = (i / WIDTH, i % WIDTH);
        let noise = (i.wrapping_mul(2_654_435_761) >> 9) % 200;
        (noise + if pixel % 5 == row % 5 { 55 } else { 0 }) as u8
    });
    let values = |value: fn(usize, usize) -> f64| Labels::Values {
        values: (0..ROWS * 3).map(|i| value(i / 3, i % 3)).collect(),
        columns: 3,
    };
    let (labels, names) = match task {
        Task::Classification => (
            (0..ROWS)
                .map(|row| (row % 5) as u32)
                .collect::<Vec<_>>()
                .into(),
            5,
        ),
        Task::Regression => (
            values(|row, column| (row % 5 * (column + 1)) as f64 - 2.5),
            3,
        ),
        Task::Multilabel => (
            values(|row, column| f64::from(u8::from(row % 5 > column))),
            3,
        ),
    };
    Arc::new(Dataset {
        train: Samples {
            features: Features::U8(pixels.collect()),
            width: WIDTH,
            labels,
            weights: None,
        },
        validation: None,
        test: None,
        task,
        class_names: (0..names).map(|name| format!("{name}")).collect(),
        unseen: Vec::new(),
        image: Some(ImageShape {
            height: 12,
            width: 12,
        }),
        table: None,
        name: "pictures".to_owned(),
        path: PathBuf::new(),
        hash: "pictures".to_owned(),
        notices: Vec::new(),
    })
}

/// Disturbs a run, and asks for hashes.
struct Disturber<'a> {
    events: &'a [(u64, Event)],
    update: u64,
}

impl Disturber<'_> {
    fn is_due(&self, event: Event) -> bool {
        self.events
            .first()
            .is_some_and(|&(update, next)| next == event && self.update >= update)
    }
}

impl Observer for Disturber<'_> {
    fn interrupted(&self) -> bool {
        self.is_due(Event::Interrupted)
    }

    /// Of the epochs that have hashes in a run's folder.
    fn wants_hashes(&self, epoch: u32) -> bool {
        epoch.is_power_of_two()
    }

    fn batch(&mut self, progress: &Progress, _: usize) {
        self.update = progress.update;
        if self.is_due(Event::Killed) {
            resume_unwind(Box::new(Event::Killed));
        }
    }
}

/// A run in a folder, begun again after each event.
fn run_disturbed(
    config: &Config,
    data: &Arc<Dataset>,
    events: &[(u64, Event)],
    folder: &Path,
) -> Outcome {
    for done in 0..=events.len() {
        let mut disturber = Disturber {
            events: &events[done..],
            update: 0,
        };
        let run = || train::run(config.clone(), data.clone(), Some(folder), &mut disturber);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(outcome) => {
                let outcome = outcome.unwrap();
                assert_eq!(outcome.summary.interrupted, done < events.len());
                if !outcome.summary.interrupted {
                    return outcome;
                }
            }
            Err(cause) => assert!(cause.downcast_ref() == Some(&Event::Killed)),
        }
    }
    panic!("the run did not end after {} events", events.len());
}

/// The records without their times.
fn bits(records: &[EpochRecord]) -> String {
    assert_eq!(records.len(), EPOCHS as usize);
    let lines = records.iter().map(|record| {
        assert!(record.train_loss.is_finite());
        let timeless = EpochRecord {
            train_seconds: 0.0,
            samples_per_second: 0.0,
            ..record.clone()
        };
        serde_json::to_string(&timeless).unwrap()
    });
    assert!(!records[EPOCHS as usize - 1].sha256.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// The bits of a row on the plain backend, one thread, undisturbed.
fn reference(row: &Row) -> String {
    let mut settings = settings(row);
    settings.train.threads = Some(1);
    let config = Config::new(&settings).unwrap();
    let options = RunOptions {
        plain: true,
        ..RunOptions::default()
    };
    let mut observer = Disturber {
        events: &[],
        update: 0,
    };
    let data = data(config.task);
    bits(
        &train::run_with(config, data, &options, &mut observer)
            .unwrap()
            .records,
    )
}

/// The bits of a row as it demands, on this process's instruction set.
fn demanded(row: &Row) -> String {
    let mut settings = settings(row);
    settings.train.threads = Some(THREADS[row[0]]);
    let config = Config::new(&settings).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = data(config.task);
    bits(&run_disturbed(&config, &data, DISTURBANCES[row[2]], folder.path()).records)
}

fn set_of(row: &Row) -> InstructionSet {
    let sets: Vec<InstructionSet> = InstructionSet::available().collect();
    sets[row[1] % sets.len()]
}

/// The rows of this process's set. Prints them for the process that started it.
#[test]
fn rows_of_one_set() {
    for (number, row) in rows().iter().enumerate() {
        if set_of(row) == simd::set() {
            let (expected, found) = (reference(row), demanded(row));
            assert_eq!(
                found,
                expected,
                "row {number}: {row:?}\n{:?}",
                settings(row)
            );
            println!("row {number} {}", hex(Sha256::digest(found)));
        }
    }
}

#[test]
fn every_pair_of_factors_has_the_same_bits() {
    let rows = rows();
    let mut found = String::new();
    for set in InstructionSet::available() {
        found += &output_with(set, &["matrix::rows_of_one_set"]);
    }
    let mut all = Sha256::new();
    for (number, row) in rows.iter().enumerate() {
        let expected = reference(row);
        let line = format!("row {number} {}", hex(Sha256::digest(&expected)));
        assert!(
            found.lines().any(|found| found == line),
            "row {number}: {row:?}"
        );
        all.update(expected);
    }
    println!("{} rows", rows.len());
    assert_eq!(hex(all.finalize()), EXPECTED);
}

/// Of the references of all rows, on every machine.
const EXPECTED: &str = "f15b6fa9f973b5fcf1c8a49a31ea113dc85993bf718ea57238e0fea0939c12ac";
