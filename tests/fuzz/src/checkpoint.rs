//! Checkpoints: `checkpoint.safetensors` of a run that is continued.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use chainrule::data::Dataset;
use chainrule::settings::{Config, Settings};
use chainrule::train::{self, Outcome, RunDir};
use ndarray::Array2;

use crate::files::{Files, sound};
use crate::safetensors;

/// A run of two epochs, as far as its files do not tell of it.
struct Begun {
    data: Arc<Dataset>,
    /// What it comes to with a third epoch.
    third: Outcome,
}

const CHECKPOINT: &str = "checkpoint.safetensors";

/// Its other files.
const KEPT: [(&str, &[u8]); 4] = [
    ("config.toml", include_bytes!("../begun/config.toml")),
    ("metrics.jsonl", include_bytes!("../begun/metrics.jsonl")),
    (
        "model.safetensors",
        include_bytes!("../begun/model.safetensors"),
    ),
    ("summary.json", include_bytes!("../begun/summary.json")),
];

/// The checkpoint without damage.
const WHOLE: &[u8] = include_bytes!("../corpus/checkpoint/whole");

static BEGUN: LazyLock<Begun> = LazyLock::new(|| {
    let x = Array2::from_shape_fn((12, 6), |(i, j)| (i * 7 % 5 + j) as f32);
    let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
    let data = Arc::new(Dataset::from_arrays(x.view(), &labels).unwrap());
    let third = train::run(config(3), data.clone(), None, &mut ()).unwrap();
    Begun { data, third }
});

fn config(epochs: u32) -> Config {
    let mut settings = Settings::default();
    settings.model.widths = Some(vec![3, 2]);
    settings.model.dropout = Some(0.25);
    settings.train.batch_size = Some(4);
    settings.train.epochs = Some(epochs);
    settings.train.threads = Some(1);
    settings.train.patience = Some(9);
    settings.data.validation = Some(0.25);
    Config::new(&settings).unwrap()
}

/// The input is the checkpoint of a run of two epochs, which is continued for a third one; then again with lengths and
/// offsets put right. What is accepted leaves a run that is over; and a checkpoint without damage leads to the same
/// model as a run without interruption.
pub fn checkpoint(input: &[u8]) -> bool {
    let accepted = resume(input);
    match safetensors::repaired(input) {
        Some(right) => resume(&right) || accepted,
        None => accepted,
    }
}

fn resume(checkpoint: &[u8]) -> bool {
    let Begun { data, third } = &*BEGUN;
    let files = Files::new();
    let run = files.path("run");
    fs::create_dir(&run).expect("room for temporary files");
    for (name, bytes) in KEPT {
        files.write(&format!("run/{name}"), bytes);
    }
    files.write(&format!("run/{CHECKPOINT}"), checkpoint);
    let Some(outcome) = sound(train::run(config(3), data.clone(), Some(&run), &mut ())) else {
        return false;
    };
    if checkpoint == WHOLE {
        assert_eq!(outcome.model, third.model);
    }
    is_over(&run, data, &outcome);
    true
}

/// The same command finds nothing left to do, and the same result.
fn is_over(run: &Path, data: &Arc<Dataset>, outcome: &Outcome) {
    let records = RunDir::open(run).unwrap().records().unwrap();
    assert_eq!(format!("{records:?}"), format!("{:?}", outcome.records));
    let again = train::run(config(3), data.clone(), Some(run), &mut ()).unwrap();
    assert!(again.was_over);
    assert_eq!(format!("{:?}", again.model), format!("{:?}", outcome.model));
}
