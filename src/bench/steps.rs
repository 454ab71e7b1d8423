//! Times of whole training steps, from pixels to updated weights, and the bounds that the machine's limits set.

use serde::Serialize;

use super::peak::{BYTES_PER_PARAMETER, Machine, Peak};
use super::timing::{self, Repeats};
use crate::backend::{Backend, Order, ProductPrecision};
use crate::data::{Features, Labels, Normalizer, Samples};
use crate::error::{Error, Result};
use crate::nn::init::{self, Init};
use crate::nn::spec::hidden_widths;
use crate::nn::{Feed, Rows};
use crate::nn::{Mlp, NetworkSpec, Update};
use crate::ops::activation::Activation;
use crate::ops::loss::{BatchLoss, Loss};
use crate::optim::Optimizer;
use crate::rng;

/// The number of samples that batches are drawn from, and of an epoch in [`StepTime::epoch_seconds`].
pub const SAMPLES: usize = 60_000;

/// A network to time, with its batch size and learning rate.
#[derive(Clone, Debug)]
pub struct BenchNetwork {
    /// Its name.
    pub name: &'static str,
    /// Its sizes and options.
    pub spec: NetworkSpec,
    /// Samples of a batch.
    pub batch_size: usize,
    /// Adam's learning rate.
    pub lr: f64,
}

impl BenchNetwork {
    /// The five networks: the default one, the study's final model, a wide one without batch norm, one with small
    /// batches, and one with a narrow layer.
    pub fn all() -> [BenchNetwork; 5] {
        let default = |name, width, batch_size| BenchNetwork {
            name,
            spec: NetworkSpec {
                inputs: 784,
                hidden: vec![width],
                outputs: 10,
                batch_norm: true,
                activation: Activation::Relu,
                dropout: 0.0,
                order: Order::DropoutActivation,
                members: 1,
                embedding: None,
            },
            batch_size,
            lr: 1e-3,
        };
        let mut last = default("final", 569, 122);
        last.spec.hidden = hidden_widths(569, 8, true);
        last.spec.dropout = 0.333;
        last.lr = 2e-3;
        let mut big = default("big", 1000, 128);
        big.spec.hidden = vec![1000; 3];
        big.spec.dropout = 0.2;
        big.spec.batch_norm = false;
        [
            default("baseline", 500, 100),
            last,
            big,
            default("small16", 500, 16),
            default("w50", 50, 100),
        ]
    }

    /// Floating-point operations of a step's products. For each weight and sample there are 2 in the forward pass and 2
    /// for the weight's gradient. Layers after the first have 2 more for the input's gradient.
    pub fn flops(&self) -> f64 {
        let layers = self.spec.layers();
        let each = layers.iter().enumerate().map(|(layer, (inputs, outputs))| {
            let products = if layer == 0 { 4 } else { 6 };
            products * inputs * outputs
        });
        (each.sum::<usize>() * self.batch_size) as f64
    }
}

/// The time of a step, and a bound for it: the time of its products and then of the optimiser's memory traffic, both at
/// the machine's limits.
///
/// The bound of the products is their multiply-adds at the peak of their precision. The bound of the optimiser is
/// [`BYTES_PER_PARAMETER`] at the bandwidth of the cache, or of memory if the arrays do not fit into the cache. The
/// bounds ignore the traffic of activations. They also ignore that a backend may give gradients to the optimiser
/// without storing them, which saves 4 of the 28 bytes.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// The measured time.
    #[serde(flatten)]
    pub time: StepTime,
    /// The precision of the factors of products.
    pub precision: ProductPrecision,
    /// The number of threads.
    pub threads: usize,
    /// Seconds of the products at the machine's peak.
    pub bound_products: f64,
    /// Seconds of the optimiser's memory traffic at the measured bandwidth.
    pub bound_optimizer: f64,
    /// The sum of both bounds in percent of the measured time.
    pub percent_of_bound: f64,
}

/// The time of a training step.
#[derive(Clone, Debug, Serialize)]
pub struct StepTime {
    /// The network's name.
    pub name: &'static str,
    /// Its sizes and options in words.
    pub network: String,
    /// The number of its parameters.
    pub parameters: usize,
    /// Samples of a batch.
    pub batch_size: usize,
    /// Median seconds of a step.
    pub seconds: f64,
    /// Seconds of an epoch of [`SAMPLES`] samples.
    pub epoch_seconds: f64,
    /// Floating-point operations of the products per second of the whole step.
    pub flops_per_second: f64,
    /// Each thread's part of the work at the end, of 1. Empty if threads do not divide it by their speeds.
    pub parts: Vec<f64>,
}

