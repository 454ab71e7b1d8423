use std::sync::Arc;

use super::*;
use crate::data::Task;
use crate::settings::{Config, Settings};

/// A step of the run that these settings describe, on drawn data.
pub(super) fn explained(
    change: impl FnOnce(&mut Settings),
    steps: &[u64],
) -> crate::Result<Explanation> {
    let mut settings = Settings::default();
    settings.model.widths = Some(vec![4, 3]);
    settings.train.batch_size = Some(5);
    change(&mut settings);
    let config = Config::new(&settings)?;
    let outputs = if config.task == Task::Classification {
        3
    } else {
        2
    };
    let data = Arc::new(sample_data(config.task, 4, outputs, config.seed)?);
    explain(&config, data, None, steps)
}

/// Settings by their keys, as in a file.
pub(super) fn with(toml: &str) -> impl FnOnce(&mut Settings) {
    let given: Settings = toml::from_str(toml).unwrap();
    move |settings| *settings = given.over(settings)
}

/// Every part of a step, at least once.
const SETTINGS: [&str; 19] = [
    "[model]\nbatch_norm = true\ndropout = 0.2\n[optimizer]\nname = \"adamw\"",
    "[model]\nbatch_norm = false\nactivation = \"tanh\"\n[optimizer]\nname = \"sgd\"",
    "[model]\nactivation = \"sigmoid\"\ndropout = 0.3\norder = \"activation_dropout\"",
    "[model]\nactivation = \"gelu\"\n[optimizer]\nname = \"sgd\"\nmomentum = 0.9\nnesterov = true\nweight_decay = 0.1",
    "[model]\nactivation = \"silu\"\n[optimizer]\nname = \"rmsprop\"\nmomentum = 0.5\nweight_decay = 0.1",
    "[model]\nactivation = \"elu\"\n[optimizer]\nname = \"rprop\"",
    "[model]\nactivation = \"leaky_relu\"\n[train]\nclip_norm = 0.1\nlabel_smoothing = 0.1\nclass_weights = [1, 2, 3]",
    "[model]\nactivation = \"identity\"\n[train]\nclip_norm = 100\n[optimizer]\nname = \"adam\"\nweight_decay = 0.1",
    "[data]\ntask = \"regression\"",
    "[data]\ntask = \"regression\"\n[train]\nloss = \"huber\"\ndelta = 0.5",
    "[data]\ntask = \"regression\"\n[train]\nloss = \"mae\"",
    "[data]\ntask = \"multilabel\"",
    "[model]\nmembers = 3\ndropout = 0.2",
    "[model]\nmembers = 2\nwidths = []\n[optimizer]\nname = \"rprop\"",
    "[data]\ntask = \"regression\"\n[model]\nmembers = 2\nwidths = [3]\nactivation = \"gelu\"",
    "[data]\ntask = \"multilabel\"\n[model]\nmembers = 2\n[optimizer]\nname = \"sgd\"\nmomentum = 0.9",
    "[model]\nembed = \"piecewise\"\nbins = 3\nembed_width = 2\n[optimizer]\nname = \"adamw\"",
    "[model]\nembed = \"piecewise\"\nbins = 3\nembed_width = 2\nbatch_norm = true\n[optimizer]\nname = \"adam\"",
    "[model]\nembed = \"piecewise\"\nbins = 2\nembed_width = 2\nmembers = 2\n[optimizer]\nname = \"rmsprop\"",
];

/// A tensor that is 0 up to rounding (the gradient of a bias before a batch norm) differs by 1e-16 or so: 1e-10 of the
/// smallest size that counts.
const ROUNDING: f64 = 1e-8;

/// Both grains, training itself and central differences agree, at the first step and later.
#[test]
fn all_ways_agree() {
    for toml in SETTINGS {
        let explanation = explained(with(toml), &[0, 3]).unwrap();
        for step in &explanation.steps {
            let at = format!("{toml}, step {}", step.next.update);
            assert_eq!(step.from_training, 0.0, "{at}");
            assert!(
                step.between_grains <= ROUNDING,
                "{at}: {}",
                step.between_grains
            );
            let (worst, name) = step.from_differences();
            assert!(worst <= 1e-5, "{at}: {name} {worst}");
            let compared = step.differences.values().flatten().flatten();
            assert!(compared.count() > 50, "{at}");
        }
    }
}

/// Each formula gives the engine's numbers, from the engine's numbers before it.
#[test]
fn formulas_are_what_the_engine_computes() {
    for toml in SETTINGS {
        let explanation = explained(with(toml), &[1]).unwrap();
        let tape = explanation.steps[0].tape(Grain::Fused);
        for node in &tape.nodes {
            let Some(expr) = &node.expr else { continue };
            let (values, _) = tape::evaluate(&tape.nodes, node.axes, node.shape, expr);
            // Where a gradient of 0 is squared, the engine takes a number of this order: none becomes subnormal.
            let limit = 1e-14 * tape.scale(node) + 1e-200;
            for (found, expected) in node.values.iter().zip(values) {
                let apart = (found - expected).abs();
                assert!(
                    apart <= limit,
                    "{toml}: {}: {found:e}, {expected:e}, {limit:e}",
                    node.name
                );
            }
        }
    }
}

/// A wrong formula is noticed by central differences, and a wrong number by the comparison of both grains.
#[test]
fn mistakes_are_seen() {
    let explanation = explained(with(SETTINGS[0]), &[0]).unwrap();
    let mut wrong = explanation.steps[0].clone();
    let id = wrong.tapes[0].id("dW2").unwrap();
    wrong.tapes[0].nodes[id.0].values[1] *= -1.0;
    assert_eq!(wrong.from_differences().1, "dW2");
    assert!(wrong.from_differences().0 > 0.1);
}

#[test]
fn too_large_a_network_is_refused() {
    let refused = |change: &str, steps: &[u64]| {
        let error = explained(with(change), steps).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let message = refused("[model]\nwidths = [500]", &[0]);
    assert!(
        message.contains("expected at most 40000 numbers"),
        "{message}"
    );
    let all: Vec<u64> = (0..60).collect();
    let message = refused("[model]\nwidths = [9, 9]", &all);
    assert!(message.contains("fewer steps"), "{message}");
    let message = refused("[train]\nepochs = 1", &[10]);
    assert!(message.contains("where the run ends"), "{message}");
    let message = refused("[optimizer]\nname = \"sgd\"\nlr = 1e300", &[9]);
    assert!(message.contains("diverged"), "{message}");
}

/// The functions that pages show are there, whole and by themselves.
#[test]
fn sources_are_found() {
    let mut count = 0;
    for toml in SETTINGS {
        let explanation = explained(with(toml), &[0]).unwrap();
        for tape in &explanation.steps[0].tapes {
            for source in tape
                .operations
                .iter()
                .filter_map(|operation| operation.source)
            {
                let lines = source.lines();
                assert_eq!(
                    lines.matches('{').count(),
                    lines.matches('}').count(),
                    "{lines}"
                );
                assert!(
                    lines.contains("fn ") && lines.lines().count() < 90,
                    "{lines}"
                );
                count += 1;
            }
        }
    }
    assert!(count > 200);
}

#[test]
fn drawn_data_have_two_digits_and_all_classes() {
    let data = sample_data(Task::Classification, 3, 5, 7).unwrap();
    let x = match &data.train.features {
        crate::data::Features::F64(x) => x,
        _ => panic!("f64"),
    };
    assert!(
        x.iter()
            .all(|x| ((x * 10.0).round() / 10.0 - x).abs() <= 1e-12)
    );
    assert_eq!(data.class_names.len(), 5);
}
