use std::fs;
use std::path::Path;

use ndarray::Array2;
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use super::*;
use crate::model::tensors::TensorFile;
use crate::settings::Settings;
use crate::text::hex;
use crate::train::{Folder, run as train_run};

fn data() -> Arc<Dataset> {
    let x = Array2::from_shape_fn((60, 3), |(i, j)| ((i * 7 + j * 5) % 11) as f32 / 10.0);
    let labels: Vec<u32> = (0..60).map(|i| (i * i) % 3).collect();
    Arc::new(Dataset::from_arrays(x.view(), &labels).unwrap())
}

fn settings(epochs: u32) -> Settings {
    let mut settings = Settings::default();
    settings.model.widths = Some(vec![5]);
    settings.model.dropout = Some(0.2);
    settings.model.batch_norm = Some(true);
    settings.train.epochs = Some(epochs);
    settings.train.batch_size = Some(9);
    settings.train.threads = Some(1);
    settings
}

fn train(folder: &Path, settings: &Settings) {
    let config = Config::new(settings).unwrap();
    train_run(config, data(), Some(folder), &mut ()).unwrap();
}

fn again(folder: &Path) -> Result<Verification> {
    let run = RunDir::open(folder).unwrap();
    verify(
        &run,
        config_to_verify(&run)?,
        data(),
        &RunOptions::default(),
        &mut (),
    )
}

/// Changes a file of the run.
fn edit(folder: &Path, file: &str, change: impl Fn(&str) -> String) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text, "nothing changed in {file}");
    fs::write(path, changed).unwrap();
}

/// Another first digit for the value of a field in the record of an epoch.
fn edit_record(folder: &Path, epoch: usize, field: &str) {
    edit(folder, METRICS, |text| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let line = &mut lines[epoch - 1];
        let value = line.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
        let digits = |c: char| c.is_ascii_digit();
        let at = value + line[value..].find(digits).unwrap();
        let other = if line[at..].starts_with('1') {
            "2"
        } else {
            "1"
        };
        line.replace_range(at..=at, other);
        lines.join("\n") + "\n"
    });
}

#[test]
fn a_run_has_the_same_bits_again() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), &settings(5));
    let run = RunDir::open(dir.path()).unwrap();
    for (threads, plain) in [(1, false), (3, false), (2, true)] {
        let mut config = config_to_verify(&run).unwrap();
        config.threads = Some(threads);
        let options = RunOptions {
            plain,
            ..RunOptions::default()
        };
        let found = verify(&run, config, data(), &options, &mut ()).unwrap();
        let expected = Verification {
            epochs: 5,
            // 48 samples an epoch are too few to hash every one: 1, 2 and 4.
            hashed_epochs: 3,
            is_same_model: true,
            difference: None,
            notices: Vec::new(),
        };
        assert_eq!(found, expected, "{threads} threads, plain: {plain}");
    }
}

/// Of the last weights as `--save` writes them.
#[test]
fn hashes_are_those_of_the_bytes_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, saved) = (dir.path().join("run"), dir.path().join("last.safetensors"));
    let options = RunOptions {
        folder: Folder::New(Some(&folder)),
        save: Some(&saved),
        ..RunOptions::default()
    };
    let config = Config::new(&settings(2)).unwrap();
    let outcome = run_with(config, data(), &options, &mut ()).unwrap();
    let bytes = fs::read(&saved).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let hashes = tensors
        .iter()
        .map(|(name, view)| (name.to_owned(), hex(Sha256::digest(view.data()))));
    assert_eq!(outcome.records[1].sha256, hashes.collect());
    assert_eq!(outcome.records[1].sha256.len(), 9);
}

#[test]
fn the_first_difference_is_named() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), &settings(4));
    let record = |name: &str| fs::read(dir.path().join(name)).unwrap();
    let (metrics, model) = (record(METRICS), record("model.safetensors"));
    let difference = || again(dir.path()).unwrap().difference;

    // Tensors, in the order of the layers.
    edit_record(dir.path(), 4, "4.weight");
    edit_record(dir.path(), 4, "0.bias");
    let found = difference().unwrap();
    assert_eq!((found.epoch, found.is_in_model_file), (4, false));
    assert_eq!(
        (found.tensors, found.metrics),
        (vec!["0.bias".to_owned(), "4.weight".into()], vec![])
    );

    // A loss of an epoch that has no hashes.
    edit_record(dir.path(), 3, "val_loss");
    let found = again(dir.path()).unwrap();
    assert_eq!(
        (found.epochs, found.hashed_epochs, found.is_same_model),
        (2, 2, false)
    );
    let found = found.difference.unwrap();
    let names: Vec<&str> = found.metrics.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(
        (found.epoch, found.tensors, names),
        (3, vec![], vec!["val_loss"])
    );

    // Times are not compared.
    fs::write(dir.path().join(METRICS), &metrics).unwrap();
    edit_record(dir.path(), 3, "train_seconds");
    edit_record(dir.path(), 3, "samples_per_second");
    assert_eq!(difference(), None);

    // The last byte of the last tensor.
    let mut damaged = model.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(dir.path().join("model.safetensors"), damaged).unwrap();
    let found = difference().unwrap();
    assert!(found.is_in_model_file);
    assert_eq!(found.tensors.len(), 1, "{found:?}");
}