/// Times training steps of a network on random pixels and labels.
///
/// `threads` and `precision` are those of `backend`.
///
/// # Errors
/// If the device fails, if a loss is not finite, or if `peak` was not measured on that number of threads.
pub fn measure<B: Backend<Real = f32>>(
    backend: B,
    (threads, precision): (usize, ProductPrecision),
    network: &BenchNetwork,
    pixels: &Pixels,
    (machine, peak): (&Machine, &Peak),
    repeats: Repeats,
) -> Result<StepReport> {
    let time = time(backend, network, pixels, repeats, 1)?;
    let unmeasured = || Error::Check(format!("no peak was measured on {threads} threads"));
    let flops = peak.flops_on(threads, precision).ok_or_else(unmeasured)?;
    let bandwidth = peak
        .bandwidth_on(threads, time.parameters, machine)
        .ok_or_else(unmeasured)?;
    let bound_products = network.flops() / flops;
    let bound_optimizer = (BYTES_PER_PARAMETER * time.parameters) as f64 / bandwidth;
    Ok(StepReport {
        precision,
        threads,
        bound_products,
        bound_optimizer,
        percent_of_bound: 100.0 * (bound_products + bound_optimizer) / time.seconds,
        time,
    })
}

/// Times training steps of a network on random pixels and labels. `together` is the number of steps before the host
/// waits for their losses.
///
/// # Errors
/// If the device fails, or if a loss is not finite.
pub fn time<B: Backend<Real = f32>>(
    backend: B,
    network: &BenchNetwork,
    pixels: &Pixels,
    repeats: Repeats,
    together: usize,
) -> Result<StepTime> {
    let mut runner = Runner::new(backend, network, pixels)?;
    let mut outcome = Ok(());
    let mut seconds = timing::seconds_per_call(repeats, &mut || {
        if outcome.is_ok() {
            outcome = runner.steps(together);
        }
    });
    outcome?;
    let seconds = timing::median(&mut seconds) / together as f64;
    Ok(StepTime {
        name: network.name,
        network: network.spec.describe(),
        parameters: runner.mlp.layout().parameter_count(),
        batch_size: network.batch_size,
        seconds,
        epoch_seconds: seconds * SAMPLES as f64 / network.batch_size as f64,
        flops_per_second: network.flops() / seconds,
        parts: runner.mlp.backend().parts(),
    })
}

/// Random samples, [`SAMPLES`] in number as in Fashion-MNIST's training part, so that a batch's rows are read from
/// memory and not from cache.
#[derive(Clone, Debug)]
pub struct Pixels {
    samples: Samples,
    normalizer: Normalizer,
}

impl Pixels {
    /// Samples of `width` random values each, with labels of `classes` classes.
    pub fn random(width: usize, classes: u32) -> Self {
        let words = |stream: u32, count: usize| {
            (0..count.div_ceil(4) as u32)
                .flat_map(move |i| rng::philox4x32([i, stream, 0, 0], [0; 2]))
        };
        let bytes = words(0, SAMPLES * width / 4).flat_map(u32::to_le_bytes);
        let labels = words(1, SAMPLES).take(SAMPLES).map(|word| word % classes);
        Pixels {
            samples: Samples {
                features: Features::U8(bytes.take(SAMPLES * width).collect()),
                width,
                labels: Labels::Classes(labels.collect()),
                weights: None,
            },
            normalizer: Normalizer {
                scale: vec![1.0 / 255.0; width],
                shift: vec![0.0; width],
            },
        }
    }
}

/// A network in training.
struct Runner<'a, B: Backend> {
    mlp: Mlp<B>,
    feed: Feed<B>,
    rows: Rows<B>,
    pixels: &'a Pixels,
    lr: f64,
    optimizer: Optimizer,
    loss: Loss,
    number: usize,
    losses: Vec<BatchLoss>,
}

impl<'a, B: Backend<Real = f32>> Runner<'a, B> {
    fn new(backend: B, network: &BenchNetwork, pixels: &'a Pixels) -> Result<Self> {
        let (params, running) = init::draw(&network.spec, Init::default(), 0);
        let mut mlp = Mlp::new(backend, network.spec.clone(), network.batch_size)?;
        mlp.load(&params, &running)?;
        let normalizer = pixels.normalizer.clone();
        let feed = Feed::new(mlp.backend(), normalizer, network.batch_size)?;
        // Consecutive rows are far from each other in memory, as after a shuffle. The stride is a prime that does not
        // divide the number of samples, so that every sample is used once.
        const STRIDE: u64 = 15_485_863;
        let place = |i: u64| (i * STRIDE % SAMPLES as u64) as u32;
        let order = (0..SAMPLES as u64).map(place).collect();
        Ok(Runner {
            rows: feed.rows(mlp.backend(), &pixels.samples, order)?,
            mlp,
            feed,
            pixels,
            lr: network.lr,
            optimizer: Optimizer::default(),
            loss: Loss::default(),
            number: 0,
            losses: Vec::with_capacity(B::PENDING_LOSSES),
        })
    }

