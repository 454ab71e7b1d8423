//! Gradients against central differences, for a whole network, in f64.
//!
//! The network's logits Z are turned into one number by a random upstream gradient U, `$f = \langle U, Z \rangle$`. A
//! sum of plain ones would hide errors that cancel. For each parameter tensor and the input,
//!
//! ```math
//! \frac{\partial f}{\partial \theta_i} \quad\text{against}\quad
//! \frac{f(\theta + h e_i) - f(\theta - h e_i)}{2h}, \qquad h = 10^{-5} \max(1, |\theta_i|)
//! ```
//!
//! whose own error is `$O(h^2)$` from the series plus `$O(\epsilon |f| / h)$` from rounding, about `$10^{-10}$` of the
//! size of f each. Hence the relative error of an entry is `$|a - n| / \max(|a|, |n|, F)$` with
//! `$F = 10^{-5} \max(1, \sum |U \circ Z|)$`: smaller derivatives cannot be told from rounding. The bias of a Linear
//! before a batch norm is such a case: its gradient is exactly 0.
//!
//! Where a relu's input changes sign between the two points the difference measures the kink and not the derivative.
//! Such entries are skipped and counted.
//!
//! Of an ensemble the logits of all members are taken, each with its own U.
//!
//! One more check moves all parameters at once along a random direction d, `$\langle \nabla f, d \rangle$`. Another
//! compares the loss's gradient by the logits, with its options, once without sample weights and once with.
//!
//! A backend in f32 is checked against the same differences, those of the f64 network, at parameters and inputs that
//! f32 holds exactly. What then limits the comparison is the rounding of the gradient itself, about `$10^{-6}$` of the
//! sizes that cancel in it: F's factor is `$10^{-2}$` then. Where a relu's input is so near 0 that f32 and f64
//! disagree about its sign, every gradient behind it differs. Deep networks on few rows fail for this reason alone.

use rand::distr::StandardUniform;
use rand::{Rng, RngExt};

use super::init::{self, Init};
use super::random_targets::RandomTargets;
use super::{Mlp, NetworkSpec};
use crate::backend::{Backend, Input, Mode, Plain, Sink};
use crate::error::{Error, Result};
use crate::ops::loss::{Loss, Targets};
use crate::real::Real;
use crate::rng::{self, Purpose};

/// The number of directions that the directional check tries before it gives up: each may cross a kink.
const DIRECTIONS: usize = 10;
/// The factor of F for gradients in f32.
const SINGLE: f64 = 1e-2;
/// The factor of F for gradients in f64.
const DOUBLE: f64 = 1e-5;
/// Step along a direction whose entries are of size 1: small, as every unit moves and any of them may cross its kink.
const DIRECTION_STEP: f64 = 1e-6;

/// More parameters, or values of a batch in all layers, than this are refused: half a gigabyte a copy.
const MAX_VALUES: usize = 1 << 26;

/// What to check and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows of the random batch.
    pub rows: usize,
    /// Seeded entries per tensor; `None` checks every one.
    pub entries: Option<usize>,
    /// Seed of weights, inputs, upstream gradient, masks and chosen entries.
    pub seed: u64,
    /// The largest relative error that passes.
    pub limit: f64,
    /// Initial weights.
    pub init: Init,
    /// The loss.
    pub loss: Loss,
    /// Threads of the network in f64.
    pub threads: usize,
}

/// The result for one tensor.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TensorReport {
    /// "0.weight", …, "input", "direction", "loss by logits", "weighted loss".
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Entries compared.
    pub checked: usize,
    /// Entries left out because a kink lay between the two points.
    pub skipped: usize,
    /// The largest relative error; `None` if nothing could be compared.
    pub worst: Option<f64>,
    /// Where it is.
    pub at: Vec<usize>,
    /// The backward's value there.
    pub analytic: f64,
    /// The central difference there.
    pub numeric: f64,
}

/// The result for a network.
#[derive(Clone, Debug, serde::Serialize)]
pub struct GradientReport {
    /// One row a tensor.
    pub tensors: Vec<TensorReport>,
    /// The limit that was asked for.
    pub limit: f64,
}

impl GradientReport {
    /// Whether every tensor was compared and is within the limit. NaN is not.
    pub fn passed(&self) -> bool {
        self.tensors
            .iter()
            .all(|t| t.worst.is_some_and(|w| w <= self.limit))
    }
}

impl TensorReport {
    fn new(name: &str, shape: &[usize]) -> Self {
        TensorReport {
            name: name.to_owned(),
            shape: shape.to_vec(),
            checked: 0,
            skipped: 0,
            worst: None,
            at: Vec::new(),
            analytic: 0.0,
            numeric: 0.0,
        }
    }

