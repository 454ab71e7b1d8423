//! The rules: each is a figure, and a limit beyond which it means something.
//!
//! Limits without another source are ours. They were set between the runs of `tests/cli/doctor.rs` that have a disease
//! and nine healthy ones, and judged on four healthy ones that were held out. That of the late fall was set between 72
//! more, of eight kinds, with rates from a hundredth to a hundred times a good one. It was judged on 36 of six other
//! kinds: no healthy one lay above it, and of 13 that were too slow and far from the end 10 did.

use super::case::{Case, Value};
use super::{layers, losses, samples};
use crate::text::number::number;

/// On which side of its limit a figure is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Above,
    Below,
}

/// A rule.
pub(super) struct DoctorRule {
    /// The disease; several rules may find the same.
    pub(super) name: &'static str,
    /// What the figure is.
    pub(super) figure: &'static str,
    pub(super) value: fn(&Case) -> Value,
    pub(super) bad: Bad,
    pub(super) limit: f64,
    /// Where figure or limit come from.
    pub(super) source: &'static str,
    /// Diseases from which this one follows: it is judged without them alone.
    pub(super) follows: &'static [&'static str],
    /// What a finding means.
    pub(super) meaning: &'static str,
    /// What to try.
    pub(super) advice: fn(&Case) -> String,
}

const OURS: &str = "chainrule";
const RATIO: &str = "Karpathy, CS231n notes: about 1e-3";

/// A rate as a flag.
fn rate(case: &Case, factor: f64) -> String {
    let rate: f64 = format!("{:.0e}", case.config.lr * factor)
        .parse()
        .unwrap_or(case.config.lr);
    format!(
        "--lr {}, or the rate that chainrule lr-find suggests",
        number(rate)
    )
}

fn lower_rate(case: &Case) -> String {
    rate(case, 0.1)
}

fn higher_rate(case: &Case) -> String {
    format!(
        "{}; or --epochs {}",
        rate(case, 10.0),
        case.config.epochs.saturating_mul(4)
    )
}

fn against_overfitting(case: &Case) -> String {
    let dropout = match case.config.dropout {
        p if p < 0.3 => "--dropout 0.3",
        _ => "--dropout 0.5",
    };
    format!(
        "{dropout}, --optimizer adamw --weight-decay 0.1, a smaller --width, --patience 5, or more data"
    )
}

