//! Optimisers and clipping. The rules give the same bits as on the CPU, step after step, flushes included.

use chainrule::optim::clip::{SquareSum, scale};
use chainrule::optim::{Adam, AdamW, FLUSH_INTERVAL, Optimizer, RmsProp, Rprop, Sgd, Step, update};

use super::device::{
    AdamRule, Argument, Device, NULL, RmsPropRule, RpropRule, SgdRule, in_every_order,
};
use super::{U, assert_same, assert_within, numbers, scaled};

fn optimizers() -> Vec<Optimizer> {
    let sgd = Sgd {
        momentum: 0.9,
        nesterov: false,
        weight_decay: 0.01,
    };
    vec![
        Optimizer::Sgd(Sgd::default()),
        Optimizer::Sgd(sgd),
        Optimizer::Sgd(Sgd {
            nesterov: true,
            ..sgd
        }),
        Optimizer::Adam(Adam::default()),
        Optimizer::Adam(Adam {
            weight_decay: 0.1,
            ..Adam::default()
        }),
        Optimizer::AdamW(AdamW::default()),
        Optimizer::RmsProp(RmsProp {
            momentum: 0.5,
            weight_decay: 0.01,
            ..RmsProp::default()
        }),
        Optimizer::Rprop(Rprop {}),
    ]
}

fn adam_rule(rule: chainrule::optim::adam::AdamStep<f32>, swept: u32) -> AdamRule {
    AdamRule {
        step_size: rule.step_size,
        root_correction: rule.root_correction,
        beta1: rule.beta1,
        one_minus_beta1: rule.one_minus_beta1,
        beta2: rule.beta2,
        one_minus_beta2: rule.one_minus_beta2,
        eps: rule.eps,
        l2: rule.l2,
        shrink: rule.shrink,
        swept,
    }
}

/// The kernel's name and its rule for one step.
fn rule(optimizer: &Optimizer, step: &Step) -> (&'static str, Box<dyn Argument>) {
    let swept = u32::from(step.t.is_multiple_of(FLUSH_INTERVAL));
    match optimizer {
        Optimizer::Sgd(sgd) => {
            let r = sgd.at::<f32>(step);
            let (lr, momentum, weight_decay, nesterov) =
                (r.lr, r.momentum, r.weight_decay, r.nesterov.into());
            (
                "sgd",
                Box::new(SgdRule {
                    lr,
                    momentum,
                    weight_decay,
                    nesterov,
                    swept,
                }),
            )
        }
        Optimizer::Adam(adam) => ("adam", Box::new(adam_rule(adam.at(step), swept))),
        Optimizer::AdamW(adamw) => ("adam", Box::new(adam_rule(adamw.at(step), swept))),
        Optimizer::RmsProp(rmsprop) => {
            let r = rmsprop.at::<f32>(step);
            let rule = RmsPropRule {
                lr: r.lr,
                alpha: r.alpha,
                one_minus_alpha: r.one_minus_alpha,
                eps: r.eps,
                momentum: r.momentum,
                weight_decay: r.weight_decay,
                swept,
            };
            ("rmsprop", Box::new(rule))
        }
        Optimizer::Rprop(rprop) => {
            let first = rprop.at::<f32>(step).first;
            let is_first = first.is_some().into();
            (
                "rprop",
                Box::new(RpropRule {
                    first: first.unwrap_or(0.0),
                    is_first,
                    swept,
                }),
            )
        }
    }
}

