//! A whole run, on whichever backend its settings ask for.

use std::path::Path;
use std::sync::Arc;

use super::fit::{History, Observer, Start, fit};
use super::record::{EpochRecord, Summary};
use super::run_dir::RunDir;
use super::run_writer::RunWriter;
use super::trainer::Trainer;
use crate::backend::Backend;
use crate::backend::select::{OnBackend, on_backend};
use crate::data::Dataset;
use crate::error::Result;
use crate::model::Model;
use crate::model::tensors::{self, TensorFile};
use crate::settings::Config;
use crate::threads::thread_count;

/// Where a run keeps its files.
#[derive(Clone, Copy, Debug, Default)]
pub enum Folder<'a> {
    /// Nowhere.
    #[default]
    None,
    /// In a new folder: this one, which must be new or empty, or the next free `runs/run-0001`.
    New(Option<&'a Path>),
    /// In that of a run that was begun before; it goes on from its checkpoint.
    Resume(&'a RunDir),
}

/// What a run may need besides settings, data and a folder.
#[derive(Default)]
pub struct RunOptions<'a> {
    /// Where it keeps its files.
    pub folder: Folder<'a>,
    /// Initial weights, in place of drawn ones.
    pub init_from: Option<&'a TensorFile<'a>>,
    /// Where to write the last weights, under the names of a PyTorch `nn.Sequential`.
    pub save: Option<&'a Path>,
    /// Compute one operation at a time, as the formulas are written: the same numbers, but slower.
    pub plain: bool,
}

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One record per epoch, those before a resume included.
    pub records: Vec<EpochRecord>,
    /// Its results.
    pub summary: Summary,
    /// The network with the best epoch's weights; `None` if no epoch has ended.
    pub model: Option<Model>,
    /// The run had ended before: nothing was left to do, and nothing was done.
    pub was_over: bool,
}

/// Trains a network and tests it, if the data set has a test part. With `run_dir` the run keeps its files in this
/// folder; if the folder holds the checkpoint of the same run already, it goes on from there. The settings choose
/// device, precision and threads.
///
/// # Errors
/// If settings and data do not fit each other or the run in the folder, or if the device or a file fails.
pub fn run(
    config: Config,
    data: Arc<Dataset>,
    run_dir: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let begun = run_dir.filter(|path| path.join("config.toml").is_file());
    let begun = begun.map(RunDir::open).transpose()?;
    let folder = match (&begun, run_dir) {
        (Some(begun), _) => Folder::Resume(begun),
        (None, Some(path)) => Folder::New(Some(path)),
        (None, None) => Folder::None,
    };
    let options = RunOptions {
        folder,
        ..RunOptions::default()
    };
    run_with(config, data, &options, observer)
}

/// [`run`], with further options.
///
/// # Errors
/// As there.
pub fn run_with(
    config: Config,
    data: Arc<Dataset>,
    options: &RunOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let (device, precision) = (config.device, config.precision);
    let threads = thread_count(config.threads)?;
    let work = Run {
        config,
        data,
        options,
        observer,
    };
    on_backend(device, precision, threads, options.plain, work)
}

struct Run<'a> {
    config: Config,
    data: Arc<Dataset>,
    options: &'a RunOptions<'a>,
    observer: &'a mut dyn Observer,
}

impl OnBackend for Run<'_> {
    type Output = Outcome;

    fn run<B: Backend>(self, backend: B) -> Result<Outcome> {
        let options = self.options;
        let mut trainer = Trainer::new(backend, self.config, self.data, options.init_from)?;
        let (run_dir, records) = open(options, &mut trainer)?;
        let run_dir = run_dir.as_ref();
        if let Some(summary) = summary_of_ended(&trainer, run_dir, &records)? {
            if let Some(path) = options.save {
                save(path, &trainer)?;
            }
            return Ok(Outcome {
                records,
                summary,
                model: trainer.into_model(),
                was_over: true,
            });
        }
        let observer = self.observer;
        observer.start(&Start::of(&trainer, run_dir));
        let History { records, summary } = fit(&mut trainer, run_dir, records, observer)?;
        if let Some(path) = options.save {
            save(path, &trainer)?;
        }
        Ok(Outcome {
            records,
            summary,
            model: trainer.into_model(),
            was_over: false,
        })
    }
}

