//! Optimisers: from gradients to new parameters ([`crate::optim`]).

use crate::explain::expression::Expr;
use crate::explain::expression::Function::{Sign, Sqrt, Square};
use crate::explain::expression::Id;
use crate::explain::expression::Index::Zero;
use crate::explain::expression::Relation::Greater;
use crate::explain::expression::{choose, of, sum};
use crate::explain::operations::ONE;
use crate::explain::source::{SourceFunction, source};
use crate::explain::tape::{Grain, Part, Tape};
use crate::optim::clip::{self, SquareSum};
use crate::optim::{Adam, AdamW, Optimizer, RmsProp, Rprop, Sgd, Step};

/// One parameter's update.
#[derive(Clone, Debug)]
pub(in crate::explain) struct ParameterUpdate<'a> {
    /// The rule.
    pub(in crate::explain) optimizer: &'a Optimizer,
    /// Rate and number of the update.
    pub(in crate::explain) step: Step,
    /// What all gradients are multiplied by, with clipping.
    pub(in crate::explain) clip: Option<Id>,
}

/// The norm of all gradients, and the factor that shortens it to c.
pub(in crate::explain) fn put_clip(tape: &mut Tape, parameters: &[Id], c: f64) -> Id {
    tape.begin(
        Part::Update,
        "Clipping",
        "All gradients together are one long vector. If it is longer than c, all are shortened by one factor, so that its \
         direction stays.",
    );
    tape.source(source!("optim/clip.rs", "pub fn scale"));
    let gradients = parameters.iter().map(|&w| gradient_of(tape, w));
    let gradients: Vec<Id> = gradients.collect();
    let squares = gradients.iter().map(|&g| {
        let (axes, [rows, columns]) = (tape.node(g).axes, tape.shape(g));
        let square = of(Square, g.at(axes[0], axes[1]));
        match rows {
            1 => sum(axes[1], columns, square),
            _ => sum(axes[0], rows, sum(axes[1], columns, square)),
        }
    });
    let total = squares
        .reduce(|a, b| a + b)
        .expect("a network has parameters");
    let norm_expr = of(Sqrt, total);
    let factor = |norm: Id| {
        let factor = || Expr::Named("c", c) / (norm.at(Zero, Zero) + 1e-6);
        choose(factor(), Greater, 1.0, 1.0, factor())
    };
    match tape.grain {
        Grain::Atomic => {
            let norm = tape.put("gnorm", ONE, [1, 1], norm_expr);
            tape.put("clip", ONE, [1, 1], factor(norm))
        }
        Grain::Fused => {
            let mut squares = SquareSum::default();
            for &g in &gradients {
                let node = tape.node(g);
                squares.add_rows(
                    &node.values,
                    if node.shape[0] == 1 { 1 } else { node.shape[1] },
                );
            }
            let value = squares.norm();
            let norm = tape.put_computed("gnorm", ONE, [1, 1], norm_expr, vec![value]);
            let scale = vec![clip::scale(value, c)];
            tape.put_computed("clip", ONE, [1, 1], factor(norm), scale)
        }
    }
}

fn gradient_of(tape: &Tape, w: Id) -> Id {
    let name = format!("d{}", tape.node(w).name);
    tape.id(&name)
        .expect("the backward puts every parameter's gradient on the tape")
}

/// One parameter tensor on the tape, and the symbols of its cells.
struct Updated<'t> {
    tape: &'t mut Tape,
    name: String,
    w: Id,
    g: Id,
    m: Id,
    v: Id,
}

impl Updated<'_> {
    fn cell(&self, id: Id) -> Expr {
        let axes = self.tape.node(self.w).axes;
        id.at(axes[0], axes[1])
    }

    fn w(&self) -> Expr {
        self.cell(self.w)
    }

    fn m(&self) -> Expr {
        self.cell(self.m)
    }

    fn v(&self) -> Expr {
        self.cell(self.v)
    }

    fn put(&mut self, name: String, expr: Expr) -> Id {
        let (axes, shape) = (self.tape.node(self.w).axes, self.tape.shape(self.w));
        self.tape.put(name, axes, shape, expr)
    }

    /// Puts a named step of the rule on the tape.
    fn step(&mut self, prefix: &str, suffix: &str, expr: Expr) -> Expr {
        let id = self.put(format!("{prefix}{}{suffix}", self.name), expr);
        self.cell(id)
    }
}

