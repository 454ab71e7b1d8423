//! What holds for all optimisers, and the same few steps as PyTorch takes.

use super::*;

/// The first step at this rate, without clipping.
pub(super) fn step(lr: f64) -> Step {
    Step {
        lr,
        t: 1,
        gradient_scale: 1.0,
    }
}

pub(super) fn assert_close(found: f64, expected: f64) {
    assert!(found.is_finite(), "found {found}, expected {expected}");
    let error = (found - expected).abs();
    assert!(
        error <= 1e-14 * expected.abs().max(1.0),
        "found {found}, expected {expected}"
    );
}

/// Several steps of a rule that does not depend on t, from moments 0.
pub(super) fn walk<U: Rule<f64>>(rule: U, w: f64, gradients: &[f64]) -> (f64, f64, f64) {
    gradients
        .iter()
        .fold((w, 0.0, 0.0), |(w, m, v), &g| rule.update(w, g, m, v))
}

/// Six steps at rate `lr` on three parabolas, whose gradient is `a·w − b`, from `w = (0.5, −1.25, 2)`; the first starts in
/// its minimum.
fn six_steps(optimizer: Optimizer, lr: f64) -> [[f64; 3]; 3] {
    let a = [2.0, -0.5, 3.0];
    let b = [1.0, 2.0, -0.3];
    let mut w = [0.5, -1.25, 2.0];
    let (mut m, mut v) = ([0.0; 3], [0.0; 3]);
    for t in 1..=6 {
        let g: [f64; 3] = std::array::from_fn(|i| a[i] * w[i] - b[i]);
        update(
            &optimizer,
            &Step { t, ..step(lr) },
            &mut w,
            &g,
            &mut m,
            &mut v,
        );
    }
    [w, m, v]
}

fn assert_six_steps(optimizer: Optimizer, lr: f64, expected: &[[f64; 3]]) {
    let found = six_steps(optimizer, lr);
    for (found, expected) in found.iter().zip(expected) {
        for (&f, &e) in found.iter().zip(expected) {
            assert!(f.is_finite(), "{f}, expected {e}");
            assert!(
                (f - e).abs() <= 1e-13 * e.abs().max(1.0),
                "{f}, expected {e}"
            );
        }
    }
}

/// `SGD([w], lr=.1)`, `SGD([w], lr=.1, momentum=.9, weight_decay=.01)` and the same with `nesterov=True`; PyTorch 2.15,
/// float64.
#[test]
fn sgd_is_torch_s() {
    let plain = Sgd::default();
    let w = [0.5, -0.31473698828125, 0.14706289999999997];
    assert_six_steps(Optimizer::Sgd(plain), 0.1, &[w]);
    let momentum = Sgd {
        momentum: 0.9,
        weight_decay: 0.01,
        nesterov: false,
    };
    let w = [0.49574489951154527, 1.654374442829023, -1.4952305659048877];
    let m = [0.0031491112235423786, -8.61139000468634, -2.397595281389447];
    assert_six_steps(Optimizer::Sgd(momentum), 0.1, &[w, m]);
    let nesterov = Sgd {
        nesterov: true,
        ..momentum
    };
    let w = [0.49652531906889014, 2.7281425634172094, -0.5020449894133139];
    let m = [
        0.0017730800256774296,
        -9.548362236623593,
        -1.1758187015310642,
    ];
    assert_six_steps(Optimizer::Sgd(nesterov), 0.1, &[w, m]);
}