    /// Takes one comparison in; a NaN is worse than any number and stays.
    fn compare(&mut self, index: usize, analytic: f64, numeric: f64, floor: f64) {
        let error = (analytic - numeric).abs() / analytic.abs().max(numeric.abs()).max(floor);
        self.checked += 1;
        if self.worst.is_none_or(|w| error.is_nan() || error > w)
            && !self.worst.is_some_and(f64::is_nan)
        {
            self.worst = Some(error);
            self.at = position(index, &self.shape);
            (self.analytic, self.numeric) = (analytic, numeric);
        }
    }
}

/// The indices of a flat position in a row-major tensor.
fn position(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (at, &size) in at.iter_mut().zip(shape).rev() {
        *at = index % size;
        index /= size;
    }
    at
}

/// The network at one point, and the sign pattern of its kinked units there.
struct Probe {
    mlp: Mlp<Plain<f64>>,
    params: Vec<f64>,
    running: Vec<f64>,
    x: Vec<f64>,
    upstream: Vec<f64>,
    mode: Mode,
    rows: usize,
    signs: [Vec<bool>; 2],
}

impl Probe {
    /// Moves the point to one that R holds exactly.
    fn round<R: Real>(&mut self) {
        for values in [
            &mut self.params,
            &mut self.running,
            &mut self.x,
            &mut self.upstream,
        ] {
            *values = widen(&cast::<R>(values));
        }
    }

    /// Rows of the logits: every member's.
    fn logit_rows(&self) -> usize {
        self.mlp.spec().members * self.rows
    }

    fn forward(&mut self) -> Result<()> {
        self.mlp.load(&self.params, &self.running)?;
        self.mlp.forward(
            Input::Values {
                buf: &self.x,
                rows: self.rows,
            },
            self.mode,
        )
    }

    /// f at the current point; `slot` receives the signs.
    fn value(&mut self, slot: usize) -> Result<f64> {
        self.forward()?;
        let (rows, members) = (self.rows, self.mlp.spec().members);
        self.signs[slot].clear();
        for member in 0..members {
            if !self.mlp.spec().activation.has_kink() {
                break;
            }
            // Saved are the values of the member that was computed last.
            let buf = &self.x;
            let input = Input::Values { buf, rows };
            self.mlp.forward_member(member, input, self.mode)?;
            let signs = &mut self.signs[slot];
            for (saved, block) in self.mlp.saved().iter().zip(&self.mlp.layout().blocks) {
                if block.hidden().is_some() {
                    let pre = &saved.pre_activation()[..rows * block.outputs];
                    signs.extend(pre.iter().map(|&x| x > 0.0));
                }
            }
        }
        let logits = self.mlp.logits(self.logit_rows())?;
        Ok(logits.iter().zip(&self.upstream).map(|(z, u)| z * u).sum())
    }

    /// The central difference with `move_by(probe, ±h)`, or `None` across a kink.
    fn difference(&mut self, h: f64, move_by: impl Fn(&mut Self, f64)) -> Result<Option<f64>> {
        move_by(self, h);
        let above = self.value(0)?;
        move_by(self, -h);
        let below = self.value(1)?;
        move_by(self, 0.0);
        let smooth = self.signs[0] == self.signs[1];
        Ok(smooth.then_some((above - below) / (2.0 * h)))
    }
}

/// Checks every gradient of a network on the readable backend in f64. See the [module's docs](self).
///
/// # Errors
/// If the network is invalid, or a batch norm would see a batch of one.
pub fn gradcheck(spec: &NetworkSpec, options: &Options) -> Result<GradientReport> {
    gradcheck_on(Plain::<f64>::new(options.threads), spec, options)
}

