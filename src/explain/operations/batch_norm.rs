//! Batch normalisation and its gradients ([`crate::ops::batch_norm`]).

use super::{SAMPLES, UNITS};
use crate::explain::expression::Expr;
use crate::explain::expression::Function::{Sqrt, Square};
use crate::explain::expression::Id;
use crate::explain::expression::Index::{I, J, K, Zero};
use crate::explain::expression::{of, sum};
use crate::explain::source::source;
use crate::explain::tape::{Grain, Part, Tape};
use crate::ops::batch_norm::{EPSILON, MOMENTUM, batch_norm_backward, batch_norm_forward};

/// A batch norm on a tape.
#[derive(Clone, Debug)]
pub(in crate::explain) struct BatchNormStep {
    /// The block's number, from 1.
    pub(in crate::explain) number: usize,
    /// What it normalises `[n, out]`.
    pub(in crate::explain) y: Id,
    /// γ `[1, out]`.
    pub(in crate::explain) gamma: Id,
    /// β `[1, out]`.
    pub(in crate::explain) beta: Id,
    /// The running mean `[1, out]`.
    pub(in crate::explain) running_mean: Id,
    /// The running variance `[1, out]`.
    pub(in crate::explain) running_var: Id,
}

/// What its forward leaves for its backward.
#[derive(Clone, Debug)]
pub(in crate::explain) struct Normalised {
    /// The output `[n, out]`.
    pub(in crate::explain) out: Id,
    x_hat: Id,
    rstd: Id,
    centred: Option<Id>,
}

impl BatchNormStep {
    fn epsilon() -> Expr {
        Expr::Named("ε", EPSILON)
    }

    /// Puts the normalised values and the new running statistics on the tape.
    pub(in crate::explain) fn forward(&self, tape: &mut Tape) -> Normalised {
        match tape.grain {
            Grain::Atomic => self.forward_atomic(tape),
            Grain::Fused => self.forward_fused(tape),
        }
    }

    fn begin_forward(&self, tape: &mut Tape) {
        let k = self.number;
        tape.begin(
            Part::Forward,
            format!("Batch norm {k}"),
            "Each column is moved to mean 0 and scaled to variance 1 by its own batch, then scaled by γ and moved by β, \
             which are learnt.",
        );
        tape.keeps(format!(
            "xhat{k} and rstd{k} are kept: with them the whole backward needs neither the input nor its mean."
        ));
        tape.source(source!("ops/batch_norm.rs", "pub fn batch_norm_forward"));
    }

    fn forward_atomic(&self, tape: &mut Tape) -> Normalised {
        let (k, y) = (self.number, self.y);
        let [n, features] = tape.shape(y);
        let (count, samples, units) = (samples(n), [n, features], [1, features]);
        self.begin_forward(tape);
        let mean = sum(I, n, y.at(I, J)) / count.clone();
        let mean = tape.put(format!("mean{k}"), UNITS, units, mean);
        let centred = y.at(I, J) - mean.at(Zero, J);
        let centred = tape.put(format!("centred{k}"), SAMPLES, samples, centred);
        let squared = of(Square, centred.at(I, J));
        let squared = tape.put(format!("squared{k}"), SAMPLES, samples, squared);
        let var = sum(I, n, squared.at(I, J)) / count;
        let var = tape.put(format!("var{k}"), UNITS, units, var);
        let rstd = 1.0 / of(Sqrt, var.at(Zero, J) + Self::epsilon());
        let rstd = tape.put(format!("rstd{k}"), UNITS, units, rstd);
        let x_hat = centred.at(I, J) * rstd.at(Zero, J);
        let x_hat = tape.put(format!("xhat{k}"), SAMPLES, samples, x_hat);
        let out = self.output(x_hat);
        let out = tape.put(format!("N{k}"), SAMPLES, samples, out);
        let [new_mean, new_var] = self.running(n, mean.at(Zero, J), var.at(Zero, J));
        self.begin_running(tape);
        tape.put(format!("rmean{k}_new"), UNITS, units, new_mean);
        tape.put(format!("rvar{k}_new"), UNITS, units, new_var);
        Normalised {
            out,
            x_hat,
            rstd,
            centred: Some(centred),
        }
    }

