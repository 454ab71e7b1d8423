use ndarray::{Array2, Axis};

use super::*;
use crate::explain::tests::{explained, with};

const SETTINGS: &str =
    "[model]\nbatch_norm = true\ndropout = 0.4\nactivation = \"tanh\"\n[train]\nseed = 5";

fn explanation() -> Explanation {
    explained(with(SETTINGS), &[0]).unwrap()
}

/// A tensor of the step.
fn tensor(explanation: &Explanation, name: &str) -> Array2<f64> {
    let node = explanation.steps[0].tape(Grain::Atomic).find(name).unwrap();
    let [rows, columns] = node.shape;
    Array2::from_shape_vec((rows, columns), node.values.clone()).unwrap()
}

fn verdict(explanation: &Explanation, name: &str, answer: &Array2<f64>) -> Mark {
    let quiz = Quiz::new(explanation, &[name.to_owned()]).unwrap();
    let (rows, columns) = answer.dim();
    let values: Vec<f64> = answer.iter().copied().collect();
    quiz.blanks[0].verdict([rows, columns], &values)
}

/// The mistake is named, and it alone.
fn assert_named(explanation: &Explanation, name: &str, answer: &Array2<f64>, expected: &str) {
    match verdict(explanation, name, answer) {
        Mark::Wrong(mistakes) if mistakes.len() == 1 => {
            assert!(
                mistakes[0].contains(expected),
                "{name}: {mistakes:?}, not {expected}"
            );
        }
        other => panic!("{name}: {other:?}, not {expected}"),
    }
}

#[test]
fn right_answers() {
    let e = explanation();
    for name in ["Y1", "P", "dZ", "dW2", "dgamma1", "W1_new", "m_W2_new", "L"] {
        let right = tensor(&e, name);
        assert_eq!(verdict(&e, name, &right), Mark::Right, "{name}");
        let rounded = right.mapv(|x| 1.004 * x);
        assert_eq!(verdict(&e, name, &rounded), Mark::RightToRounding, "{name}");
        let nothing = right.mapv(|x| 0.37 - 1.7 * x * x);
        assert_eq!(
            verdict(&e, name, &nothing),
            Mark::Wrong(Vec::new()),
            "{name}"
        );
        assert_eq!(
            verdict(&e, name, &right.mapv(|_| f64::NAN)),
            Mark::Wrong(Vec::new())
        );
    }
    // A vector may be a column.
    let column = tensor(&e, "dgamma1").reversed_axes();
    assert_eq!(verdict(&e, "dgamma1", &column), Mark::Right);
}

/// A gradient that is 0 but for rounding: 0 is right, and so is what f32 makes of it.
#[test]
fn zeros_up_to_rounding() {
    let e = explanation();
    let zero = tensor(&e, "db2");
    assert!(zero.iter().all(|x| x.abs() <= 1e-15) && zero.iter().any(|x| *x != 0.0));
    for answer in [0.0, 1e-17, 1e-10] {
        let found = verdict(&e, "db2", &zero.mapv(|_| answer));
        assert!(!matches!(found, Mark::Wrong(_)), "{answer}");
    }
    assert_eq!(
        verdict(&e, "db2", &zero.mapv(|_| 0.1)),
        Mark::Wrong(Vec::new())
    );
}

#[test]
fn signs_shapes_and_factors() {
    let e = explanation();
    let dw = tensor(&e, "dW2");
    assert_named(&e, "dW2", &-&dw, "sign");
    assert_named(&e, "dW2", &dw.t().to_owned(), "transposed");
    assert_named(
        &e,
        "dW2",
        &(5.0 * &dw),
        "a factor of 5 too much (the batch size)",
    );
    assert_named(
        &e,
        "dW2",
        &(&dw / 5.0),
        "a factor of 5 missing (the batch size)",
    );
    assert_named(
        &e,
        "dW2",
        &(3.0 * &dw),
        "a factor of 3 too much (the number of outputs)",
    );
    assert_named(
        &e,
        "dsquared1",
        &(tensor(&e, "dsquared1") * 2.0),
        "a factor of 2 too much",
    );
    assert_named(&e, "dW2", &(0.5 * &dw), "a factor of 2 missing");
}

#[test]
fn sums_over_the_batch() {
    let e = explanation();
    let (dn, x_hat) = (tensor(&e, "dN2"), tensor(&e, "xhat2"));
    let terms = &dn * &x_hat;
    assert_named(&e, "dgamma2", &terms, "each sample has a row of its own");
    let third = terms.row(2).insert_axis(Axis(0)).to_owned();
    assert_named(&e, "dgamma2", &third, "the part of sample 2");
    let (dy, h) = (tensor(&e, "dY2"), tensor(&e, "H1"));
    let first = dy
        .row(0)
        .insert_axis(Axis(1))
        .dot(&h.row(0).insert_axis(Axis(0)));
    assert_named(&e, "dW2", &first, "the part of sample 0");
    let mean = tensor(&e, "db3") / 5.0;
    assert_named(&e, "db3", &mean, "a factor of 5 missing");
}