impl ParameterUpdate<'_> {
    /// Puts a parameter's new values on the tape, with its new moments. m and v are its moments before.
    pub(in crate::explain) fn put(&self, tape: &mut Tape, w: Id, m: &[f64], v: &[f64]) {
        let name = tape.node(w).name.clone();
        let (axes, shape) = (tape.node(w).axes, tape.shape(w));
        let (rule, source) = rule(self.optimizer);
        tape.begin(
            Part::Update,
            format!("Update of {name}: {rule}"),
            says(self.optimizer),
        );
        tape.source(source);
        let (has_m, has_v) = moments(self.optimizer);
        let g = gradient_of(tape, w);
        let mut given = |prefix: &str, on: bool, values: &[f64]| match on {
            true => tape.given(format!("{prefix}{name}"), axes, shape, values.to_vec()),
            false => w,
        };
        let (m_id, v_id) = (given("m_", has_m, m), given("v_", has_v, v));
        let is_fused = tape.grain == Grain::Fused;
        let start = tape.nodes.len();
        let mut parameter = Updated {
            tape,
            name,
            w,
            g,
            m: m_id,
            v: v_id,
        };
        self.rule(&mut parameter);
        if is_fused {
            self.compute(tape, start, w, [m, v]);
        }
    }

    /// Puts the engine's numbers in place of those of the formulas.
    fn compute(&self, tape: &mut Tape, start: usize, w: Id, [m, v]: [&[f64]; 2]) {
        let scale = self.clip.map_or(1.0, |clip| tape.node(clip).values[0]);
        let step = Step {
            gradient_scale: scale,
            ..self.step
        };
        let name = tape.node(w).name.clone();
        let mut new = [tape.node(w).values.clone(), m.to_vec(), v.to_vec()];
        let g = tape.node(gradient_of(tape, w)).values.clone();
        let [w, m, v] = &mut new;
        self.optimizer.at(&step).apply(w, &g, m, v);
        let names = [
            format!("{name}_new"),
            format!("m_{name}_new"),
            format!("v_{name}_new"),
        ];
        for node in &mut tape.nodes[start..] {
            if let Some(which) = names.iter().position(|name| *name == node.name) {
                node.values = std::mem::take(&mut new[which]);
            }
        }
    }

    fn rule(&self, t: &mut Updated<'_>) {
        let fused = t.tape.grain == Grain::Fused;
        match self.optimizer {
            Optimizer::Sgd(sgd) => self.sgd(t, sgd),
            Optimizer::Adam(adam) => {
                let g = self.gradient(t, adam.weight_decay);
                self.adam(t, g, adam, None, fused);
            }
            Optimizer::AdamW(AdamW {
                beta1,
                beta2,
                eps,
                weight_decay,
            }) => {
                let g = self.gradient(t, 0.0);
                let adam = Adam {
                    beta1: *beta1,
                    beta2: *beta2,
                    eps: *eps,
                    weight_decay: 0.0,
                };
                self.adam(t, g, &adam, Some(*weight_decay), fused);
            }
            Optimizer::RmsProp(rmsprop) => self.rmsprop(t, rmsprop),
            Optimizer::Rprop(Rprop {}) => self.rprop(t),
        }
    }

    fn rate(&self) -> Expr {
        Expr::Named("η", self.step.lr)
    }

    /// The gradient that the rule takes: shortened by clipping, with λw added.
    fn gradient(&self, t: &mut Updated<'_>, weight_decay: f64) -> Expr {
        let mut g = t.cell(t.g);
        if self.clip.is_none() && weight_decay == 0.0 {
            return g;
        }
        if let Some(clip) = self.clip {
            g = clip.at(Zero, Zero) * g;
        }
        if weight_decay != 0.0 {
            g = g + Expr::Named("λ", weight_decay) * t.w();
        }
        t.step("g_", "", g)
    }

    fn sgd(&self, t: &mut Updated<'_>, sgd: &Sgd) {
        let g = self.gradient(t, sgd.weight_decay);
        let mut direction = g.clone();
        if sgd.momentum != 0.0 {
            let momentum = || Expr::Named("μ", sgd.momentum);
            let m = t.step("m_", "_new", momentum() * t.m() + g.clone());
            direction = match sgd.nesterov {
                true => g + momentum() * m,
                false => m,
            };
        }
        t.step("", "_new", t.w() - self.rate() * direction);
    }

    fn adam(&self, t: &mut Updated<'_>, g: Expr, adam: &Adam, decoupled: Option<f64>, fused: bool) {
        let (beta1, beta2) = (
            || Expr::Named("β₁", adam.beta1),
            || Expr::Named("β₂", adam.beta2),
        );
        let m = t.step("m_", "_new", beta1() * t.m() + (1.0 - beta1()) * g.clone());
        let v = t.step(
            "v_",
            "_new",
            beta2() * t.v() + (1.0 - beta2()) * of(Square, g),
        );
        let power = |symbol: &'static str, beta: f64| {
            1.0 - Expr::Named(symbol, libm::pow(beta, self.step.t as f64))
        };
        let (m, v) = (m / power("β₁ᵗ", adam.beta1), v / power("β₂ᵗ", adam.beta2));
        let (m, v) = match fused {
            true => (m, v),
            false => (t.step("mhat_", "", m), t.step("vhat_", "", v)),
        };
        let mut step = self.rate() * m / (of(Sqrt, v) + Expr::Named("ε", adam.eps));
        if !fused {
            step = t.step("step_", "", step);
        }
        let w = match decoupled {
            Some(decay) => (1.0 - self.rate() * Expr::Named("λ", decay)) * t.w(),
            None => t.w(),
        };
        t.step("", "_new", w - step);
    }

    fn rmsprop(&self, t: &mut Updated<'_>, rmsprop: &RmsProp) {
        let g = self.gradient(t, rmsprop.weight_decay);
        let alpha = || Expr::Named("α", rmsprop.alpha);
        let v = t.step(
            "v_",
            "_new",
            alpha() * t.v() + (1.0 - alpha()) * of(Square, g.clone()),
        );
        let ratio = g / (of(Sqrt, v) + Expr::Named("ε", rmsprop.eps));
        let m = match rmsprop.momentum {
            0.0 => ratio,
            momentum => Expr::Named("μ", momentum) * t.m() + ratio,
        };
        let m = t.step("m_", "_new", m);
        t.step("", "_new", t.w() - self.rate() * m);
    }

    fn rprop(&self, t: &mut Updated<'_>) {
        let g = self.gradient(t, 0.0);
        let size = match self.step.t {
            1 => self.rate(),
            _ => t.v(),
        };
        let agreement = t.step("agree_", "", of(Sign, g.clone()) * of(Sign, t.m()));
        let slower = choose(-agreement.clone(), Greater, 0.0, 0.5, 1.0);
        let factor = choose(agreement.clone(), Greater, 0.0, 1.2, slower);
        let size = t.step("size_", "", size * factor);
        let at_most = choose(size.clone(), Greater, 50.0, 50.0, size.clone());
        let v = t.step(
            "v_",
            "_new",
            choose(1e-6.into(), Greater, size, 1e-6, at_most),
        );
        let kept = choose(-agreement, Greater, 0.0, 0.0, g);
        let m = t.step("m_", "_new", kept);
        t.step("", "_new", t.w() - of(Sign, m) * v);
    }
}

