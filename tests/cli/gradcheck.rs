//! `gradcheck`: its output, and that it can fail.

use crate::support::{Chainrule, number, write_images};

#[test]
fn networks_by_the_usual_flags() {
    let program = Chainrule::new();
    for flags in [
        &[
            "--activation",
            "gelu",
            "--dropout",
            "0.3",
            "--order",
            "activation_dropout",
        ][..],
        &["--depth", "5", "--width", "31", "--label-smoothing", "0.2"],
        &[
            "--batch-norm",
            "false",
            "--widths",
            "1,7",
            "--class-weights",
            "1,2,3,4",
        ],
        &[
            "--depth",
            "1",
            "--batch-size",
            "1",
            "--init",
            "xavier_normal",
        ],
    ] {
        let args = [&["gradcheck", "--inputs", "13", "--json"], flags].concat();
        let report = program.json(&args);
        for tensor in report["tensors"].as_array().unwrap() {
            assert!(number(&tensor["worst"]) <= 1e-5, "{flags:?}: {tensor}");
            assert!(number(&tensor["checked"]) >= 1.0, "{flags:?}: {tensor}");
        }
    }
}

/// Every loss with its options, as train takes them. A number to predict is one output.
#[test]
fn losses_by_the_usual_flags() {
    let program = Chainrule::new();
    let [regression, multilabel] = [["--task", "regression"], ["--task", "multilabel"]];
    for (task, flags, outputs) in [
        (regression, &[][..], 1),
        (regression, &["--loss", "mae", "--classes", "3"], 3),
        (regression, &["--loss", "huber", "--delta", "0.3"], 1),
        (multilabel, &["--depth", "2"], 10),
        (multilabel, &["--positive-weights", "1,0.5,7"], 3),
    ] {
        let size = ["gradcheck", "--inputs", "11", "--width", "13", "--json"];
        let report = program.json(&[&size[..], &task, flags].concat());
        let tensors = report["tensors"].as_array().unwrap();
        let [.., plain, weighted] = &tensors[..] else {
            panic!("{report}");
        };
        assert_eq!(plain["name"], "loss by logits");
        assert_eq!(weighted["name"], "weighted loss");
        for tensor in tensors {
            assert!(number(&tensor["worst"]) <= 1e-5, "{flags:?}: {tensor}");
        }
        assert_eq!(
            weighted["shape"],
            serde_json::json!([8, outputs]),
            "{flags:?}"
        );
        assert_eq!(number(&weighted["checked"]), 8.0 * f64::from(outputs));
    }
    program.refused(
        &["gradcheck", "--classes", "1"],
        &["--classes: expected at least 2"],
    );
    program.refused(
        &["gradcheck", "--task", "regression", "--loss", "bce"],
        &["regression", "bce"],
    );
}

#[test]
fn the_sizes_of_a_data_set_and_every_entry() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let args = ["gradcheck", "--data", "set.npz", "--width", "3", "--all"];
    let table = program.stdout(&args);
    assert!(
        table.starts_with("6-3-4, batch norm, relu in f64, 8 rows"),
        "{table}"
    );
    for word in [
        "0.weight",
        "1.bias",
        "3.weight",
        "input",
        "direction",
        "loss by logits",
        "weighted loss",
        "every gradient agrees",
    ] {
        assert!(table.contains(word), "{word}\n{table}");
    }
    // 8 rows of 6 inputs.
    let input = table
        .lines()
        .find(|line| line.starts_with("input"))
        .unwrap();
    let cells: Vec<&str> = input.split_whitespace().collect();
    let (checked, skipped): (usize, usize) = (cells[2].parse().unwrap(), cells[3].parse().unwrap());
    assert_eq!(checked + skipped, 48, "{input}");
}

/// No difference quotient is exact. So a limit below rounding must fail, with exit code 1 and the tensors' names.
#[test]
fn a_limit_below_rounding_fails() {
    let program = Chainrule::new();
    let output = program.run(&[
        "gradcheck",
        "--inputs",
        "9",
        "--width",
        "11",
        "--limit",
        "1e-18",
    ]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stdout.contains("above the limit") && output.stderr.contains("0.weight"),
        "{output:?}"
    );
    program.refused(
        &["gradcheck", "--batch-size", "1"],
        &["train.batch_size", "found 1"],
    );
    program.refused(&["gradcheck", "--inputs", "0"], &["--inputs", "0"]);
}