/// Checks the gradients that a backend computes. See the [module's docs](self).
///
/// # Errors
/// As [`gradcheck`], or if the device fails.
pub fn gradcheck_on<B: Backend>(
    backend: B,
    spec: &NetworkSpec,
    options: &Options,
) -> Result<GradientReport> {
    if options.rows == 0 || (spec.has_batch_norm() && options.rows == 1) {
        let message = format!(
            "expected at least 2 rows (batch norm), found {}",
            options.rows
        );
        return Err(Error::setting("train.batch_size (--batch-size)", message));
    }
    check_size(spec, options.rows)?;
    let mut rng = rng::stream(options.seed, Purpose::GradCheck);
    let mut probe = probe(spec, options, &mut rng)?;
    let mut checked = Checked::new(backend, spec, options.rows)?;
    probe.round::<B::Real>();
    let (dparams, dx) = checked.gradients(&probe)?;
    probe.forward()?;
    let floor = {
        let logits = probe.mlp.logits(probe.logit_rows())?;
        let size: f64 = logits
            .iter()
            .zip(&probe.upstream)
            .map(|(z, u)| (z * u).abs())
            .sum();
        Checked::<B>::FLOOR * size.max(1.0)
    };

    let mut tensors = Vec::new();
    for tensor in probe.mlp.layout().params.clone() {
        let mut report = TensorReport::new(&tensor.name, &tensor.shape);
        for i in chosen(tensor.range.len(), options.entries, &mut rng) {
            let at = tensor.range.start + i;
            let old = probe.params[at];
            let h = 1e-5 * old.abs().max(1.0);
            match probe.difference(h, |p, by| p.params[at] = old + by)? {
                Some(numeric) => report.compare(i, dparams[at], numeric, floor),
                None => report.skipped += 1,
            }
        }
        tensors.push(report);
    }
    let mut report = TensorReport::new("input", &[options.rows, spec.inputs]);
    for i in chosen(probe.x.len(), options.entries, &mut rng) {
        let old = probe.x[i];
        let h = 1e-5 * old.abs().max(1.0);
        match probe.difference(h, |p, by| p.x[i] = old + by)? {
            Some(numeric) => report.compare(i, dx[i], numeric, floor),
            None => report.skipped += 1,
        }
    }
    tensors.push(report);
    tensors.push(direction(&mut probe, &dparams, floor, &mut rng)?);
    let both = [false, true].into_iter();
    for weighted in both.filter(|weighted| !weighted || B::WEIGHS_SAMPLES) {
        tensors.push(loss(&mut probe, &mut checked, options, weighted, &mut rng)?);
    }
    Ok(GradientReport {
        tensors,
        limit: options.limit,
    })
}

/// Refuses what would take gigabytes, and days.
fn check_size(spec: &NetworkSpec, rows: usize) -> Result<()> {
    spec.validate()?;
    let parameters = spec.parameters_at_most();
    if parameters > MAX_VALUES as f64 {
        let message =
            format!("expected at most {MAX_VALUES} parameters to check, found {parameters}");
        return Err(Error::setting("model.width (--width)", message));
    }
    let layers = spec.layers();
    let outputs = layers.iter().map(|(_, outputs)| outputs).sum::<usize>();
    let values = spec.inputs + spec.first_width() + spec.members * outputs;
    let most = MAX_VALUES / values;
    if rows > most {
        let message = format!("expected at most {most} rows of {values} values, found {rows}");
        return Err(Error::setting("train.batch_size (--batch-size)", message));
    }
    Ok(())
}

/// A network at a random point.
///
/// No parameter is at a special value (γ = 1, b = 0), where a wrong formula might look right.
fn probe(spec: &NetworkSpec, options: &Options, rng: &mut impl Rng) -> Result<Probe> {
    let mlp = Mlp::new(
        Plain::<f64>::new(options.threads),
        spec.clone(),
        options.rows,
    )?;
    let (mut params, running) = init::draw(spec, options.init, options.seed);
    if let Some(stem) = &mlp.layout().stem {
        for x in params[stem.parameters.clone()].iter_mut() {
            let unit: f64 = rng.sample(StandardUniform);
            *x += unit - 0.5;
        }
    }
    for block in &mlp.layout().blocks {
        for x in params[block.linear.bias.start..block.parameters().end].iter_mut() {
            let unit: f64 = rng.sample(StandardUniform);
            *x += unit - 0.5;
        }
    }
    let mut normal = |n: usize| -> Vec<f64> { (0..n).map(|_| rng::standard_normal(rng)).collect() };
    Ok(Probe {
        params,
        running,
        x: normal(options.rows * spec.inputs),
        upstream: normal(options.rows * spec.members * spec.outputs),
        mode: Mode::Train {
            seed: options.seed,
            step: 0,
        },
        rows: options.rows,
        signs: Default::default(),
        mlp,
    })
}

/// The network whose explicit backward is checked.
struct Checked<B: Backend> {
    mlp: Mlp<B>,
    rows: usize,
}

fn cast<R: Real>(values: &[f64]) -> Vec<R> {
    values.iter().map(|&x| R::from_f64(x)).collect()
}

fn widen<R: Real>(values: &[R]) -> Vec<f64> {
    values.iter().map(|x| x.to_f64()).collect()
}

impl<B: Backend> Checked<B> {
    const IS_SINGLE: bool = size_of::<B::Real>() == 4;
    const FLOOR: f64 = if Self::IS_SINGLE { SINGLE } else { DOUBLE };

    fn new(backend: B, spec: &NetworkSpec, rows: usize) -> Result<Self> {
        let mlp = Mlp::new(backend, spec.clone(), rows)?;
        Ok(Checked { mlp, rows })
    }

    fn buffer(&self, values: &[f64]) -> Result<B::Buf> {
        let mut buf = self.mlp.backend().alloc(values.len())?;
        self.mlp.backend().upload(&mut buf, &cast(values))?;
        Ok(buf)
    }