    fn forward_fused(&self, tape: &mut Tape) -> Normalised {
        let (k, y) = (self.number, self.y);
        let [n, features] = tape.shape(y);
        let (samples_shape, units) = ([n, features], [1, features]);
        let values = |id: Id| tape.node(id).values.clone();
        let (mut out, mut x_hat) = (values(y), values(y));
        let mut inv_std = vec![f64::NAN; features];
        let (mut mean, mut var) = (values(self.running_mean), values(self.running_var));
        let (gamma, beta) = (values(self.gamma), values(self.beta));
        let (y_values, o, h) = (values(y), &mut out, &mut x_hat);
        batch_norm_forward(
            o,
            h,
            &mut inv_std,
            &mut mean,
            &mut var,
            &y_values,
            &gamma,
            &beta,
        );

        self.begin_forward(tape);
        let batch_mean = || sum(K, n, y.at(K, J)) / samples(n);
        let deviation = || y.at(I, J) - batch_mean();
        let batch_var = || sum(I, n, of(Square, deviation())) / samples(n);
        let rstd = 1.0 / of(Sqrt, batch_var() + Self::epsilon());
        let rstd = tape.put_computed(format!("rstd{k}"), UNITS, units, rstd, inv_std);
        let expr = deviation() * rstd.at(Zero, J);
        let x_hat = tape.put_computed(format!("xhat{k}"), SAMPLES, samples_shape, expr, x_hat);
        let expr = self.output(x_hat);
        let out = tape.put_computed(format!("N{k}"), SAMPLES, samples_shape, expr, out);
        let [new_mean, new_var] = self.running(n, batch_mean(), batch_var());
        self.begin_running(tape);
        tape.put_computed(format!("rmean{k}_new"), UNITS, units, new_mean, mean);
        tape.put_computed(format!("rvar{k}_new"), UNITS, units, new_var, var);
        Normalised {
            out,
            x_hat,
            rstd,
            centred: None,
        }
    }

    fn begin_running(&self, tape: &mut Tape) {
        tape.begin(
            Part::Forward,
            format!("Batch norm {}: running statistics", self.number),
            "Evaluation has no batch, so it normalises with running means of the batches' statistics. Their variance is \
             the unbiased one, n/(n − 1) times that of the batch. No gradient flows through them.",
        );
    }

    fn output(&self, x_hat: Id) -> Expr {
        self.gamma.at(Zero, J) * x_hat.at(I, J) + self.beta.at(Zero, J)
    }

    /// The new running mean and variance.
    fn running(&self, n: usize, mean: Expr, var: Expr) -> [Expr; 2] {
        let keep = || Expr::Number(1.0 - MOMENTUM);
        let unbiased = var * (samples(n) / (samples(n) - 1.0));
        [
            keep() * self.running_mean.at(Zero, J) + MOMENTUM * mean,
            keep() * self.running_var.at(Zero, J) + MOMENTUM * unbiased,
        ]
    }

    /// Puts dγ, dβ and the input's gradient on the tape, from that of the output.
    pub(in crate::explain) fn backward(&self, tape: &mut Tape, saved: &Normalised, dn: Id) -> Id {
        let k = self.number;
        let says = match tape.grain {
            Grain::Atomic => format!(
                "An entry of Y{k} acts on xhat{k} in three ways: directly, through the mean, and through the variance. \
                 Each way has its own gradient here, and the last line adds them up."
            ),
            Grain::Fused => format!(
                "The three ways in which Y{k} acts on xhat{k} — directly, through the mean, through the variance — \
                 joined in one formula: from each column of the gradient its mean and its part along xhat{k} are \
                 removed."
            ),
        };
        tape.begin(Part::Backward, format!("Batch norm {k}"), says);
        tape.source(source!("ops/batch_norm.rs", "pub fn batch_norm_backward"));
        match saved.centred {
            Some(centred) => self.backward_atomic(tape, saved, centred, dn),
            None => self.backward_fused(tape, saved, dn),
        }
    }

