use super::*;
use crate::backend::{Order, Plain};
use crate::nn::init::{self, Init};
use crate::ops::activation::Activation;
use crate::ops::loss::cross_entropy::CrossEntropy;
use crate::optim::{Adam, RmsProp, Sgd};

fn spec() -> NetworkSpec {
    NetworkSpec {
        inputs: 23,
        hidden: vec![17, 5],
        outputs: 3,
        batch_norm: true,
        activation: Activation::Silu,
        dropout: 0.3,
        order: Order::ActivationDropout,
        members: 1,
        embedding: None,
    }
}

fn network(capacity: usize) -> Mlp<Plain<f32>> {
    let (params, running) = init::draw(&spec(), Init::default(), 7);
    let mut mlp = Mlp::new(Plain::new(1), spec(), capacity).unwrap();
    mlp.load(&params, &running).unwrap();
    mlp
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0)
        .collect()
}

fn bits(mlp: &Mlp<Plain<f32>>) -> Vec<u32> {
    let mut all = mlp.read(|s| &s.params).unwrap();
    all.extend(mlp.read(|s| &s.m).unwrap());
    all.extend(mlp.read(|s| &s.v).unwrap());
    all.extend(mlp.read_running().unwrap());
    all.into_iter().map(f32::to_bits).collect()
}

/// Some updates on batches of 11 and then 4 rows, in a network with room for `capacity`.
fn train(capacity: usize, optimizer: &Optimizer, clip_norm: f64) -> Vec<u32> {
    let mut mlp = network(capacity);
    let x = numbers(11 * 23);
    let labels: Vec<u32> = (0..11).map(|i| i % 3).collect();
    for number in 0..6 {
        let rows = if number == 3 { 4 } else { 11 };
        let update = Update {
            number,
            lr: 0.01,
            seed: 3,
            loss: &Loss::default(),
            optimizer,
            clip_norm,
        };
        let input = Input::Values { buf: &x, rows };
        let loss = mlp.train_step(input, &labels[..rows], &update).unwrap();
        assert!(loss.objective.is_finite());
    }
    bits(&mlp)
}

/// A gradient that goes straight into the optimiser does what a stored one does.
///
/// A clipping norm that is never reached stores them all.
#[test]
fn both_sinks_give_the_same_bits() {
    for optimizer in [
        Optimizer::Adam(Adam::default()),
        Optimizer::RmsProp(RmsProp::default()),
        Optimizer::Sgd(Sgd {
            momentum: 0.9,
            ..Sgd::default()
        }),
    ] {
        assert_eq!(train(11, &optimizer, 0.0), train(11, &optimizer, 1e30));
    }
}

#[test]
fn room_for_more_rows_changes_nothing() {
    let adam = Optimizer::default();
    assert_eq!(train(11, &adam, 0.0), train(64, &adam, 0.0));
}

/// Bytes converted by the backend against the same numbers converted by hand.
#[test]
fn pixels_are_the_numbers_that_they_stand_for() {
    let data: Vec<u8> = (0..9 * 23).map(|i| (i * 31 % 256) as u8).collect();
    let scale: Vec<f32> = (0..23).map(|j| 1.0 / (j + 100) as f32).collect();
    let shift: Vec<f32> = (0..23).map(|j| j as f32 / 10.0).collect();
    let rows = [8, 0, 3];
    let by_hand: Vec<f32> = rows
        .iter()
        .flat_map(|&row| (0..23).map(move |j| (row as usize, j)))
        .map(|(row, j)| f32::from(data[row * 23 + j]) * scale[j] + shift[j])
        .collect();
    let mut mlp = network(3);
    let pixels = Input::Pixels {
        next: &[],
        data: &data,
        rows: &rows,
        scale: &scale,
        shift: &shift,
    };
    mlp.forward(pixels, Mode::Eval).unwrap();
    let from_pixels = mlp.logits(3).unwrap();
    let values = Input::Values {
        buf: &by_hand,
        rows: 3,
    };
    mlp.forward(values, Mode::Eval).unwrap();
    assert_eq!(mlp.logits(3).unwrap(), from_pixels);
}

#[test]
fn a_loss_that_is_no_number_changes_no_weight() {
    let mut mlp = network(4);
    let before = mlp.read(|s| &s.params).unwrap();
    let mut x = numbers(4 * 23);
    x[30] = f32::NAN;
    let update = Update {
        number: 0,
        lr: 0.1,
        seed: 0,
        loss: &Loss::default(),
        optimizer: &Optimizer::default(),
        clip_norm: 0.0,
    };
    let input = Input::Values { buf: &x, rows: 4 };
    let loss = mlp.train_step(input, &[0, 1, 2, 0], &update).unwrap();
    assert!(loss.objective.is_nan());
    assert_eq!(mlp.read(|s| &s.params).unwrap(), before);
}

