//! A training step allocates no memory and starts no thread: everything it needs is allocated with the network.

#[cfg(all(feature = "cuda", target_os = "linux", target_env = "gnu"))]
#[path = "../cuda/emulator.rs"]
#[allow(dead_code)]
mod emulator;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use chainrule::backend::{Fused, Input, Order, ProductPrecision};
use chainrule::nn::init::{self, Init};
use chainrule::nn::spec::hidden_widths;
use chainrule::nn::{FeatureEmbedding, Mlp, NetworkSpec, Update};
use chainrule::ops::activation::Activation;
use chainrule::ops::loss::Loss;
use chainrule::optim::Optimizer;

/// The system's allocator, with a counter of allocations.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn spec(hidden: Vec<usize>, dropout: f64, batch_norm: bool) -> NetworkSpec {
    NetworkSpec {
        inputs: 784,
        hidden,
        outputs: 10,
        batch_norm,
        activation: Activation::Relu,
        dropout,
        order: Order::DropoutActivation,
        members: 1,
        embedding: None,
    }
}

/// Allocations in steps 3 to 50.
fn count(spec: NetworkSpec, batch: usize, threads: usize, precision: ProductPrecision) -> usize {
    let (params, running) = init::draw(&spec, Init::default(), 0);
    let mut mlp = Mlp::new(Fused::on_up_to(threads, precision).unwrap(), spec, batch).unwrap();
    mlp.load(&params, &running).unwrap();
    let data: Vec<u8> = (0..batch * 784).map(|i| (i * 37 % 251) as u8).collect();
    let rows: Vec<u32> = (0..batch as u32).collect();
    let labels: Vec<u32> = rows.iter().map(|i| i % 10).collect();
    let (scale, shift) = (vec![1.0 / 255.0; 784], vec![0.0; 784]);
    let (optimizer, loss) = (Optimizer::default(), Loss::default());
    let mut before = 0;
    for number in 0..50 {
        if number == 2 {
            before = ALLOCATIONS.load(Ordering::SeqCst);
        }
        let x = Input::Pixels {
            next: &[],
            data: &data,
            rows: &rows,
            scale: &scale,
            shift: &shift,
        };
        let update = Update {
            number,
            lr: 1e-3,
            seed: 0,
            loss: &loss,
            optimizer: &optimizer,
            clip_norm: 0.0,
        };
        assert!(
            mlp.train_step(x, &labels, &update)
                .unwrap()
                .objective
                .is_finite()
        );
    }
    ALLOCATIONS.load(Ordering::SeqCst) - before
}

/// Allocations of this process in steps 3 to 50 on the emulated device, with the samples in device memory.
#[cfg(all(feature = "cuda", target_os = "linux", target_env = "gnu"))]
fn count_on_a_device() -> usize {
    use chainrule::backend::Cuda;
    use chainrule::data::{Features, Normalizer, Samples};
    use chainrule::nn::Feed;

    emulator::preload();
    let config: chainrule::settings::Settings =
        toml::from_str("[model]\nwidths = [20, 10]\ndropout = 0.2\n[train]\nbatch_size = 15\n")
            .unwrap();
    let config = chainrule::settings::Config::new(&config).unwrap();
    let spec = config.network(30, 10).unwrap();
    let (params, running) = init::draw(&spec, Init::default(), 0);
    let mut mlp = Mlp::new(Cuda::new(0).unwrap(), spec, 15).unwrap();
    mlp.load(&params, &running).unwrap();
    let samples = Samples {
        features: Features::U8((0..60 * 30).map(|i| (i * 37 % 251) as u8).collect()),
        width: 30,
        labels: chainrule::data::Labels::Classes((0..60).map(|i| i % 10).collect()),
        weights: None,
    };
    let mut feed = Feed::new(mlp.backend(), Normalizer::identity(30), 15).unwrap();
    let order = (0..60).rev().collect();
    let rows = feed.rows(mlp.backend(), &samples, order).unwrap();
    let (mut losses, mut before) = (Vec::with_capacity(50), 0);
    for number in 0..50 {
        if number == 2 {
            // The first call of a driver function looks up its address.
            mlp.finish_losses(&mut losses).unwrap();
            before = ALLOCATIONS.load(Ordering::SeqCst);
        }
        let batch = (number % 4) * 15..(number % 4 + 1) * 15;
        let targets = rows.targets(batch.clone()).unwrap();
        let x = feed.batch(mlp.backend(), &samples, &rows, batch, None);
        let update = Update {
            number: number as u64,
            lr: 1e-3,
            seed: 0,
            loss: &config.loss,
            optimizer: &config.optimizer,
            clip_norm: if number % 2 == 0 { 0.0 } else { 1.0 },
        };
        mlp.start_step(x.unwrap(), targets, &update).unwrap();
    }
    mlp.finish_losses(&mut losses).unwrap();
    let after = ALLOCATIONS.load(Ordering::SeqCst);
    assert!(losses.len() == 50 && losses.iter().all(|l| l.objective.is_finite()));
    after - before
}

/// The only test of this program, and without the standard harness: allocations of another test would count, and those
/// of the harness, which says of a test that takes a minute that it does.
fn main() {
    #[cfg(all(feature = "cuda", target_os = "linux", target_env = "gnu"))]
    assert_eq!(count_on_a_device(), 0, "on a device");
    let kept = std::hint::black_box(Box::new(1));
    assert!(
        ALLOCATIONS.load(Ordering::SeqCst) > 0,
        "the counter counts {kept}"
    );
    // What this processor allocates does not depend on a device, and without optimisation it takes very long.
    if !cfg!(all(
        feature = "cuda",
        target_os = "linux",
        target_env = "gnu"
    )) {
        check_networks();
    }
    println!("steps 3 to 50 allocate nothing");
}

/// Networks of every kind, on one thread and on two.
fn check_networks() {
    for threads in [1, 2] {
        let members = NetworkSpec {
            members: 5,
            embedding: Some(FeatureEmbedding {
                spans: vec![0..48, 50..90],
                width: 7,
            }),
            ..spec(vec![50], 0.1, false)
        };
        for (name, spec, batch) in [
            ("baseline", spec(vec![500], 0.0, true), 100),
            ("final", spec(hidden_widths(569, 8, true), 0.333, true), 122),
            ("big", spec(vec![1000; 3], 0.2, false), 128),
            ("small16", spec(vec![500], 0.0, true), 16),
            ("w50", spec(vec![50], 0.0, true), 100),
            ("members", members, 33),
        ] {
            for precision in [ProductPrecision::F32, ProductPrecision::Bf16] {
                let found = count(spec.clone(), batch, threads, precision);
                assert_eq!(found, 0, "{name} on {threads}, {precision:?}");
            }
        }
    }
}