    fn backward_atomic(&self, tape: &mut Tape, saved: &Normalised, centred: Id, dn: Id) -> Id {
        let (k, x_hat, rstd) = (self.number, saved.x_hat, saved.rstd);
        let [n, features] = tape.shape(dn);
        let (samples_shape, units) = ([n, features], [1, features]);
        let dgamma = sum(I, n, dn.at(I, J) * x_hat.at(I, J));
        tape.put(format!("dgamma{k}"), UNITS, units, dgamma);
        tape.put(format!("dbeta{k}"), UNITS, units, sum(I, n, dn.at(I, J)));
        let dx_hat = dn.at(I, J) * self.gamma.at(Zero, J);
        let dx_hat = tape.put(format!("dxhat{k}"), SAMPLES, samples_shape, dx_hat);
        let drstd = sum(I, n, dx_hat.at(I, J) * centred.at(I, J));
        let drstd = tape.put(format!("drstd{k}"), UNITS, units, drstd);
        let cube = of(Square, rstd.at(Zero, J)) * rstd.at(Zero, J);
        let dvar = tape.put(
            format!("dvar{k}"),
            UNITS,
            units,
            -0.5 * cube * drstd.at(Zero, J),
        );
        let dsquared = tape.put(
            format!("dsquared{k}"),
            SAMPLES,
            samples_shape,
            dvar.at(Zero, J) / samples(n),
        );
        let direct = dx_hat.at(I, J) * rstd.at(Zero, J);
        let through_variance = 2.0 * centred.at(I, J) * dsquared.at(I, J);
        let dcentred = direct + through_variance;
        let dcentred = tape.put(format!("dcentred{k}"), SAMPLES, samples_shape, dcentred);
        let dmean = -sum(I, n, dcentred.at(I, J));
        let dmean = tape.put(format!("dmean{k}"), UNITS, units, dmean);
        let dy = dcentred.at(I, J) + dmean.at(Zero, J) / samples(n);
        tape.put(format!("dY{k}"), SAMPLES, samples_shape, dy)
    }

    fn backward_fused(&self, tape: &mut Tape, saved: &Normalised, dn: Id) -> Id {
        let (k, x_hat, rstd) = (self.number, saved.x_hat, saved.rstd);
        let [n, features] = tape.shape(dn);
        let values = |id: Id| tape.node(id).values.clone();
        let mut dy = values(dn);
        let (mut dgamma, mut dbeta) = (vec![f64::NAN; features], vec![f64::NAN; features]);
        let (hat, s, g) = (values(x_hat), values(rstd), values(self.gamma));
        batch_norm_backward(&mut dy, &mut dgamma, &mut dbeta, &hat, &s, &g);

        let expr = sum(I, n, dn.at(I, J) * x_hat.at(I, J));
        let dgamma = tape.put_computed(format!("dgamma{k}"), UNITS, [1, features], expr, dgamma);
        let expr = sum(I, n, dn.at(I, J));
        let dbeta = tape.put_computed(format!("dbeta{k}"), UNITS, [1, features], expr, dbeta);
        let along = x_hat.at(I, J) * dgamma.at(Zero, J);
        let left = samples(n) * dn.at(I, J) - dbeta.at(Zero, J) - along;
        let expr = self.gamma.at(Zero, J) * rstd.at(Zero, J) / samples(n) * left;
        tape.put_computed(format!("dY{k}"), SAMPLES, [n, features], expr, dy)
    }
}

/// n, the samples of the batch.
fn samples(n: usize) -> Expr {
    Expr::Named("n", n as f64)
}