/// Makes the run's folder, or puts the trainer where the run in it was. Returns the folder and the records of the
/// epochs that are done.
fn open<B: Backend>(
    options: &RunOptions<'_>,
    trainer: &mut Trainer<B>,
) -> Result<(Option<RunWriter>, Vec<EpochRecord>)> {
    let resolved = trainer.config().resolved.clone();
    match options.folder {
        Folder::None => Ok((None, Vec::new())),
        Folder::New(path) => {
            let run_dir = RunWriter::create(path)?;
            if options.init_from.is_some() {
                // A run that has its settings can be resumed, and must then have the given weights.
                run_dir.checkpoint(trainer)?;
            }
            run_dir.write_settings(&resolved)?;
            Ok((Some(run_dir), Vec::new()))
        }
        Folder::Resume(run_dir) => {
            let writer = RunWriter::resume(run_dir)?;
            run_dir.check_settings(&resolved, trainer.config().schedule.spans_run())?;
            writer.restore(trainer)?;
            writer.write_settings(&resolved)?;
            Ok((Some(writer), run_dir.records()?))
        }
    }
}

/// The summary of a run that has ended, if it is the summary of all its epochs.
fn summary_of_ended<B: Backend>(
    trainer: &Trainer<B>,
    run_dir: Option<&RunWriter>,
    records: &[EpochRecord],
) -> Result<Option<Summary>> {
    let progress = &trainer.progress;
    let has_ended =
        progress.epoch >= trainer.config().epochs || progress.diverged || progress.stopped_early;
    let Some(run_dir) = run_dir.filter(|_| has_ended) else {
        return Ok(None);
    };
    let is_whole = |s: &Summary| !s.interrupted && s.epoch_seconds.len() >= records.len();
    Ok(run_dir.run().summary()?.filter(is_whole))
}