    /// Runs `count` steps on the next batches and waits for their losses.
    fn steps(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.step()?;
            if self.mlp.pending_losses() == B::PENDING_LOSSES {
                self.finish_losses()?;
            }
        }
        self.finish_losses()
    }

    /// Waits for the losses of the last steps.
    fn finish_losses(&mut self) -> Result<()> {
        self.mlp.finish_losses(&mut self.losses)?;
        let finite = self.losses.iter().all(|l| l.objective.is_finite());
        self.losses.clear();
        if finite {
            return Ok(());
        }
        // A step without a finite loss changes no weight. Its time would be too short.
        Err(Error::Check(format!(
            "a step before the {}th has no finite loss",
            self.number + 1
        )))
    }

    fn step(&mut self) -> Result<()> {
        let size = self.mlp.capacity();
        let first = self.number % (SAMPLES / size) * size;
        let batch = first..first + size;
        let targets = self.rows.targets(batch.clone())?;
        let samples = &self.pixels.samples;
        let x = self
            .feed
            .batch(self.mlp.backend(), samples, &self.rows, batch, None)?;
        let update = Update {
            number: self.number as u64,
            lr: self.lr,
            seed: 0,
            loss: &self.loss,
            optimizer: &self.optimizer,
            clip_norm: 0.0,
        };
        self.number += 1;
        self.mlp.start_step(x, targets, &update)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::Plain;
    use crate::bench::peak::{Bandwidth, Speed};

    /// 784-500-10, batch 100: 392,000 weights at 4 and 5,000 at 6 operations a sample.
    #[test]
    fn operations_by_hand() {
        let [baseline, last, big, small, narrow] = BenchNetwork::all();
        assert_eq!(baseline.flops(), 100.0 * (4.0 * 392_000.0 + 6.0 * 5_000.0));
        assert_eq!(small.flops(), 16.0 * (4.0 * 392_000.0 + 6.0 * 5_000.0));
        assert_eq!(narrow.flops(), 100.0 * (4.0 * 39_200.0 + 6.0 * 500.0));
        assert_eq!(big.flops(), 128.0 * (4.0 * 784_000.0 + 6.0 * 2_010_000.0));
        assert_eq!(last.spec.hidden, [569, 488, 407, 326, 245, 164, 83]);
    }

    #[test]
    fn a_step_and_its_bound() {
        let speed = Speed {
            threads: 1,
            per_second: 1e9,
        };
        let bandwidth = Bandwidth { bytes: 1, speed };
        let peak = Peak {
            f32_flops: vec![speed],
            bf16_flops: None,
            cache_bytes: vec![bandwidth],
            memory_bytes: vec![],
        };
        let machine = Machine {
            cpu: None,
            cores: 1,
            threads: 1,
            instruction_set: "portable",
            last_level_cache: None,
        };
        let [.., mut network] = BenchNetwork::all();
        network.spec.inputs = 6;
        network.spec.hidden = vec![5];
        let repeats = Repeats {
            count: 3,
            duration: Duration::ZERO,
        };
        let pixels = Pixels::random(6, 10);
        let on = |threads| {
            measure(
                Plain::new(threads),
                (threads, ProductPrecision::F32),
                &network,
                &pixels,
                (&machine, &peak),
                repeats,
            )
        };
        let step = on(1).unwrap();
        // 6·5 + 5 weights and biases, 2·5 of the batch norm, 5·10 + 10.
        assert_eq!(step.time.parameters, 105);
        assert!((step.bound_products - 100.0 * (4.0 * 30.0 + 6.0 * 50.0) / 1e9).abs() <= 1e-15);
        assert!((step.bound_optimizer - 28.0 * 105.0 / 1e9).abs() <= 1e-15);
        assert!(step.time.seconds.is_finite() && step.time.seconds > 0.0);
        assert!((step.time.epoch_seconds / step.time.seconds - 600.0).abs() <= 1e-9);
        assert!(on(2).is_err(), "no peak on two threads");
    }
}
