//! Whole training runs on the first images of Fashion-MNIST, compared with those on the CPU.

use std::cell::Cell;
use std::sync::Arc;

use chainrule::backend::{Backend, Plain};
use chainrule::data::Dataset;
use chainrule::metrics::{Evaluation, Metric};
use chainrule::settings::{Config, Settings};
use chainrule::train::{EpochEnd, History, Observer, Progress, Trainer, fit};

use crate::machine;

fn config(toml: &str) -> Config {
    let settings: Settings = toml::from_str(toml).unwrap();
    Config::new(&settings).unwrap()
}

fn run<B: Backend<Real = f32>>(backend: B, toml: &str, data: &Arc<Dataset>) -> (History, Vec<f32>) {
    let mut trainer = Trainer::new(backend, config(toml), data.clone(), None).unwrap();
    let outcome = fit(&mut trainer, None, Vec::new(), &mut ()).unwrap();
    let params = trainer.mlp().read(|s| &s.params).unwrap();
    assert!(params.iter().all(|x| x.is_finite()));
    (outcome, params)
}

fn relative(found: f64, expected: f64) -> f64 {
    assert!(found.is_finite() && expected.is_finite());
    (found - expected).abs() / expected.abs()
}

const REFERENCE: &str = "[model]\nwidths = [64, 32]\ndropout = 0.2\n[train]\nepochs = 3\nbatch_size = 30\n[optimizer]\nlr = 0.002\n";

/// A network like the study's: batch norm, dropout, Adam. An epoch has 26 training batches and one of validation.
#[test]
fn a_run_matches_the_cpus_up_to_rounding() {
    let data = Arc::new(machine::fashion(1000, 300));
    let (cpu, _) = run(Plain::new(1), REFERENCE, &data);
    let (own, _) = run(machine::backend(), REFERENCE, &data);
    assert_eq!(own.records.len(), 3);
    for (own, cpu) in own.records.iter().zip(&cpu.records) {
        let train = relative(own.train_loss, cpu.train_loss);
        // Before a batch norm the gradient of a bias is only rounding, and Adam amplifies it. The running mean lags
        // behind this bias, so validation is compared loosely.
        let val = relative(own.val_loss.unwrap(), cpu.val_loss.unwrap());
        println!(
            "epoch {}: loss off by {train:.1e}, val_loss by {val:.1e}",
            own.epoch
        );
        assert!(train <= 1e-6, "{own:?} against {cpu:?}");
        assert!(val <= 5e-3, "{own:?} against {cpu:?}");
        let off = (own.train_accuracy.unwrap() - cpu.train_accuracy.unwrap()).abs();
        assert!(off <= 0.005, "{own:?} against {cpu:?}");
        let off = (own.val_accuracy.unwrap() - cpu.val_accuracy.unwrap()).abs();
        assert!(off <= 0.02, "{own:?} against {cpu:?}");
    }
    let (own, cpu) = (own.summary, cpu.summary);
    assert!((own.test_accuracy.unwrap() - cpu.test_accuracy.unwrap()).abs() <= 0.02);
    assert!(cpu.val_accuracy.unwrap() > 0.6, "the network learns");
}

/// Without batch norm and clipping a run has the CPU's bits: augmented pixels, dropout, losses, schedule, everything.
/// Only noise may differ, where it is at the boundary of two pixels.
#[test]
fn a_run_without_batch_norm_has_the_cpus_bits() {
    let toml = "[data]\naugment = \"flip,shift=2,noise=0.1\"\n[model]\nwidths = [64, 32]\nbatch_norm = false\ndropout = 0.1\nactivation = \"elu\"\n\
        [train]\nepochs = 2\nbatch_size = 37\nlabel_smoothing = 0.1\n[optimizer]\nname = \"sgd\"\nlr = 0.05\nmomentum = 0.9\n\
        [schedule]\nname = \"onecycle\"\nby = \"update\"\n";
    let data = Arc::new(machine::fashion(600, 0));
    let (cpu, expected) = run(Plain::new(1), toml, &data);
    let (own, params) = run(machine::backend(), toml, &data);
    for (own, cpu) in own.records.iter().zip(&cpu.records) {
        assert!(relative(own.train_loss, cpu.train_loss) <= 1e-12);
        assert!(relative(own.val_loss.unwrap(), cpu.val_loss.unwrap()) <= 1e-12);
        assert_eq!(
            (own.train_accuracy, own.val_accuracy),
            (cpu.train_accuracy, cpu.val_accuracy)
        );
        assert_eq!(own.lr, cpu.lr);
    }
    assert!(params == expected, "the same bits");
}

/// f64 samples are not kept on the device. Their batches come from host memory.
#[test]
fn f32_and_f64_samples() {
    let x = |i: usize, j: usize| ((i * 7 + j * 3) % 11) as f64 / 3.0 + (i % 3) as f64;
    let labels: Vec<u32> = (0..120).map(|i| i % 3).collect();
    let toml = "[data]\nnormalize = \"standard\"\n[model]\nwidths = [9]\nbatch_norm = false\n[train]\nepochs = 4\nbatch_size = 16\n";
    let doubles = ndarray::Array2::from_shape_fn((120, 5), |(i, j)| x(i, j));
    let doubles = Arc::new(Dataset::from_arrays(doubles.view(), &labels).unwrap());
    let singles = ndarray::Array2::from_shape_fn((120, 5), |(i, j)| x(i, j) as f32);
    let singles = Arc::new(Dataset::from_arrays(singles.view(), &labels).unwrap());
    for data in [doubles, singles] {
        let (cpu, expected) = run(Plain::new(1), toml, &data);
        let (own, params) = run(machine::backend(), toml, &data);
        assert!(params == expected, "{}", data.train.features.dtype());
        assert_eq!(own.summary.val_accuracy, cpu.summary.val_accuracy);
    }
}