/// Some steps from the same start on both sides. Gradients change their sign now and then; some vanish, so that moments decay into what is swept.
fn walk(device: &Device, optimizer: &Optimizer, count: usize, clipped: bool) {
    let start = numbers(count, 1);
    let (mut w, mut m, mut v) = (start.clone(), vec![0.0; count], vec![0.0; count]);
    let [dw, dm, dv] = [&w, &m, &v].map(|x| device.upload(x));
    let factor = if clipped { 0.3_f32 } else { 1.0 };
    let (running, device_factor) = (device.upload(&[0_u32]), device.upload(&[factor]));
    let gradient_scale: &dyn Argument = if clipped { &device_factor } else { &NULL };
    for t in 1..=FLUSH_INTERVAL + 1 {
        let mut g = scaled(count, t as u32, 0.1_f32.powi(t as i32 % 5));
        g.iter_mut().step_by(3).for_each(|g| *g *= 1e-36);
        let step = Step {
            lr: 0.01,
            t,
            gradient_scale: factor.into(),
        };
        update(optimizer, &step, &mut w, &g, &mut m, &mut v);
        let (name, rule) = rule(optimizer, &step);
        let g = device.upload(&g);
        let arguments: [&dyn Argument; 8] = [
            &dw,
            &g,
            &dm,
            &dv,
            &(count as u32),
            rule.as_ref(),
            gradient_scale,
            &running,
        ];
        device.launch(name, [count.div_ceil(256), 1], [256, 1], &arguments);
        let what = format!("{optimizer:?}, step {t}");
        assert_same(&what, &device.download(&dw), &w);
        assert_same(&what, &device.download(&dm), &m);
        assert_same(&what, &device.download(&dv), &v);
    }
    assert!(count < 2 || w != start, "{optimizer:?} moved nothing");
}

#[test]
fn steps_are_the_cpus_bit_for_bit() {
    in_every_order(|device| {
        for optimizer in optimizers() {
            for count in [1, 7, 1000] {
                for clipped in [false, true] {
                    walk(device, &optimizer, count, clipped);
                }
            }
        }
    });
}

#[test]
fn a_diverged_run_changes_nothing() {
    in_every_order(|device| {
        for optimizer in optimizers() {
            let before = numbers(100, 1);
            let [w, m, v, g] = [(); 4].map(|()| device.upload(&before));
            let step = Step {
                lr: 0.1,
                t: 1,
                gradient_scale: 1.0,
            };
            let (name, rule) = rule(&optimizer, &step);
            let diverged = device.upload(&[1_u32]);
            device.launch(
                name,
                [1, 1],
                [256, 1],
                &[&w, &g, &m, &v, &100_u32, rule.as_ref(), &NULL, &diverged],
            );
            for buffer in [&w, &m, &v] {
                assert_same(name, &device.download(buffer), &before);
            }
        }
    });
}

#[test]
fn clipping() {
    in_every_order(|device| {
        for count in [1, 7, 1023, 10_000] {
            let g = numbers(count, 4);
            let mut sum = SquareSum::default();
            sum.add_rows(&g, 1);
            for clip_norm in [1e-3, 1e6] {
                let grid = count.div_ceil(1024).min(256);
                let (partials, norm) = (
                    device.uninitialised::<f64>(grid),
                    device.uninitialised::<f64>(1),
                );
                let factor = device.uninitialised::<f32>(1);
                let g = device.upload(&g);
                device.launch(
                    "square_sum",
                    [grid, 1],
                    [256, 1],
                    &[&partials, &g, &(count as u32)],
                );
                device.launch(
                    "clip_scale",
                    [1, 1],
                    [256, 1],
                    &[&factor, &norm, &partials, &(grid as u32), &clip_norm],
                );
                let (found, factor) = (device.download(&norm)[0], device.download(&factor)[0]);
                // Two orders of a sum of squares.
                let bound = count as f64 * f64::EPSILON * sum.norm();
                assert_within("norm", &[found], |_| sum.norm(), |_| bound);
                let expected = scale(sum.norm(), clip_norm);
                assert_within("factor", &[factor], |_| expected, |_| 1.01 * U * expected);
            }
        }
    });
}

#[test]
fn a_norm_that_is_no_number_shows() {
    in_every_order(|device| {
        let g = device.upload(&[1.0, f32::NAN, 2.0]);
        let (partials, norm, factor) = (
            device.uninitialised::<f64>(1),
            device.uninitialised::<f64>(1),
            device.uninitialised::<f32>(1),
        );
        device.launch("square_sum", [1, 1], [256, 1], &[&partials, &g, &3_u32]);
        device.launch(
            "clip_scale",
            [1, 1],
            [256, 1],
            &[&factor, &norm, &partials, &1_u32, &1.0],
        );
        assert!(device.download(&factor)[0].is_nan() && device.download(&norm)[0].is_nan());
    });
}
