//! Ensembles and embedded features.

use super::*;
use crate::backend::{Order, Plain};
use crate::nn::FeatureEmbedding;
use crate::nn::init::{self, Init};
use crate::ops::activation::Activation;
use crate::ops::loss::cross_entropy::softmax;

const INPUTS: usize = 7;
const ROWS: usize = 5;

fn spec(members: usize, embedding: Option<FeatureEmbedding>) -> NetworkSpec {
    NetworkSpec {
        inputs: INPUTS,
        hidden: vec![11],
        outputs: 3,
        batch_norm: false,
        activation: Activation::Tanh,
        dropout: 0.0,
        order: Order::DropoutActivation,
        members,
        embedding,
    }
}

fn numbers(count: usize) -> Vec<f64> {
    let number = |i: usize| ((i * 7919) % 101) as f64 / 50.0 - 1.0;
    (0..count).map(number).collect()
}

fn network(spec: &NetworkSpec, params: &[f64]) -> Mlp<Plain<f64>> {
    let mut mlp = Mlp::new(Plain::new(1), spec.clone(), ROWS).unwrap();
    let running = vec![0.0; mlp.layout().running_count()];
    mlp.load(params, &running).unwrap();
    mlp
}

fn evaluated(mlp: &mut Mlp<Plain<f64>>, task: Task) -> Vec<f64> {
    let x = numbers(ROWS * INPUTS);
    let input = Input::Values {
        buf: &x,
        rows: ROWS,
    };
    mlp.evaluate(input, task).unwrap();
    mlp.logits(ROWS).unwrap()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 1e-14,
            "{found} against {expected}"
        );
    }
}

/// Parameters of an ensemble whose members are all one plain network.
fn copies(plain: &[f64], members: usize) -> Vec<f64> {
    let head = 3 * 11;
    let (trunk, last) = plain.split_at(INPUTS * 11 + 11);
    let mut params = vec![1.0; members * INPUTS];
    params.extend(trunk);
    params.extend(last[..head].repeat(members));
    params.extend(last[head..].repeat(members));
    params
}

#[test]
fn equal_members_predict_and_learn_as_one_network() {
    let (plain_spec, spec) = (spec(1, None), spec(4, None));
    let (params, _) = init::draw::<f64>(&plain_spec, Init::default(), 3);
    let mut plain = network(&plain_spec, &params);
    let mut ensemble = network(&spec, &copies(&params, 4));
    let values = evaluated(&mut plain, Task::Regression);
    assert_close(&evaluated(&mut ensemble, Task::Regression), &values);
    assert_close(&evaluated(&mut ensemble, Task::Multilabel), &values);
    let mut found = evaluated(&mut ensemble, Task::Classification);
    let mut expected = values;
    found.chunks_exact_mut(3).for_each(softmax);
    expected.chunks_exact_mut(3).for_each(softmax);
    assert_close(&found, &expected);
    let mut classes = [[0; ROWS]; 2];
    plain.argmax(&mut classes[0]).unwrap();
    ensemble.argmax(&mut classes[1]).unwrap();
    assert_eq!(classes[0], classes[1]);

    // The trunk's gradient is that of the plain network, each head's a quarter of it.
    let (x, labels, loss) = (numbers(ROWS * INPUTS), [0, 1, 2, 0, 1], Loss::default());
    let gradients = |mlp: &mut Mlp<Plain<f64>>| {
        let mode = Mode::Train { seed: 0, step: 0 };
        let input = Input::Values {
            buf: &x,
            rows: ROWS,
        };
        mlp.forward(input, mode).unwrap();
        let found = mlp.loss_and_gradient(&labels, &loss).unwrap();
        mlp.backward(input, mode, Sink::Store, None).unwrap();
        (found, mlp.read(|s| &s.grads).unwrap())
    };
    let ((one, expected), (mean, found)) = (gradients(&mut plain), gradients(&mut ensemble));
    assert_close(
        &[mean.objective, mean.plain_sum],
        &[one.objective, one.plain_sum],
    );
    assert_eq!(mean.correct, one.correct);
    let mut expected = copies(&expected, 4);
    let (scales, heads) = (4 * INPUTS, 4 * INPUTS + INPUTS * 11 + 11);
    expected[heads..].iter_mut().for_each(|g| *g /= 4.0);
    assert_close(&found[scales..], &expected[scales..]);
}