/// Stops the run before its batch number `left`, and counts the batches.
struct Stopper {
    left: Cell<usize>,
    seen: usize,
}

impl Observer for Stopper {
    fn interrupted(&self) -> bool {
        self.left.set(self.left.get().wrapping_sub(1));
        self.left.get() == usize::MAX
    }

    fn batch(&mut self, progress: &Progress, batches: usize) {
        self.seen += 1;
        assert!(progress.partial.batches <= batches && progress.partial.loss().is_finite());
    }
}

/// An interrupt collects the pending losses. The resumed run has the bits of a run that was never stopped.
#[test]
fn an_interrupted_epoch_resumes() {
    let data = Arc::new(machine::fashion(600, 0));
    let (_, expected) = run(machine::backend(), REFERENCE, &data);
    let mut trainer =
        Trainer::new(machine::backend(), config(REFERENCE), data.clone(), None).unwrap();
    for stop in [5, 0, 20, usize::MAX - 1] {
        let mut stopper = Stopper {
            left: Cell::new(stop),
            seen: 0,
        };
        let before = trainer.progress.update;
        let outcome = fit(&mut trainer, None, Vec::new(), &mut stopper).unwrap();
        assert_eq!(outcome.summary.interrupted, stop < 100);
        assert_eq!(trainer.progress.update - before, stopper.seen as u64);
        if stop < 100 {
            assert_eq!(stopper.seen, stop, "every batch begun is counted");
        }
    }
    assert_eq!(trainer.progress.epoch, 3);
    let params = trainer.mlp().read(|s| &s.params).unwrap();
    assert!(params == expected, "the same bits");
}

/// A diverging run ends at the same update as on the CPU, with the weights after the last good update, although many
/// more steps had begun.
#[test]
fn a_diverging_run_ends_where_the_cpus_does() {
    let toml = "[model]\nwidths = [16]\nbatch_norm = false\nactivation = \"identity\"\n[train]\nepochs = 2\nbatch_size = 20\n[optimizer]\nname = \"sgd\"\nlr = 1e12\n";
    let data = Arc::new(machine::fashion(500, 0));
    fn diverge<B: Backend<Real = f32>>(
        backend: B,
        toml: &str,
        data: &Arc<Dataset>,
    ) -> (Progress, Vec<u32>, usize) {
        let mut trainer = Trainer::new(backend, config(toml), data.clone(), None).unwrap();
        let mut stopper = Stopper {
            left: Cell::new(usize::MAX - 1),
            seen: 0,
        };
        let EpochEnd::Diverged(record) = trainer.epoch(false, &mut stopper).unwrap() else {
            panic!("it converges");
        };
        assert!(!record.train_loss.is_finite());
        let params = trainer.mlp().read(|s| &s.params).unwrap();
        let bits = params.iter().map(|x| x.to_bits()).collect();
        (trainer.progress, bits, stopper.seen)
    }
    let (cpu, expected, seen) = diverge(Plain::new(1), toml, &data);
    let (own, params, counted) = diverge(machine::backend(), toml, &data);
    assert!(
        own.diverged && cpu.update > 1,
        "after {} updates",
        cpu.update
    );
    assert_eq!((own.update, counted), (cpu.update, seen));
    assert!(params == expected, "the same bits");
}

/// Training and evaluation may have more batches than there are slots for pending losses.
#[test]
fn more_batches_than_slots() {
    let toml = "[data]\nvalidation = 0.1\n[model]\nwidths = [8]\nbatch_norm = false\n[train]\nepochs = 1\nbatch_size = 4\n";
    let data = Arc::new(machine::fashion(700, 0));
    let (cpu, expected) = run(Plain::new(1), toml, &data);
    let (own, params) = run(machine::backend(), toml, &data);
    assert!(params == expected, "the same bits");
    let of = |o: &History| {
        let r = &o.records[0];
        (r.train_accuracy, r.val_accuracy, r.lr)
    };
    assert_eq!(of(&own), of(&cpu));
}

/// On the device a trained model gives the probabilities and classes of the CPU.
#[test]
fn a_model_evaluates_as_on_the_cpu() {
    use chainrule::backend::select::Device;
    let data = Arc::new(machine::fashion(500, 300));
    machine::backend();
    let mut trainer =
        Trainer::new(Plain::<f32>::new(1), config(REFERENCE), data.clone(), None).unwrap();
    fit(&mut trainer, None, Vec::new(), &mut ()).unwrap();
    let (model, test) = (trainer.model().unwrap(), data.test.as_ref().unwrap());
    let on = |device| {
        let mut predictor = model.predictor(device, 2).unwrap();
        let rows: Vec<u32> = (0..300).rev().collect();
        let (evaluation, predictions) = predictor.evaluate(test, &rows).unwrap();
        (
            evaluation,
            predictions.classes,
            predictor.predict(test).unwrap(),
        )
    };
    let (cpu, own) = (on(Device::Cpu), on(Device::Cuda(0)));
    let of = |e: &Evaluation| (e.loss(), e.get(Metric::Accuracy));
    let ((loss, accuracy), (expected, wanted)) = (of(&own.0), of(&cpu.0));
    assert!(relative(loss, expected) <= 1e-6 && accuracy == wanted);
    assert_eq!((own.1, &own.2.classes), (cpu.1, &cpu.2.classes));
    for (found, expected) in own.2.logits.iter().zip(&cpu.2.logits) {
        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0));
    }
}
