//! The reference cases through the library, on any backend.

use std::ops::Range;

use chainrule::backend::{Backend, Input, Mode, Sink};
use chainrule::data::Task;
use chainrule::nn::params::Tensor;
use chainrule::nn::{FeatureEmbedding, Layout, Mlp, Update};
use chainrule::ops::loss::binary_cross_entropy::BinaryCrossEntropy;
use chainrule::ops::loss::huber::Huber;
use chainrule::ops::loss::{Loss, TargetKind, Targets};
use chainrule::optim::{By, Plateau};
use chainrule::real::Real;
use chainrule::settings::{Config, Settings};

use crate::reference::{Golden, assert_close, tolerance};

fn cast<R: Real>(values: &[f64]) -> Vec<R> {
    values.iter().map(|&x| R::from_f64(x)).collect()
}

fn widen<R: Real>(values: &[R]) -> Vec<f64> {
    values.iter().map(|x| x.to_f64()).collect()
}

/// The tensors of the case in one flat buffer.
fn flat(golden: &Golden, prefix: &str, tensors: &[Tensor]) -> Vec<f64> {
    let all = tensors.iter().map(|t| {
        assert_eq!(
            golden.shape(&format!("{prefix}.{}", t.name)),
            t.shape,
            "{}",
            t.name
        );
        golden.f64s(&format!("{prefix}.{}", t.name))
    });
    all.flatten().collect()
}

/// The loss of the case. The settings have that of classes.
fn loss(golden: &Golden, config: &Config) -> Loss {
    let case = &golden.case;
    let positive_weights = || serde_json::from_value(case["positive_weights"].clone()).unwrap();
    match case["loss"].as_str() {
        None | Some("cross_entropy") => config.loss.clone(),
        Some("mse") => Loss::MeanSquaredError,
        Some("mae") => Loss::MeanAbsoluteError,
        Some("huber") => Loss::Huber(Huber {
            delta: case["delta"].as_f64().unwrap(),
        }),
        Some("bce") => Loss::BinaryCrossEntropy(BinaryCrossEntropy {
            positive_weights: positive_weights(),
        }),
        Some(name) => panic!("no loss {name}"),
    }
}

/// The targets of rows, and their weights.
struct Answers {
    classes: Vec<u32>,
    /// In place of classes, with the number of values a row.
    values: Option<(Vec<f64>, usize)>,
    weights: Option<Vec<f64>>,
}

impl Answers {
    /// Those of the tensor `name`, with the weights of the tensor `weights`.
    fn read(golden: &Golden, name: &str, weights: &str) -> Self {
        let is_class = golden.case["loss"]
            .as_str()
            .is_none_or(|l| l == "cross_entropy");
        let weighted = golden.names().iter().any(|n| n == weights);
        let (classes, values) = match is_class {
            true => (golden.labels(name), None),
            false => (Vec::new(), Some((golden.f64s(name), golden.shape(name)[1]))),
        };
        Answers {
            classes,
            values,
            weights: weighted.then(|| golden.f64s(weights)),
        }
    }

    fn len(&self) -> usize {
        match &self.values {
            Some((values, columns)) => values.len() / columns,
            None => self.classes.len(),
        }
    }

    fn targets(&self, rows: Range<usize>) -> Targets<'_> {
        let kind = match &self.values {
            Some((values, columns)) => TargetKind::Values {
                values: &values[rows.start * columns..rows.end * columns],
                columns: *columns,
            },
            None => TargetKind::Classes(&self.classes[rows.clone()]),
        };
        let weights = self.weights.as_deref().map(|w| &w[rows]);
        Targets { kind, weights }
    }
}

struct Follower<'a, B: Backend> {
    golden: &'a Golden,
    config: Config,
    loss: Loss,
    mlp: Mlp<B>,
    single: bool,
}

impl<B: Backend> Follower<'_, B> {
    fn upload(&self, values: &[B::Real]) -> B::Buf {
        let backend = self.mlp.backend();
        let mut buf = backend.alloc(values.len()).unwrap();
        backend.upload(&mut buf, values).unwrap();
        buf
    }

    fn check(&self, what: &str, found: &[B::Real], expected: &[f64]) {
        let name = what.split_once('/').map_or(what, |(_, name)| name);
        if let Some(bound) = tolerance(self.golden, name, self.single) {
            let case = &self.golden.case["name"];
            assert_close(&format!("{case} {what}"), &widen(found), expected, bound);
        }
    }

    fn check_tensors(&self, prefix: &str, tensors: &[Tensor], values: &[B::Real]) {
        for t in tensors {
            let expected = self.golden.f64s(&format!("{prefix}.{}", t.name));
            self.check(
                &format!("{prefix}/{}", t.name),
                &values[t.range.clone()],
                &expected,
            );
        }
    }

    fn check_state(&self, prefix: &str) {
        let layout: &Layout = self.mlp.layout();
        self.check_tensors(
            prefix,
            &layout.params,
            &self.mlp.read(|s| &s.params).unwrap(),
        );
        self.check_tensors(prefix, &layout.running, &self.mlp.read_running().unwrap());
    }

    /// Checks logits and gradients of the first batch, and restores the running statistics.
    fn check_first_gradients(&mut self, x: &B::Buf, targets: Targets<'_>) {
        let (params, running) = (
            self.mlp.read(|s| &s.params).unwrap(),
            self.mlp.read_running().unwrap(),
        );
        let rows = targets.len();
        let mode = Mode::Train { seed: 0, step: 0 };
        let input = Input::Values { buf: x, rows };
        self.mlp.forward(input, mode).unwrap();
        self.check(
            "logits0",
            &self.mlp.logits(self.mlp.spec().members * rows).unwrap(),
            &self.golden.f64s("logits0"),
        );
        self.mlp.loss_and_gradient(targets, &self.loss).unwrap();
        self.mlp.backward(input, mode, Sink::Store, None).unwrap();
        let grads = self.mlp.read(|s| &s.grads).unwrap();
        self.check_tensors("grad0", &self.mlp.layout().params.clone(), &grads);
        self.mlp.load(&params, &running).unwrap();
    }

    fn validation_loss(&mut self, x: &B::Buf, targets: Targets<'_>) -> f64 {
        self.mlp
            .forward(
                Input::Values {
                    buf: x,
                    rows: targets.len(),
                },
                Mode::Eval,
            )
            .unwrap();
        let loss = self.mlp.loss(targets, &self.loss).unwrap();
        loss.plain_sum / targets.len() as f64
    }
}