/// Which moments an optimiser reads.
fn moments(optimizer: &Optimizer) -> (bool, bool) {
    match optimizer {
        Optimizer::Sgd(sgd) => (sgd.momentum != 0.0, false),
        Optimizer::RmsProp(rmsprop) => (rmsprop.momentum != 0.0, true),
        Optimizer::Adam(_) | Optimizer::AdamW(_) | Optimizer::Rprop(_) => (true, true),
    }
}

fn rule(optimizer: &Optimizer) -> (&'static str, SourceFunction) {
    match optimizer {
        Optimizer::Sgd(_) => (
            "sgd",
            source!("optim/sgd.rs", "fn update(&self, w: R, g: R, m: R, v: R)"),
        ),
        Optimizer::Adam(_) => (
            "adam",
            source!("optim/adam.rs", "fn update(&self, w: R, g: R, m: R, v: R)"),
        ),
        Optimizer::AdamW(_) => (
            "adamw",
            source!("optim/adam.rs", "fn update(&self, w: R, g: R, m: R, v: R)"),
        ),
        Optimizer::RmsProp(_) => (
            "rmsprop",
            source!(
                "optim/rmsprop.rs",
                "fn update(&self, w: R, g: R, m: R, v: R)"
            ),
        ),
        Optimizer::Rprop(_) => (
            "rprop",
            source!("optim/rprop.rs", "fn update(&self, w: R, g: R, m: R, v: R)"),
        ),
    }
}

fn says(optimizer: &Optimizer) -> &'static str {
    match optimizer {
        Optimizer::Sgd(sgd) if sgd.momentum == 0.0 => {
            "Each weight moves against its gradient, by the rate η times it."
        }
        Optimizer::Sgd(_) => {
            "The buffer m keeps the share μ of its past and adds the gradient. The weight moves against it."
        }
        Optimizer::Adam(_) => {
            "m is a running mean of the gradient, v of its square. Both begin at 0, so they are divided by 1 − βᵗ. The \
             weight moves by their ratio: about η, whatever the gradient's scale."
        }
        Optimizer::AdamW(_) => {
            "As Adam: a running mean of the gradient, divided by the root of that of its square. Weight decay λ shrinks \
             the weight itself, and is no part of the gradient."
        }
        Optimizer::RmsProp(_) => {
            "The gradient is divided by the root of a running mean of its square, so steps are about as long in steep \
             directions as in flat ones."
        }
        Optimizer::Rprop(_) => {
            "Only the gradient's sign counts. Each weight's step size v grows while the sign stays and shrinks when it \
             flips; after a flip the weight rests for one step."
        }
    }
}