    fn read(&self, buf: &B::Buf, len: usize) -> Result<Vec<f64>> {
        let mut values = vec![B::Real::default(); len];
        self.mlp.backend().download(&mut values, buf)?;
        Ok(widen(&values))
    }

    /// Gradients of all parameters and of the input.
    fn gradients(&mut self, probe: &Probe) -> Result<(Vec<f64>, Vec<f64>)> {
        let (buf, mode, rows) = (&self.buffer(&probe.x)?, probe.mode, self.rows);
        let mut dx = self.buffer(&vec![f64::NAN; probe.x.len()])?;
        self.mlp.load(&cast(&probe.params), &cast(&probe.running))?;
        self.mlp.forward(Input::Values { buf, rows }, mode)?;
        self.mlp.set_upstream(&cast(&probe.upstream))?;
        let x = Input::Values { buf, rows };
        self.mlp.backward(x, mode, Sink::Store, Some(&mut dx))?;
        let grads = widen(&self.mlp.read(|s| &s.grads)?);
        Ok((grads, self.read(&dx, probe.x.len())?))
    }

    /// The gradient of the loss by the logits.
    fn dlogits(&mut self, logits: &[f64], targets: Targets<'_>, loss: &Loss) -> Result<Vec<f64>> {
        let mut dlogits = self.buffer(&vec![f64::NAN; logits.len()])?;
        let (buf, outputs) = (self.buffer(logits)?, self.mlp.spec().outputs);
        let (backend, out) = (self.mlp.backend(), Some(&mut dlogits));
        backend.start_loss(&buf, outputs, targets.into(), loss, out)?;
        backend.finish_losses(&mut Vec::new())?;
        self.read(&dlogits, logits.len())
    }
}

/// Distinct seeded positions below `len`, ascending; all of them if `entries` is `None` or not below `len`.
fn chosen(len: usize, entries: Option<usize>, rng: &mut impl Rng) -> Vec<usize> {
    match entries {
        Some(entries) if entries < len => {
            let mut all: Vec<usize> = rand::seq::index::sample(rng, len, entries).into_vec();
            all.sort_unstable();
            all
        }
        _ => (0..len).collect(),
    }
}

/// One random direction over all parameters.
fn direction(
    probe: &mut Probe,
    dparams: &[f64],
    floor: f64,
    rng: &mut impl Rng,
) -> Result<TensorReport> {
    let mut report = TensorReport::new("direction", &[dparams.len()]);
    let start = probe.params.clone();
    for _ in 0..DIRECTIONS {
        let d: Vec<f64> = (0..start.len())
            .map(|_| rng::standard_normal(rng))
            .collect();
        let along = dparams.iter().zip(&d).map(|(g, d)| g * d).sum();
        let numeric = probe.difference(DIRECTION_STEP, |p, by| {
            for ((p, start), d) in p.params.iter_mut().zip(&start).zip(&d) {
                *p = start + by * d;
            }
        })?;
        match numeric {
            Some(numeric) => {
                // Rounding is divided by a smaller step here.
                report.compare(0, along, numeric, floor * 1e-5 / DIRECTION_STEP);
                break;
            }
            None => report.skipped += 1,
        }
    }
    Ok(report)
}

/// The loss's own gradient by the logits, those of the first member, with sample weights or without.
fn loss<B: Backend>(
    probe: &mut Probe,
    checked: &mut Checked<B>,
    options: &Options,
    weighted: bool,
    rng: &mut impl Rng,
) -> Result<TensorReport> {
    let (outputs, rows) = (probe.mlp.spec().outputs, probe.rows);
    probe.forward()?;
    let mut logits = widen(&cast::<B::Real>(&probe.mlp.logits(rows)?));
    let random = RandomTargets::draw(&options.loss, &logits, [rows, outputs], rng);
    let targets = random.targets(weighted);
    options.loss.check(outputs, targets)?;
    let name = match weighted {
        false => "loss by logits",
        true => "weighted loss",
    };
    let mut report = TensorReport::new(name, &[rows, outputs]);
    let dlogits = checked.dlogits(&logits, targets, &options.loss)?;
    let loss = |z: &[f64]| options.loss.compute(None, z, targets).objective;
    let value = loss(&logits);
    for i in chosen(logits.len(), options.entries, rng) {
        let (old, h) = (logits[i], 1e-5);
        logits[i] = old + h;
        let above = loss(&logits);
        logits[i] = old - h;
        let below = loss(&logits);
        logits[i] = old;
        report.compare(
            i,
            dlogits[i],
            (above - below) / (2.0 * h),
            Checked::<B>::FLOOR * value.max(1.0),
        );
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