/// The three ways through a batch norm: its fused formula is `γ s (dy − mean(dy) − x̂ mean(dy x̂))`.
#[test]
fn paths_through_batch_norm() {
    let e = explanation();
    let (dn, x_hat) = (tensor(&e, "dN2"), tensor(&e, "xhat2"));
    let factor = tensor(&e, "gamma2") * tensor(&e, "rstd2");
    let mean = |a: &Array2<f64>| a.mean_axis(Axis(0)).unwrap().insert_axis(Axis(0));
    let along = &x_hat * &mean(&(&dn * &x_hat));
    let no_mean = &factor * &(&dn - &along);
    let no_variance = &factor * &(&dn - &mean(&dn));
    let neither = &factor * &dn;
    let h = tensor(&e, "H1");
    for (dy, expected) in [
        (no_mean, "the path through the mean of batch norm 2"),
        (no_variance, "the path through the variance of batch norm 2"),
        (neither, "every path through the statistics of batch norm 2"),
    ] {
        assert_named(&e, "dY2", &dy, expected);
        // And in what is computed from it.
        assert_named(&e, "dW2", &dy.t().dot(&h), expected);
    }
}

#[test]
fn dropout_and_activation() {
    let e = explanation();
    let (dd, mask) = (tensor(&e, "dD2"), tensor(&e, "mask2"));
    assert_named(&e, "dN2", &dd, "the mask of dropout 2");
    let unscaled = &dd * &mask.mapv(|m| f64::from(u8::from(m > 0.0)));
    assert_named(&e, "dN2", &unscaled, "the scale 1/(1 − p) of dropout 2");
    assert_named(
        &e,
        "dD2",
        &tensor(&e, "dH2"),
        "the derivative of activation 2",
    );
}

#[test]
fn softmax_s_sum() {
    let e = explanation();
    let direct = tensor(&e, "dP") / tensor(&e, "Esum");
    assert_named(
        &e,
        "dE",
        &direct,
        "the path through the sum of the exponentials",
    );
    // Then the logits' gradient is that of the logarithm alone.
    let dz = &direct * &tensor(&e, "E");
    assert_named(
        &e,
        "dZ",
        &dz,
        "the path through the sum of the exponentials",
    );
}

fn known(shape: [usize; 2], values: Vec<f64>) -> Candidate {
    Candidate {
        mistake: None,
        shape,
        values,
        size: 1.0,
    }
}

/// Two mistakes that give the same numbers are both named, and one that gives the right numbers is none.
#[test]
fn ambiguous_answers() {
    let toml = "[model]\nbatch_norm = false\n[train]\nbatch_size = 2";
    let e = explained(with(toml), &[0]).unwrap();
    let doubled = tensor(&e, "dW2") * 2.0;
    match verdict(&e, "dW2", &doubled) {
        Mark::Wrong(mistakes) => {
            assert_eq!(mistakes.len(), 1, "the batch size is 2: {mistakes:?}")
        }
        other => panic!("{other:?}"),
    }
    let right = known([2, 2], vec![1.0, 3.0, 3.0, 2.0]);
    let blank = Blank {
        name: "symmetric".into(),
        candidates: vec![right],
    };
    assert_eq!(blank.verdict([2, 2], &[1.0, 3.0, 3.0, 2.0]), Mark::Right);
    let zero = known([1, 1], vec![0.0]);
    let blank = Blank {
        name: "zero".into(),
        candidates: vec![zero],
    };
    assert_eq!(blank.verdict([1, 1], &[-0.0]), Mark::Right);
}

#[test]
fn names_are_checked() {
    let e = explanation();
    let error = Quiz::new(&e, &["dW9".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("dW9") && error.contains("dW2"), "{error}");
    let error = Quiz::new(&e, &["X".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("\"X\""), "{error}");
    let two = explained(with(SETTINGS), &[0, 1]).unwrap();
    assert!(
        Quiz::new(&two, &[])
            .unwrap_err()
            .to_string()
            .contains("one step")
    );
    let default = Quiz::new(&e, &[]).unwrap();
    let names: Vec<&str> = default.blanks.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["dZ", "dW3", "dW1"]);
}

/// What the members of an ensemble share, and what is one's alone.
#[test]
fn members_of_an_ensemble() {
    let e = explained(
        with("[model]\nmembers = 3\nactivation = \"tanh\"\n[train]\nbatch_size = 7"),
        &[0],
    )
    .unwrap();
    let quiz = Quiz::new(&e, &[]).unwrap();
    let names: Vec<&str> = quiz.blanks.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["dZ_m1", "dW3_m1", "dW1"]);
    for name in ["Y1_m2", "dr_m3", "V1_m1", "dW1", "db2", "r_m1_new", "L"] {
        assert_eq!(verdict(&e, name, &tensor(&e, name)), Mark::Right, "{name}");
    }
    assert_named(
        &e,
        "dW2",
        &tensor(&e, "dW2_m2"),
        "the sum over the members is missing: it is the part of member 2",
    );
    let part = tensor(&e, "dV1_m3") * tensor(&e, "r_m3");
    assert_named(&e, "dW1", &part, "the part of member 3");
    // The loss is the members' mean.
    let own = 3.0 * tensor(&e, "dZ_m1");
    let found = verdict(&e, "dZ_m1", &own);
    let expected = "a factor of 3 too much";
    assert!(
        matches!(&found, Mark::Wrong(mistakes) if mistakes.iter().any(|m| m.contains(expected))),
        "{found:?}"
    );
    let slope = tensor(&e, "dH1_m2");
    assert_named(
        &e,
        "dY1_m2",
        &slope,
        "the derivative of activation 1 of member 2",
    );
}