/// A finished run's model is that of its best epoch.
#[test]
fn the_model_of_another_epoch_is_a_difference() {
    let dir = tempfile::tempdir().unwrap();
    train(&dir.path().join("long"), &settings(6));
    train(&dir.path().join("short"), &settings(1));
    let long = dir.path().join("long");
    let model = "model.safetensors";
    assert!(again(&long).unwrap().is_same_model);
    assert_ne!(
        RunDir::open(&long)
            .unwrap()
            .summary()
            .unwrap()
            .unwrap()
            .best_epoch,
        Some(1)
    );
    fs::copy(dir.path().join("short").join(model), long.join(model)).unwrap();
    assert!(again(&long).unwrap().difference.unwrap().is_in_model_file);
    // A run that goes on may have one.
    fs::remove_file(long.join("summary.json")).unwrap();
    let found = again(&long).unwrap();
    assert_eq!((found.is_same_model, found.difference), (false, None));
}

#[test]
fn other_data_and_settings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), &settings(2));
    let run = RunDir::open(dir.path()).unwrap();
    let mut other = Dataset::clone(&data());
    other.hash = "0".repeat(64);
    let config = config_to_verify(&run).unwrap();
    let error = verify(
        &run,
        config,
        Arc::new(other),
        &RunOptions::default(),
        &mut (),
    );
    let error = error.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains(&"0".repeat(64)), "{error}");

    edit(dir.path(), "config.toml", |text| {
        text.replace("seed = 0", "seed = 1")
    });
    let error = again(dir.path()).unwrap_err();
    assert!(error.to_string().contains("train.seed"), "{error}");
    // Without its checkpoint the run does not tell, but its numbers do.
    fs::remove_file(dir.path().join("checkpoint.safetensors")).unwrap();
    assert_eq!(again(dir.path()).unwrap().difference.unwrap().epoch, 1);

    fs::remove_file(dir.path().join(METRICS)).unwrap();
    let error = again(dir.path()).unwrap_err().to_string();
    assert!(error.contains("the record of an epoch"), "{error}");
}

#[test]
fn records_without_hashes_are_compared_by_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), &settings(3));
    edit(dir.path(), METRICS, |text| {
        let without = |line: &str| line.split(",\"sha256\"").next().unwrap().to_owned();
        let lines = text
            .lines()
            .map(|line| without(line).trim_end_matches('}').to_owned() + "}\n");
        lines.collect()
    });
    let found = again(dir.path()).unwrap();
    assert_eq!((found.epochs, found.hashed_epochs), (3, 0));
    assert!(
        found.notices[0].contains("no hashes"),
        "{:?}",
        found.notices
    );
    assert!(found.is_same_model && found.difference.is_none());
}

/// What may change when a run is resumed changes no bit.
#[test]
fn a_resumed_run_has_the_same_bits_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = settings(3);
    first.train.patience = Some(3);
    train(dir.path(), &first);
    let mut more = settings(12);
    more.train.patience = Some(1);
    train(dir.path(), &more);
    let run = RunDir::open(dir.path()).unwrap();
    let recorded = run.records().unwrap();
    let found = again(dir.path()).unwrap();
    assert_eq!(
        (found.epochs as usize, found.difference),
        (recorded.len(), None)
    );
    assert!(found.is_same_model);
}

#[test]
fn a_run_that_diverged_does_so_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut hot = settings(6);
    hot.model.batch_norm = Some(false);

    hot.optimizer.lr = Some(1e30);
    train(dir.path(), &hot);
    let run = RunDir::open(dir.path()).unwrap();
    assert!(run.summary().unwrap().unwrap().diverged);
    let found = again(dir.path()).unwrap();
    assert_eq!(found.difference, None);
    assert_eq!(found.epochs as usize, run.records().unwrap().len());
}

#[test]
fn given_initial_weights_are_needed_again() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let saved = dir.path().join("last.safetensors");
    let options = RunOptions {
        folder: Folder::New(Some(&first)),
        save: Some(&saved),
        ..RunOptions::default()
    };
    run_with(
        Config::new(&settings(1)).unwrap(),
        data(),
        &options,
        &mut (),
    )
    .unwrap();
    let weights = TensorFile::read(&saved).unwrap();
    let given = |folder| RunOptions {
        folder,
        init_from: Some(&weights),
        ..RunOptions::default()
    };
    let options = given(Folder::New(Some(&second)));
    run_with(
        Config::new(&settings(2)).unwrap(),
        data(),
        &options,
        &mut (),
    )
    .unwrap();
    let found = again(&second).unwrap();
    assert_eq!(found.difference.unwrap().epoch, 1);
    assert!(
        found.notices[0].contains("--init-from"),
        "{:?}",
        found.notices
    );
    let run = RunDir::open(&second).unwrap();
    let config = config_to_verify(&run).unwrap();
    let found = verify(&run, config, data(), &given(Folder::None), &mut ()).unwrap();
    assert_eq!((found.epochs, found.difference), (2, None));
}

#[test]
fn another_kind_of_machine_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut double = settings(2);
    double.train.precision = Some(crate::backend::select::Precision::F64);
    train(dir.path(), &double);
    assert_eq!(again(dir.path()).unwrap().notices, Vec::<String>::new());
    edit(dir.path(), METRICS, |text| {
        text.replace("\"computed_on\":\"", "\"computed_on\":\"a VAX, ")
    });
    let notices = again(dir.path()).unwrap().notices;
    assert!(notices[0].starts_with("computed on a VAX, "), "{notices:?}");
    assert_eq!(notices.len(), 1);
}

#[test]
fn an_interrupt_ends_it() {
    struct Stop;
    impl Observer for Stop {
        fn interrupted(&self) -> bool {
            true
        }
    }
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), &settings(2));
    let run = RunDir::open(dir.path()).unwrap();
    let config = config_to_verify(&run).unwrap();
    let error = verify(&run, config, data(), &RunOptions::default(), &mut Stop).unwrap_err();
    assert_eq!(error.exit_code(), 130);
}
