//! The reference cases through the library, on any backend.

use chainrule::backend::{Backend, Input, Mode, Sink};
use chainrule::data::Task;
use chainrule::nn::params::Tensor;
use chainrule::nn::{FeatureEmbedding, Layout, Mlp, Update};
use chainrule::ops::loss::Loss;
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

struct Follower<'a, B: Backend> {
    golden: &'a Golden,
    config: Config,
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
    fn check_first_gradients(&mut self, x: &B::Buf, labels: &[u32]) {
        let (params, running) = (
            self.mlp.read(|s| &s.params).unwrap(),
            self.mlp.read_running().unwrap(),
        );
        let rows = labels.len();
        let mode = Mode::Train { seed: 0, step: 0 };
        let input = Input::Values { buf: x, rows };
        self.mlp.forward(input, mode).unwrap();
        self.check(
            "logits0",
            &self.mlp.logits(self.mlp.spec().members * rows).unwrap(),
            &self.golden.f64s("logits0"),
        );
        self.mlp
            .loss_and_gradient(labels, &self.config.loss)
            .unwrap();
        self.mlp.backward(input, mode, Sink::Store, None).unwrap();
        let grads = self.mlp.read(|s| &s.grads).unwrap();
        self.check_tensors("grad0", &self.mlp.layout().params.clone(), &grads);
        self.mlp.load(&params, &running).unwrap();
    }

    fn validation_loss(&mut self, x: &B::Buf, labels: &[u32]) -> f64 {
        self.mlp
            .forward(
                Input::Values {
                    buf: x,
                    rows: labels.len(),
                },
                Mode::Eval,
            )
            .unwrap();
        let loss = self.mlp.loss(labels, &Loss::default()).unwrap();
        loss.plain_sum / labels.len() as f64
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
    let (inputs, classes) = (
        sizes[0].as_u64().unwrap(),
        sizes[sizes.len() - 1].as_u64().unwrap(),
    );
    let mut spec = config.network(inputs as usize, classes as usize).unwrap();
    if let Some(members) = golden.case["members"].as_u64() {
        spec.members = members as usize;
        spec.embedding = embedding(&golden.case["embedding"]);
    }
    let (x, labels) = (cast::<B::Real>(&golden.f64s("x")), golden.labels("y"));
    let y_val = golden.labels("y_val");
    let mlp = Mlp::new(backend, spec, config.batch_size.max(y_val.len())).unwrap();
    let mut f = Follower {
        golden: &golden,
        config,
        mlp,
        single,
    };
    let init = flat(&golden, "init", &f.mlp.layout().params.clone());
    let init_running = flat(&golden, "init", &f.mlp.layout().running.clone());
    f.mlp.load(&cast(&init), &cast(&init_running)).unwrap();
    let x_val = f.upload(&cast(&golden.f64s("x_val")));

    let (mut losses, mut rates) = (Vec::new(), Vec::new());
    let mut plateau = f.config.schedule.plateau();
    let c = f.config.clone();
    let per_epoch = labels.len().div_ceil(c.batch_size) as u64;
    let (epochs, width) = (u64::from(c.epochs), inputs as usize);
    for epoch in 0..epochs {
        for (i, labels) in labels.chunks(c.batch_size).enumerate() {
            let x = f.upload(&x[i * c.batch_size * width..][..labels.len() * width]);
            if losses.is_empty() {
                f.check_first_gradients(&x, labels);
            }
            let update = losses.len() as u64;
            let (t, total) = match c.by {
                By::Epoch => (epoch, epochs),
                By::Update => (update, epochs * per_epoch),
            };
            let scale = plateau.as_ref().map_or(1.0, Plateau::scale);
            let lr = c.schedule.rate(c.lr, c.warmup, t, total) * scale;
            let input = Input::Values {
                buf: &x,
                rows: labels.len(),
            };
            let update = Update {
                number: update,
                lr,
                seed: 0,
                loss: &c.loss,
                optimizer: &c.optimizer,
                clip_norm: c.clip_norm,
            };
            let loss = f.mlp.train_step(input, labels, &update).unwrap();
            losses.push(B::Real::from_f64(loss.objective));
            rates.push(lr);
            if losses.len() == 1 {
                f.check_state("after1");
            }
        }
        if let Some(plateau) = &mut plateau {
            plateau.observe(f.validation_loss(&x_val, &y_val), c.lr);
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