/// All rules, causes before what follows from them.
pub(super) static RULES: [DoctorRule; 17] = [
    DoctorRule {
        name: "diverged",
        figure: "epochs whose loss is no number",
        value: losses::diverged,
        bad: Bad::Above,
        limit: 0.0,
        source: OURS,
        follows: &[],
        meaning: "the loss, a weight or a running statistic stopped being a finite number",
        advice: |case| format!("{}; or --clip-norm 1", lower_rate(case)),
    },
    DoctorRule {
        name: "too_much_dropout",
        figure: "dropout at a training loss that stays high",
        value: losses::dropout,
        bad: Bad::Above,
        limit: 0.6,
        source: "Srivastava et al. 2014, Dropout, section 7.3",
        follows: &["diverged"],
        meaning: "so few units are kept that the network cannot even learn its training samples",
        advice: |_| {
            "--dropout 0.5 or 0.2; a layer that keeps few units needs a larger --width".into()
        },
    },
    DoctorRule {
        name: "dead_units",
        figure: "largest share of dead units in a layer",
        value: layers::dead_units,
        bad: Bad::Above,
        limit: 0.5,
        source: "Lu et al. 2019, Dying ReLU and Initialization",
        follows: &[],
        meaning: "most units of a layer are flat for every sample, and learn nothing any more",
        advice: |case| {
            format!(
                "--activation silu or leaky_relu, --batch-norm, or {}",
                lower_rate(case)
            )
        },
    },
    DoctorRule {
        name: "vanishing_gradients",
        figure: "gradient of the first layer / gradient of the last hidden layer",
        value: layers::gradient_ratio,
        bad: Bad::Below,
        limit: 1e-3,
        source: "Glorot & Bengio 2010, section 4.2",
        follows: &["dead_units"],
        meaning: "gradients shrink on their way down: the first layers hardly learn",
        advice: |_| {
            "--batch-norm, --activation relu, --init kaiming_normal, or a smaller --depth".into()
        },
    },
    DoctorRule {
        name: "exploding_gradients",
        figure: "gradient of the first layer / gradient of the last hidden layer",
        value: layers::gradient_ratio,
        bad: Bad::Above,
        limit: 1e3,
        source: "Glorot & Bengio 2010, section 4.2",
        follows: &["dead_units"],
        meaning: "gradients grow on their way down: the first layers jump about",
        advice: |_| "--clip-norm 1, --init default or xavier_normal, or a smaller --depth".into(),
    },
    DoctorRule {
        name: "rate_too_high",
        figure: "largest training loss of an epoch / loss of knowing nothing",
        value: losses::largest_loss,
        bad: Bad::Above,
        limit: 1.4,
        source: OURS,
        follows: &["diverged", "too_much_dropout", "exploding_gradients"],
        meaning: "training made the network worse than one that looks at no input",
        advice: lower_rate,
    },
    DoctorRule {
        name: "rate_too_high",
        figure: "rise of the training loss above its lowest / loss of knowing nothing",
        value: losses::rise,
        bad: Bad::Above,
        limit: 0.1,
        source: OURS,
        follows: &["diverged", "too_much_dropout"],
        meaning: "the training loss went up again",
        advice: lower_rate,
    },
    DoctorRule {
        name: "rate_too_high",
        figure: "update / weight of the middle layer",
        value: layers::update_ratio,
        bad: Bad::Above,
        limit: 0.05,
        source: RATIO,
        follows: &["diverged"],
        meaning: "each update changes the weights by a large share of themselves",
        advice: lower_rate,
    },
    DoctorRule {
        name: "rate_too_low",
        figure: "update / weight of the middle layer",
        value: layers::update_ratio,
        bad: Bad::Below,
        limit: 2e-5,
        source: RATIO,
        follows: &[
            "diverged",
            "dead_units",
            "vanishing_gradients",
            "rate_too_high",
        ],
        meaning: "the updates hardly change the weights",
        advice: higher_rate,
    },
    DoctorRule {
        name: "rate_too_low",
        figure: "share of the training loss's fall in the last quarter of the epochs",
        value: losses::late_fall,
        bad: Bad::Above,
        limit: 0.11,
        source: OURS,
        follows: &[
            "diverged",
            "too_much_dropout",
            "rate_too_high",
            "dead_units",
            "vanishing_gradients",
        ],
        meaning: "the training loss still falls as along a line, and far from the end",
        advice: higher_rate,
    },
    DoctorRule {
        name: "overfitting",
        figure: "validation loss above a training loss of under a third of it / loss of knowing nothing",
        value: losses::gap,
        bad: Bad::Above,
        limit: 0.1,
        source: OURS,
        follows: &["diverged", "rate_too_high"],
        meaning: "the network knows its training samples much better than others",
        advice: against_overfitting,
    },
    DoctorRule {
        name: "overfitting",
        figure: "rise of the validation loss above its lowest / loss of knowing nothing",
        value: losses::validation_rise,
        bad: Bad::Above,
        limit: 0.1,
        source: OURS,
        follows: &["diverged", "rate_too_high"],
        meaning: "after its best epoch the network only learnt its training samples by heart",
        advice: against_overfitting,
    },
    DoctorRule {
        name: "underfitting",
        figure: "lowest training loss / loss of knowing nothing",
        value: losses::lowest_loss,
        bad: Bad::Above,
        limit: 0.9,
        source: OURS,
        follows: &[
            "diverged",
            "too_much_dropout",
            "rate_too_high",
            "rate_too_low",
            "dead_units",
            "vanishing_gradients",
            "exploding_gradients",
        ],
        meaning: "the network does not even know its training samples: it is too small, or the features do not tell",
        advice: |_| {
            "a larger --width or --depth, less --dropout and --weight-decay, more --epochs, or other features".into()
        },
    },
    DoctorRule {
        name: "constant_features",
        figure: "columns that never vary",
        value: samples::constant_columns,
        bad: Bad::Above,
        limit: 0.0,
        source: OURS,
        follows: &[],
        meaning: "these features say nothing: is the file whole?",
        advice: |_| "--drop with their names".into(),
    },
    DoctorRule {
        name: "constant_features",
        figure: "share of pixels that never vary",
        value: samples::constant_pixels,
        bad: Bad::Above,
        limit: 0.5,
        source: OURS,
        follows: &[],
        meaning: "most pixels are the same in every picture: are they pictures?",
        advice: |_| "chainrule data show, to look at them".into(),
    },
    DoctorRule {
        name: "rare_classes",
        figure: "training samples of the smallest class",
        value: samples::smallest_class_samples,
        bad: Bad::Below,
        limit: 10.0,
        source: OURS,
        follows: &[],
        meaning: "a class has too few samples to learn it, or to measure it",
        advice: |_| {
            "more samples of it, or join it with another class; --class-weights balanced".into()
        },
    },
    DoctorRule {
        name: "rare_classes",
        figure: "training samples of the smallest class / of an average class",
        value: samples::smallest_class_share,
        bad: Bad::Below,
        limit: 0.05,
        source: OURS,
        follows: &[],
        meaning: "a class is so rare that accuracy does not show whether it is learnt",
        advice: |_| {
            "--class-weights balanced --monitor val_balanced_accuracy; chainrule eval shows each class".into()
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_follow_what_was_judged_before() {
        for (i, rule) in RULES.iter().enumerate() {
            for cause in rule.follows {
                let is_before = RULES[..i].iter().any(|r| r.name == *cause);
                assert!(is_before, "{} follows {cause}", rule.name);
            }
        }
    }

    #[test]
    fn no_rate_is_both_too_high_and_too_low() {
        let mut low = RULES.iter().filter(|rule| rule.name == "rate_too_low");
        assert!(low.all(|rule| rule.follows.contains(&"rate_too_high")));
    }
}