/// `Adam([w], lr=.1)`, `Adam([w], lr=.1, betas=(.8, .95), eps=1e-3, weight_decay=.1)`, `AdamW([w], lr=.1)`; PyTorch 2.15,
/// float64.
#[test]
fn adam_is_torch_s() {
    let w = [0.5, -0.6479108966483419, 1.4048110730829697];
    let m = [0.0, -0.7100948465389268, 2.55898979197473];
    let v = [0.0, 0.013516144129947416, 0.18601403902272746];
    assert_six_steps(Optimizer::Adam(Adam::default()), 0.1, &[w, m, v]);
    let l2 = Adam {
        beta1: 0.8,
        beta2: 0.95,
        eps: 1e-3,
        weight_decay: 0.1,
    };
    let w = [0.46637744405385, -0.6476184973872955, 1.4072840590594478];
    let m = [0.02207907708487335, -1.1993642921897576, 4.0839269186407705];
    let v = [0.002020538903653633, 0.6846038313081677, 8.628385972853428];
    assert_six_steps(Optimizer::Adam(l2), 0.1, &[w, m, v]);
    let w = [0.4603301381223301, -0.6419128537842065, 1.3944520106438127];
    let m = [
        -0.009100837933362737,
        -0.7108233272150442,
        2.5517039815461997,
    ];
    let v = [
        4.6845171081928175e-05,
        0.013542166443915713,
        0.18514526353819802,
    ];
    assert_six_steps(Optimizer::AdamW(AdamW::default()), 0.1, &[w, m, v]);
}

/// `RMSprop([w], lr=.1)` and `RMSprop([w], lr=.1, alpha=.9, eps=1e-3, momentum=.9, weight_decay=.1)`; PyTorch 2.15,
/// float64.
#[test]
fn rmsprop_is_torch_s() {
    let plain = Optimizer::RmsProp(RmsProp::default());
    let w = [0.5, 3.010177209677427, -0.02284639898961783];
    assert_six_steps(plain, 0.1, &[w]);
    let momentum = RmsProp {
        alpha: 0.9,
        eps: 1e-3,
        momentum: 0.9,
        weight_decay: 0.1,
    };
    let w = [0.5348712837916919, 3.0158986434432924, -1.0122800802138079];
    let m = [1.6537800417482804, -10.166732080373883, 4.443662741106123];
    let v = [0.08079942741429523, 2.227158264399404, 6.249232746926684];
    assert_six_steps(Optimizer::RmsProp(momentum), 0.1, &[w, m, v]);
}

/// `Rprop([w], lr=.3)`; PyTorch 2.15, float64. The last weight has just jumped over its minimum.
#[test]
fn rprop_is_torch_s() {
    let w = [0.5, 1.7289759999999998, -0.23248000000000002];
    let previous = [0.0, -2.49124, 0.0];
    let sizes = [0.3, 0.7464959999999999, 0.31104];
    assert_six_steps(Optimizer::Rprop(Rprop {}), 0.3, &[w, previous, sizes]);
}

/// One of each kind, every setting in use.
fn all() -> [Optimizer; 6] {
    let sgd = Sgd {
        momentum: 0.9,
        nesterov: true,
        weight_decay: 0.01,
    };
    [
        Optimizer::Sgd(Sgd::default()),
        Optimizer::Sgd(sgd),
        Optimizer::Adam(Adam {
            weight_decay: 0.01,
            ..Adam::default()
        }),
        Optimizer::AdamW(AdamW::default()),
        Optimizer::RmsProp(RmsProp {
            momentum: 0.9,
            weight_decay: 0.01,
            ..RmsProp::default()
        }),
        Optimizer::Rprop(Rprop {}),
    ]
}

/// Values between 0.2 and 1.2 in no order, signs mixed unless `positive`.
fn values<R: Real>(n: usize, salt: usize, positive: bool) -> Vec<R> {
    (0..n)
        .map(|i| {
            let k = (i * 37 + salt * 11) % 101;
            let sign = if positive || !k.is_multiple_of(3) {
                1.0
            } else {
                -1.0
            };
            R::from_f64(f64::from(sign * (0.2 + k as f32 / 101.0)))
        })
        .collect()
}

struct State<R> {
    w: Vec<R>,
    g: Vec<R>,
    m: Vec<R>,
    v: Vec<R>,
}

