//! What the engine does where numbers end: one test for each row of the table in the documentation of `chainrule::nn`.
//!
//! Each test of a network runs on the plain backend in f32 and f64 and on the fused one, in f32 and with bf16 products.

mod runs;
mod steps;

use chainrule::backend::{Backend, Input, Mode, Order};
use chainrule::error::Result;
use chainrule::nn::{Mlp, NetworkSpec, Update};
use chainrule::ops::activation::Activation;
use chainrule::ops::loss::{BatchLoss, Loss, Targets};
use chainrule::optim::{Optimizer, Sgd};
use chainrule::real::Real;

/// Runs a test that is generic over the backend on each of them.
macro_rules! on_each_backend {
    ($test:ident) => {
        $test(chainrule::backend::Plain::<f32>::new(1));
        $test(chainrule::backend::Plain::<f64>::new(1));
        let fused = |precision| chainrule::backend::Fused::new(2, precision).unwrap();
        $test(fused(chainrule::backend::ProductPrecision::F32));
        $test(fused(chainrule::backend::ProductPrecision::Bf16));
    };
}
use on_each_backend;

/// Layers that compute x·W + b and nothing else.
fn linear(inputs: usize, hidden: &[usize], outputs: usize) -> NetworkSpec {
    NetworkSpec {
        inputs,
        hidden: hidden.to_vec(),
        outputs,
        batch_norm: false,
        activation: Activation::Identity,
        dropout: 0.0,
        order: Order::DropoutActivation,
        members: 1,
        embedding: None,
    }
}

/// A network and the rows that it is given.
struct Trial<B: Backend> {
    mlp: Mlp<B>,
    x: B::Buf,
    rows: usize,
}

impl<B: Backend> Trial<B> {
    /// Running statistics are mean 0 and variance 1.
    fn new(backend: B, spec: NetworkSpec, params: &[f64], x: &[f64]) -> Self {
        let rows = x.len() / spec.inputs;
        let mut mlp = Mlp::new(backend, spec, rows).unwrap();
        let statistics = mlp.layout().running_count();
        let running = [vec![0.0; statistics / 2], vec![1.0; statistics / 2]].concat();
        mlp.load(&rounded::<B>(params), &rounded::<B>(&running))
            .unwrap();
        let mut buf = mlp.backend().alloc(x.len()).unwrap();
        mlp.backend().upload(&mut buf, &rounded::<B>(x)).unwrap();
        Trial { mlp, x: buf, rows }
    }

    fn step<'t>(&mut self, targets: impl Into<Targets<'t>>, update: &Update<'_>) -> BatchLoss {
        self.try_step(targets, update).unwrap()
    }

    fn try_step<'t>(
        &mut self,
        targets: impl Into<Targets<'t>>,
        update: &Update<'_>,
    ) -> Result<BatchLoss> {
        let input = Input::Values {
            buf: &self.x,
            rows: self.rows,
        };
        self.mlp.train_step(input, targets, update)
    }

    fn forward(&mut self, mode: Mode) -> Result<()> {
        let input = Input::Values {
            buf: &self.x,
            rows: self.rows,
        };
        self.mlp.forward(input, mode)
    }

    fn logits(&mut self) -> Vec<f64> {
        self.forward(Mode::Eval).unwrap();
        widened(&self.mlp.logits(self.rows).unwrap())
    }

    fn params(&self) -> Vec<f64> {
        widened(&self.mlp.read(|s| &s.params).unwrap())
    }

    /// The bits of the parameters, of which none is NaN here.
    fn bits(&self) -> Vec<u64> {
        self.params().into_iter().map(f64::to_bits).collect()
    }
}

fn rounded<B: Backend>(values: &[f64]) -> Vec<B::Real> {
    values.iter().map(|&x| B::Real::from_f64(x)).collect()
}

fn widened<R: Real>(values: &[R]) -> Vec<f64> {
    values.iter().map(|x| x.to_f64()).collect()
}

fn all_finite(values: &[f64]) -> bool {
    values.iter().all(|x| x.is_finite())
}

fn sgd() -> Optimizer {
    Optimizer::Sgd(Sgd::default())
}

/// A first update with a rate of 1.
fn update<'a>(loss: &'a Loss, optimizer: &'a Optimizer, clip_norm: f64) -> Update<'a> {
    Update {
        number: 0,
        lr: 1.0,
        seed: 1,
        loss,
        optimizer,
        clip_norm,
    }
}
