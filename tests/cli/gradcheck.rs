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