/// Writes the last weights.
fn save<B: Backend>(path: &Path, trainer: &Trainer<B>) -> Result<()> {
    let mlp = trainer.mlp();
    let (params, running) = (mlp.read(|s| &s.params)?, mlp.read_running()?);
    let arrays = tensors::network(mlp.layout(), &params, &running, trainer.progress.update);
    tensors::write(path, &arrays, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Task;
    use crate::settings::Settings;
    use ndarray::Array2;

    fn data() -> Arc<Dataset> {
        let x = Array2::from_shape_fn((60, 3), |(i, j)| ((i * 7 + j * 5) % 11) as f32 / 10.0);
        let labels: Vec<u32> = (0..60).map(|i| i % 3).collect();
        Arc::new(Dataset::from_arrays(x.view(), &labels).unwrap())
    }

    fn config(epochs: u32) -> Config {
        let mut settings = Settings::default();
        settings.model.widths = Some(vec![5]);
        settings.train.epochs = Some(epochs);
        settings.train.batch_size = Some(9);
        settings.train.threads = Some(1);
        Config::new(&settings).unwrap()
    }

    #[test]
    fn a_run_in_a_folder_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        let go = |epochs, folder| run(config(epochs), data(), folder, &mut ()).unwrap();
        let whole = go(4, None);
        assert_eq!((whole.records.len(), whole.was_over), (4, false));
        assert_eq!(whole.summary.run_dir, None);

        assert_eq!(go(2, Some(&folder)).records.len(), 2);
        let resumed = go(4, Some(&folder));
        let losses = |outcome: &Outcome| -> Vec<f64> {
            outcome.records.iter().map(|r| r.train_loss).collect()
        };
        assert_eq!(losses(&resumed), losses(&whole));
        let weights = |outcome: &Outcome| outcome.model.clone().unwrap().params;
        assert_eq!(weights(&resumed), weights(&whole));
        assert_eq!(
            Model::read(&folder).unwrap(),
            resumed.model.clone().unwrap()
        );

        let again = go(4, Some(&folder));
        assert!(again.was_over);
        assert_eq!(again.summary, resumed.summary);
        assert_eq!(again.model, resumed.model);
    }

    /// They would be continued in the middle of a line, or with an epoch twice.
    #[test]
    fn records_that_are_not_those_of_the_checkpoint_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = dir.path().join("metrics.jsonl");
        let go = |epochs| run(config(epochs), data(), Some(dir.path()), &mut ());
        go(2).unwrap();
        let whole = std::fs::read_to_string(&metrics).unwrap();
        let line = whole.lines().next().unwrap();
        let shorter = &whole[..whole.len() - 9];
        let one_line = format!("{line}{}\n", " ".repeat(whole.len() - line.len() - 1));
        let joined = whole.replacen('\n', " ", 2) + "more\n";
        let multibyte = shorter.to_owned() + "12345678é";
        for (text, found) in [
            (shorter, format!("{} bytes", shorter.len())),
            (&one_line, "1".to_owned()),
            (&joined, "a part of one".to_owned()),
            (&multibyte, format!("{} bytes", multibyte.len())),
        ] {
            std::fs::write(&metrics, text).unwrap();
            let error = go(3).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
            let expected = format!("2 records in {} bytes", whole.len());
            assert!(error.to_string().contains(&expected), "{error}");
            assert!(
                error.to_string().contains(&format!("found {found}")),
                "{error}"
            );
            assert_eq!(&std::fs::read_to_string(&metrics).unwrap(), text);
        }
        std::fs::write(&metrics, whole + "{\"epoch\": 3").unwrap();
        assert_eq!(go(3).unwrap().records.len(), 3);
    }

    #[test]
    fn numbers_and_labels_from_memory() {
        let x = Array2::from_shape_fn((90, 1), |(i, _)| i as f32 / 90.0);
        let y = Array2::from_shape_fn((90, 2), |(i, j)| 1000.0 * (i as f64) + 7.0 * j as f64);
        let values = Dataset::from_values(x.view(), y.view(), Task::Regression).unwrap();
        let model = |data| {
            run(config(150), Arc::new(data), None, &mut ())
                .unwrap()
                .model
                .unwrap()
        };
        let numbers = model(values);
        let found = numbers.predict_values(x.view()).unwrap();
        let error = (&found - &y).mapv(f64::abs).mean().unwrap();
        assert!(error < 5000.0, "{error}");
        assert!(numbers.predict_proba(x.view()).is_err());
        let above = y.mapv(|y| f64::from(u8::from(y > 45000.0)));
        let labels = Dataset::from_values(x.view(), above.view(), Task::Multilabel).unwrap();
        let labels = model(labels);
        let found = labels.predict_proba(x.view()).unwrap();
        assert!(found[(0, 0)] < 0.5 && found[(89, 1)] > 0.5);
        assert!(labels.predict_values(x.view()).is_err());
        for wrong in [Task::Classification, Task::Multilabel] {
            assert!(Dataset::from_values(x.view(), y.view(), wrong).is_err());
        }
    }

    /// A run that died between its last checkpoint and its summary gets its summary.
    #[test]
    fn a_run_without_its_summary_is_concluded() {
        let dir = tempfile::tempdir().unwrap();
        let go = || run(config(2), data(), Some(dir.path()), &mut ()).unwrap();
        let first = go();
        std::fs::remove_file(dir.path().join("summary.json")).unwrap();
        let second = go();
        assert!(!second.was_over);
        assert_eq!(second.summary, first.summary);
    }

    #[test]
    fn wrong_data_are_refused() {
        let refused = |change: fn(&mut Dataset)| {
            let mut wrong = Dataset::clone(&data());
            change(&mut wrong);
            let error = run(config(1), Arc::new(wrong), None, &mut ()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        };
        refused(|data| data.train.labels.classes_mut()[0] = 3);
        refused(|data| data.train.labels = vec![0, 1].into());
        refused(|data| data.train.width = 7);
        refused(|data| {
            data.validation = Some(crate::data::Samples {
                labels: vec![].into(),
                weights: None,
                ..data.train.clone()
            })
        });
        refused(|data| data.class_names.clear());
    }
}