#[test]
fn sizes_are_checked() {
    let mut mlp = network(2);
    let x = numbers(3 * 23);
    let input = Input::Values { buf: &x, rows: 3 };
    assert_eq!(mlp.forward(input, Mode::Eval).unwrap_err().exit_code(), 2);
    let short = numbers(2 * 23 - 1);
    let input = Input::Values {
        buf: &short,
        rows: 2,
    };
    assert_eq!(mlp.forward(input, Mode::Eval).unwrap_err().exit_code(), 2);
    assert!(mlp.load(&[0.0; 5], &[]).is_err());
    assert!(mlp.load_moments(&[], &[]).is_err());
    let buf = &x;
    mlp.forward(Input::Values { buf, rows: 2 }, Mode::Eval)
        .unwrap();
    assert!(mlp.logits(2).is_ok() && mlp.logits(3).is_err());
    assert!(mlp.argmax(&mut [0; 2]).is_ok() && mlp.argmax(&mut [0; 3]).is_err());
    assert!(mlp.set_upstream(&[0.0; 6]).is_ok() && mlp.set_upstream(&[0.0; 7]).is_err());
    let mode = Mode::Train { seed: 0, step: 0 };
    let fewer = Input::Values { buf, rows: 1 };
    assert!(mlp.backward(fewer, mode, Sink::Store, None).is_err());
    let same = Input::Values { buf, rows: 2 };
    let mut dx = vec![0.0; 2 * 23 - 1];
    assert!(
        mlp.backward(same, mode, Sink::Store, Some(&mut dx))
            .is_err()
    );
    assert!(mlp.backward(same, mode, Sink::Store, None).is_ok());
}

#[test]
fn pixels_are_checked() {
    let mut mlp = network(3);
    let (data, ones) = (vec![1; 4 * 23], vec![1.0; 23]);
    let mut forward = |rows: &[u32], next: &[u32], scale: &[f32]| {
        let (data, shift) = (&data[..], &ones[..]);
        let pixels = Input::Pixels {
            data,
            rows,
            next,
            scale,
            shift,
        };
        mlp.forward(pixels, Mode::Eval).map_err(|e| e.to_string())
    };
    assert_eq!(forward(&[3, 0], &[1], &ones), Ok(()));
    let expected = "batch: expected rows below 4, the samples, found row 4";
    assert_eq!(forward(&[3, 4], &[], &ones).unwrap_err(), expected);
    assert_eq!(forward(&[3], &[0, 4], &ones).unwrap_err(), expected);
    assert!(forward(&[3], &[], &ones[1..]).is_err());
}

/// A step with wrong targets, or of one row that a batch norm cannot learn from, is refused and changes nothing.
#[test]
fn wrong_steps_are_refused() {
    let mut mlp = network(4);
    let before = bits(&mlp);
    let x = numbers(4 * 23);
    let weighted = Loss::CrossEntropy(CrossEntropy {
        class_weights: Some(vec![1.0; 2]),
        ..CrossEntropy::default()
    });
    let optimizer = Optimizer::default();
    let mut step = |rows: usize, labels: &[u32], loss: &Loss| {
        let update = Update {
            number: 0,
            lr: 0.1,
            seed: 0,
            loss,
            optimizer: &optimizer,
            clip_norm: 0.0,
        };
        let input = Input::Values { buf: &x, rows };
        mlp.train_step(input, labels, &update)
    };
    let plain = Loss::default();
    for (rows, labels, loss) in [
        (4, &[0, 1, 2, 3][..], &plain),
        (4, &[0, 1, 2], &plain),
        (4, &[0, 1, 2, 0, 1], &plain),
        (4, &[0, 1, 2, 0], &weighted),
        (1, &[0], &plain),
        (0, &[], &plain),
    ] {
        let error = step(rows, labels, loss).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
    let loss = mlp.loss(&[0, 1, 2, 3], &plain).unwrap_err();
    assert_eq!(loss.exit_code(), 2, "before any forward: {loss}");
    assert_eq!(bits(&mlp), before);
}

/// Losses are collected once, and only as many may be pending as the backend says.
#[test]
fn losses_are_pending_until_they_are_collected() {
    let mut mlp = network(4);
    let (x, labels, plain) = (numbers(4 * 23), [0, 1, 2, 0], Loss::default());
    mlp.forward(Input::Values { buf: &x, rows: 4 }, Mode::Eval)
        .unwrap();
    let targets = || Targets::from(&labels).into();
    mlp.start_loss(targets(), &plain).unwrap();
    assert_eq!(mlp.pending_losses(), 1);
    assert!(mlp.start_loss(targets(), &plain).is_err());
    assert!(mlp.loss(&labels, &plain).is_err());
    let mut losses = Vec::new();
    mlp.finish_losses(&mut losses).unwrap();
    mlp.finish_losses(&mut losses).unwrap();
    assert_eq!((losses.len(), mlp.pending_losses()), (1, 0));
    assert_eq!(mlp.loss(&labels, &plain).unwrap(), losses[0]);
}
