//! A step as a numpy script, which computes every tensor again from what the step starts with, and compares it.

use std::fmt::Write;

use super::text::title;
use crate::explain::formula;
use crate::explain::run::Explanation;
use crate::explain::tape::{Grain, Node};

const HEAD: &str = r#"import math

import numpy as np

# Each tensor is a matrix: a vector has one row or one column, and a number has both.
TOLERANCE = 1e-12
# Where a gradient of 0 is squared, the engine takes a number of this order, so that none becomes subnormal.
NOTHING = 1e-200
compared = 0
normal_cdf = np.vectorize(lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))))


def check(name, computed, expected, terms):
    """The tensor that chainrule computed. Fails unless the computed one has its shape and, up to rounding, its numbers.

    Rounding is measured by the largest sum of the absolute terms of a cell."""
    global compared
    computed, expected = np.asarray(computed, dtype=np.float64), np.array(expected, dtype=np.float64)
    assert computed.shape == expected.shape, f"{name}: expected shape {expected.shape}, found {computed.shape}"
    error = np.abs(computed - expected).max()
    assert error <= TOLERANCE * terms + NOTHING, f"{name}: differs by {error:.1e}, its terms add up to {terms:.1e}"
    compared += expected.size
    return expected

"#;

/// The script for all steps in one grain.
pub fn script(explanation: &Explanation, grain: Grain) -> String {
    let mut text = format!(
        "\"\"\"{}, {} grain: every number of a training step again, in f64.\"\"\"\n\n{HEAD}",
        explanation.describe(),
        grain.name()
    );
    for step in &explanation.steps {
        let tape = step.tape(grain);
        let _ = writeln!(text, "\n# Step {}", step.next.update);
        for operation in &tape.operations {
            let _ = writeln!(text, "\n# {}: {}", title(operation.part), operation.title);
            for id in operation.nodes.clone() {
                let node = &tape.nodes[id];
                let values = literal(node);
                let name = &node.name;
                let _ = match formula::numpy::assignment(tape, node) {
                    Some(formula) => {
                        writeln!(
                            text,
                            "{name} = check(\"{name}\", {formula}, {values}, {:?})",
                            tape.scale(node)
                        )
                    }
                    None => writeln!(text, "{name} = np.array({values})"),
                };
            }
        }
    }
    let count = explanation.steps.len();
    let _ = writeln!(
        text,
        "\nprint(f\"{{compared}} numbers of {count} steps agree\")"
    );
    text
}

/// A tensor's numbers as nested lists.
fn literal(node: &Node) -> String {
    let rows = node.values.chunks_exact(node.shape[1]);
    let rows = rows.map(|row| {
        let cells: Vec<String> = row.iter().map(|x| float(*x)).collect();
        format!("[{}]", cells.join(", "))
    });
    format!("[{}]", rows.collect::<Vec<_>>().join(", "))
}

fn float(x: f64) -> String {
    match x {
        x if x.is_nan() => "float(\"nan\")".into(),
        x if x.is_infinite() => format!("float(\"{x}\")"),
        x => format!("{x:?}"),
    }
}
