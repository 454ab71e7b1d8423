//! The reference cases through the library, in f64 and f32.

use chainrule::backend::{Input, Mode, Plain, Sink};
use chainrule::gemm::Element;
use chainrule::nn::params::Tensor;
use chainrule::nn::{Layout, Mlp, Update};
use chainrule::ops::softmax_cross_entropy::LossOptions;
use chainrule::optim::{By, Plateau};
use chainrule::real::Real;
use chainrule::train::{Config, Settings};

use crate::reference::{CASES, Golden, assert_close, tolerance};

fn cast<R: Real>(values: &[f64]) -> Vec<R> {
    values.iter().map(|&x| R::from_f64(x)).collect()
}

fn widen<R: Real>(values: &[R]) -> Vec<f64> {
    values.iter().map(|x| x.to_f64()).collect()
}

/// Tensors of the case, gathered into a flat buffer.
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

struct Follower<'a, R: Element> {
    golden: &'a Golden,
    config: Config,
    mlp: Mlp<Plain<R>>,
    single: bool,
}

impl<R: Element> Follower<'_, R> {
    fn check(&self, what: &str, found: &[R], expected: &[f64]) {
        let name = what.split_once('/').map_or(what, |(_, name)| name);
        if let Some(bound) = tolerance(self.golden, name, self.single) {
            let case = &self.golden.case["name"];
            assert_close(&format!("{case} {what}"), &widen(found), expected, bound);
        }
    }

    fn check_tensors(&self, prefix: &str, tensors: &[Tensor], values: &[R]) {
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

    /// Logits and gradients of the first batch; the running statistics are put back.
    fn check_first_gradients(&mut self, x: &Vec<R>, labels: &[u32]) {
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
            &self.mlp.logits(rows).unwrap(),
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

    fn validation_loss(&mut self, x: &Vec<R>, labels: &[u32]) -> f64 {
        self.mlp
            .forward(
                Input::Values {
                    buf: x,
                    rows: labels.len(),
                },
                Mode::Eval,
            )
            .unwrap();
        let loss = self.mlp.loss(labels, &LossOptions::default()).unwrap();
        loss.cross_entropy_sum / labels.len() as f64
    }
}

/// Follows one case from the first to the last update.
fn follow<R: Element>(name: &str) {
    let golden = Golden::read(name);
    let single = R::NAME == "f32";
    let settings: Settings = toml::from_str(&golden.settings(R::NAME)).unwrap();
    let config = Config::new(&settings).unwrap();
    let sizes = golden.case["sizes"].as_array().unwrap();
    let (inputs, classes) = (
        sizes[0].as_u64().unwrap(),
        sizes[sizes.len() - 1].as_u64().unwrap(),
    );
    let spec = config.network(inputs as usize, classes as usize).unwrap();
    let (x, labels) = (cast::<R>(&golden.f64s("x")), golden.labels("y"));
    let (x_val, y_val) = (cast::<R>(&golden.f64s("x_val")), golden.labels("y_val"));
    let mlp = Mlp::new(Plain::<R>::new(), spec, config.batch_size.max(y_val.len())).unwrap();
    let mut f = Follower {
        golden: &golden,
        config,
        mlp,
        single,
    };
    let init = flat(&golden, "init", &f.mlp.layout().params.clone());
    let init_running = flat(&golden, "init", &f.mlp.layout().running.clone());
    f.mlp
        .load(&cast::<R>(&init), &cast::<R>(&init_running))
        .unwrap();

    let (mut losses, mut rates) = (Vec::new(), Vec::new());
    let mut plateau = f.config.schedule.plateau();
    let c = f.config.clone();
    let per_epoch = labels.len().div_ceil(c.batch_size) as u64;
    let (epochs, width) = (u64::from(c.epochs), inputs as usize);
    for epoch in 0..epochs {
        for (i, labels) in labels.chunks(c.batch_size).enumerate() {
            let x = x[i * c.batch_size * width..][..labels.len() * width].to_vec();
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
            losses.push(R::from_f64(loss.objective));
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
    f.mlp
        .forward(
            Input::Values {
                buf: &x_val,
                rows: y_val.len(),
            },
            Mode::Eval,
        )
        .unwrap();
    f.check(
        "eval_logits",
        &f.mlp.logits(y_val.len()).unwrap(),
        &golden.f64s("eval_logits"),
    );
}

#[test]
fn every_case_in_f64() {
    CASES.iter().for_each(|name| follow::<f64>(name));
}

#[test]
fn every_case_in_f32() {
    CASES.iter().for_each(|name| follow::<f32>(name));
}

/// The comparison itself can fail.
#[test]
fn the_comparison_finds_differences() {
    let fails = |found: &[f64], expected: &[f64]| {
        std::panic::catch_unwind(|| assert_close("x", found, expected, 1e-11)).is_err()
    };
    assert!(!fails(&[1.0, -2.0], &[1.0, -2.0]));
    assert!(fails(&[1.0, -2.0], &[1.0, -2.0 - 1e-10]));
    assert!(fails(&[1.0, f64::NAN], &[1.0, -2.0]));
    assert!(fails(&[f64::INFINITY], &[f64::INFINITY]));
    assert!(fails(&[1.0], &[1.0, 2.0]));
}