fn state<R: Real>(n: usize) -> State<R> {
    State {
        w: values(n, 1, false),
        g: values(n, 2, false),
        m: values(n, 3, false),
        v: values(n, 4, true),
    }
}

/// A late step with clipping.
const LATE: Step = Step {
    lr: 0.01,
    t: 12,
    gradient_scale: 0.75,
};

#[test]
fn cutting_the_slices_changes_no_bit() {
    for optimizer in all() {
        for n in [1, 7, 31, 67] {
            for at in [0, 1, n / 2, n] {
                let mut whole = state::<f32>(n);
                update(
                    &optimizer,
                    &LATE,
                    &mut whole.w,
                    &whole.g,
                    &mut whole.m,
                    &mut whole.v,
                );
                let mut cut = state::<f32>(n);
                let (w, m, v) = (
                    cut.w.split_at_mut(at),
                    cut.m.split_at_mut(at),
                    cut.v.split_at_mut(at),
                );
                let g = cut.g.split_at(at);
                update(&optimizer, &LATE, w.1, g.1, m.1, v.1);
                update(&optimizer, &LATE, w.0, g.0, m.0, v.0);
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&cut.w), bits(&whole.w));
                assert_eq!(bits(&cut.m), bits(&whole.m));
                assert_eq!(bits(&cut.v), bits(&whole.v));
            }
        }
    }
}