/// The features that a case embeds.
fn embedding(case: &serde_json::Value) -> Option<FeatureEmbedding> {
    let number = |x: &serde_json::Value| x.as_u64().unwrap() as usize;
    let spans = case["spans"].as_array()?;
    Some(FeatureEmbedding {
        spans: spans.iter().map(|s| number(&s[0])..number(&s[1])).collect(),
        width: number(&case["width"]),
    })
}

/// Follows one case from the first to the last update.
pub(crate) fn follow<B: Backend>(backend: B, name: &str) {
    let golden = Golden::read(name);
    let precision = <B::Real as Real>::NAME;
    let single = precision == "f32";
    let settings: Settings = toml::from_str(&golden.settings(precision)).unwrap();
    let config = Config::new(&settings).unwrap();
    let sizes = golden.case["sizes"].as_array().unwrap();
    let (inputs, outputs) = (
        sizes[0].as_u64().unwrap(),
        sizes[sizes.len() - 1].as_u64().unwrap(),
    );
    let mut spec = config.network(inputs as usize, outputs as usize).unwrap();
    if let Some(members) = golden.case["members"].as_u64() {
        spec.members = members as usize;
        spec.embedding = embedding(&golden.case["embedding"]);
    }
    let x = cast::<B::Real>(&golden.f64s("x"));
    let [y, y_val] = [("y", "w"), ("y_val", "")].map(|(y, w)| Answers::read(&golden, y, w));
    let loss = loss(&golden, &config);
    let mlp = Mlp::new(backend, spec, config.batch_size.max(y_val.len())).unwrap();
    let mut f = Follower {
        golden: &golden,
        config,
        loss,
        mlp,
        single,
    };
    let init = flat(&golden, "init", &f.mlp.layout().params.clone());
    let init_running = flat(&golden, "init", &f.mlp.layout().running.clone());
    f.mlp.load(&cast(&init), &cast(&init_running)).unwrap();
    let x_val = f.upload(&cast(&golden.f64s("x_val")));

    let (mut losses, mut rates) = (Vec::new(), Vec::new());
    let mut plateau = f.config.schedule.plateau();
    let (c, loss) = (f.config.clone(), f.loss.clone());
    let per_epoch = y.len().div_ceil(c.batch_size) as u64;
    let (epochs, width) = (u64::from(c.epochs), inputs as usize);
    for epoch in 0..epochs {
        for start in (0..y.len()).step_by(c.batch_size) {
            let batch = start..y.len().min(start + c.batch_size);
            let (rows, targets) = (batch.len(), y.targets(batch));
            let x = f.upload(&x[start * width..][..rows * width]);
            if losses.is_empty() {
                f.check_first_gradients(&x, targets);
            }
            let update = losses.len() as u64;
            let (t, total) = match c.by {
                By::Epoch => (epoch, epochs),
                By::Update => (update, epochs * per_epoch),
            };
            let scale = plateau.as_ref().map_or(1.0, Plateau::scale);
            let lr = c.schedule.rate(c.lr, c.warmup, t, total) * scale;
            let input = Input::Values { buf: &x, rows };
            let update = Update {
                number: update,
                lr,
                seed: 0,
                loss: &loss,
                optimizer: &c.optimizer,
                clip_norm: c.clip_norm,
            };
            let loss = f.mlp.train_step(input, targets, &update).unwrap();
            losses.push(B::Real::from_f64(loss.objective));
            rates.push(lr);
            if losses.len() == 1 {
                f.check_state("after1");
            }
        }
        if let Some(plateau) = &mut plateau {
            plateau.observe(
                f.validation_loss(&x_val, y_val.targets(0..y_val.len())),
                c.lr,
            );
        }
    }
    f.check("loss", &losses, &golden.f64s("loss"));
    assert_close(&format!("{name} lr"), &rates, &golden.f64s("lr"), 1e-11);
    f.check_state("after");
    let input = Input::Values {
        buf: &x_val,
        rows: y_val.len(),
    };
    f.mlp.evaluate(input, Task::Classification).unwrap();
    f.check(
        "eval_logits",
        &f.mlp.logits(y_val.len()).unwrap(),
        &golden.f64s("eval_logits"),
    );
}