/// One feature of two inputs between others, two members, no hidden layer: every number by hand.
#[test]
fn a_small_ensemble_by_hand() {
    let spec = NetworkSpec {
        inputs: 4,
        hidden: Vec::new(),
        outputs: 2,
        ..spec(
            2,
            Some(FeatureEmbedding {
                spans: vec![1..3],
                width: 1,
            }),
        )
    };
    let w = [2.0, -1.0];
    let b = [0.5];
    let r = [1.0, -1.0, 1.0, 1.0, 1.0, -1.0];
    let heads = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 1.0, 0.0, 0.0, 0.0, -1.0];
    let biases = [0.0, 1.0, 10.0, 20.0];
    let params = [&w[..], &b, &r, &heads, &biases].concat();
    let mut mlp = network(&spec, &params);
    let x = [3.0, 1.0, 4.0, -5.0, 0.0, 2.0, 1.0, 7.0];
    let input = Input::Values {
        buf: &x.to_vec(),
        rows: 2,
    };
    // e = (3, −1.5, −5) and (0, 3.5, 7); member 0 sees (3, 1.5, −5) and (0, −3.5, 7).
    mlp.forward(input, Mode::Eval).unwrap();
    let expected = [3.0, -2.5, 0.0, 4.5, 14.5, 15.0, 13.5, 27.0];
    assert_eq!(mlp.logits(4).unwrap(), expected);
    mlp.evaluate(input, Task::Regression).unwrap();
    assert_eq!(mlp.logits(2).unwrap(), [8.75, 6.25, 6.75, 15.75]);
}

#[test]
fn an_average_is_neither_learnt_from_nor_larger_than_the_batch() {
    let spec = spec(3, None);
    let (params, _) = init::draw::<f64>(&spec, Init::default(), 1);
    let mut mlp = network(&spec, &params);
    evaluated(&mut mlp, Task::Classification);
    assert!(mlp.logits(ROWS).is_ok() && mlp.logits(ROWS + 1).is_err());
    let labels = [0; ROWS];
    assert!(mlp.loss(&labels, &Loss::default()).is_ok());
    assert!(mlp.loss_and_gradient(&labels, &Loss::default()).is_err());
    assert!(mlp.loss(&[0; 3 * ROWS], &Loss::default()).is_err());
    let x = numbers(ROWS * INPUTS);
    let input = Input::Values {
        buf: &x,
        rows: ROWS,
    };
    mlp.forward(input, Mode::Eval).unwrap();
    assert!(mlp.logits(3 * ROWS).is_ok() && mlp.logits(3 * ROWS + 1).is_err());
}

/// A stem is drawn from numbers of its own, so that the trunk starts as a plain network's.
#[test]
fn the_trunk_starts_as_a_plain_networks() {
    let (plain, _) = init::draw::<f64>(&spec(1, None), Init::default(), 9);
    let (params, _) = init::draw::<f64>(&spec(3, None), Init::default(), 9);
    let (scales, trunk) = (3 * INPUTS, INPUTS * 11 + 11);
    assert!(params[..scales].iter().all(|r| r.abs() == 1.0));
    assert!([-1.0, 1.0].iter().all(|r| params[..scales].contains(r)));
    assert_eq!(params[scales..][..trunk], plain[..trunk]);
    let (first, second) = params[scales + trunk..].split_at(33);
    assert!(
        first.iter().zip(second).all(|(a, b)| a != b),
        "a draw for each head"
    );
}