#[test]
fn f32_agrees_with_f64() {
    for optimizer in all() {
        for t in [1, 2, 12, 100_000] {
            let step = Step { t, ..LATE };
            let (mut a, mut b) = (state::<f32>(31), state::<f64>(31));
            update(&optimizer, &step, &mut a.w, &a.g, &mut a.m, &mut a.v);
            update(&optimizer, &step, &mut b.w, &b.g, &mut b.m, &mut b.v);
            for (a, b) in [(&a.w, &b.w), (&a.m, &b.m), (&a.v, &b.v)] {
                for (&a, &b) in a.iter().zip(b) {
                    assert!(a.is_finite() && b.is_finite());
                    let error = (f64::from(a) - b).abs();
                    assert!(error <= 1e-6 * b.abs().max(1.0), "{optimizer:?}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn a_nan_gradient_reaches_the_weight_and_no_other() {
    for optimizer in all() {
        let mut s = state::<f64>(3);
        s.g[1] = f64::NAN;
        update(&optimizer, &LATE, &mut s.w, &s.g, &mut s.m, &mut s.v);
        assert!(s.w[1].is_nan(), "{optimizer:?}");
        assert!(s.w[0].is_finite() && s.w[2].is_finite());
    }
}

/// 20 steps with gradients, then `dark` without, over weights that are lit to different degrees, one of them never.
/// `watch` sees the state after each step.
fn go_dark<R: Real>(
    optimizer: &Optimizer,
    dark: u64,
    mut watch: impl FnMut(u64, [&[R]; 3]),
) -> Vec<f64> {
    let reals = |x: [f64; 4]| x.map(R::from_f64);
    let mut w = reals([0.3, -0.05, 0.2, 0.1]);
    let lit = reals([-2e-3, 5.0, 3e-21, 0.0]);
    let (mut m, mut v) = (reals([0.0; 4]), reals([0.0; 4]));
    for t in 1..=20 + dark {
        let g = if t <= 20 { lit } else { reals([0.0; 4]) };
        update(
            optimizer,
            &Step { t, ..step(1e-3) },
            &mut w,
            &g,
            &mut m,
            &mut v,
        );
        watch(t, [&w, &m, &v]);
    }
    w.iter().map(|w| w.to_f64()).collect()
}

/// 0.9 to the power of 830 is 1e-38: without the flush every m here becomes subnormal and stays so; v (0.99, 0.999) and
/// decaying weights follow later.
#[test]
fn weights_in_the_dark_leave_no_subnormal_number() {
    let momentum = Sgd {
        momentum: 0.9,
        ..Sgd::default()
    };
    let more = [
        Optimizer::Adam(Adam::default()),
        Optimizer::Sgd(momentum),
        Optimizer::RmsProp(RmsProp::default()),
    ];
    for optimizer in all().iter().chain(&more) {
        let normal = |t: u64, state: [&[f32]; 3]| {
            for (name, x) in ["w", "m", "v"].iter().zip(state) {
                let fine = |x: &f32| x.is_normal() || *x == 0.0;
                assert!(x.iter().all(fine), "{optimizer:?}, step {t}: {name} {x:?}");
            }
        };
        let single = go_dark::<f32>(optimizer, 3000, normal);
        let double = go_dark::<f64>(optimizer, 3000, |_, _| {});
        // AdamW's 1 − ηλ has 24 bits: 3000 times 2⁻²⁵ of the weight. RMSprop with decay ends up circling 0 at about η.
        let circles = matches!(optimizer, Optimizer::RmsProp(r) if r.weight_decay > 0.0);
        let limit = if circles { 5e-3 } else { 1e-4 };
        for (a, b) in single.iter().zip(&double) {
            assert!(
                a.is_finite() && (a - b).abs() <= limit,
                "{optimizer:?}: {a} {b}"
            );
        }
        go_dark::<f32>(optimizer, 100_000, normal);
        go_dark::<f64>(optimizer, 100_000, |t, state| {
            let fine = |x: &f64| x.is_normal() || *x == 0.0;
            assert!(
                state.iter().all(|x| x.iter().all(fine)),
                "{optimizer:?}, step {t}: {state:?}"
            );
        });
    }
}

/// Nothing is divided by 0, and no step is longer than the formula allows: a few η.
#[test]
fn without_epsilon_tiny_gradients_make_no_jumps() {
    let adam = Adam {
        eps: 0.0,
        ..Adam::default()
    };
    let rmsprop = RmsProp {
        eps: 0.0,
        ..RmsProp::default()
    };
    for optimizer in [Optimizer::Adam(adam), Optimizer::RmsProp(rmsprop)] {
        let mut last = [0.3, -0.05, 0.2, 0.1];
        go_dark::<f32>(&optimizer, 100_000, |t, [w, ..]| {
            for (last, &w) in last.iter_mut().zip(w) {
                let moved = (w - *last).abs();
                assert!(
                    w.is_finite() && moved <= 0.011,
                    "{optimizer:?}, step {t}: {moved}"
                );
                *last = w;
            }
        });
    }
}

#[test]
#[should_panic(expected = "one first moment per weight")]
fn slices_of_unequal_length_are_refused() {
    let optimizer = Optimizer::default();
    update(
        &optimizer,
        &LATE,
        &mut [0.0; 3],
        &[0.0; 3],
        &mut [0.0; 2],
        &mut [0.0; 3],
    );
}

#[test]
fn tables_fill_in_defaults_and_refuse_strange_keys() {
    let read = |text: &str| toml::from_str::<Optimizer>(text);
    assert_eq!(read("name = \"adam\"").unwrap(), Optimizer::default());
    let expected = Sgd {
        momentum: 1.0,
        ..Sgd::default()
    };
    assert_eq!(
        read("name = \"sgd\"\nmomentum = 1").unwrap(),
        Optimizer::Sgd(expected)
    );
    assert_eq!(
        read("name = \"adamw\"").unwrap(),
        Optimizer::AdamW(AdamW::default())
    );
    let message = read("name = \"rprop\"\nweight_decay = 0.1")
        .unwrap_err()
        .to_string();
    assert!(message.contains("weight_decay"), "{message}");
    assert!(read("name = \"adam\"\nmomentum = 0.9").is_err());
    for optimizer in all() {
        let text = serde_json::to_string(&optimizer).unwrap();
        assert_eq!(serde_json::from_str::<Optimizer>(&text).unwrap(), optimizer);
        assert!(optimizer.validate().is_ok());
    }
}
