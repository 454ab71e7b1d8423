//! A step as text, for a terminal.

use std::fmt::Write;

use crate::explain::formula::{self, short};
use crate::explain::run::{ExplainedStep, Explanation};
use crate::explain::tape::{Grain, Node, Part};

/// Rows and columns of a matrix beyond which it is cut.
const MOST: [usize; 2] = [24, 12];

/// All steps in one grain.
pub fn text(explanation: &Explanation, grain: Grain) -> String {
    let mut text = format!("{}, {} grain\n", explanation.describe(), grain.name());
    for step in &explanation.steps {
        step_text(&mut text, step, grain);
    }
    text
}

fn step_text(text: &mut String, step: &ExplainedStep, grain: Grain) {
    let next = &step.next;
    let samples: Vec<String> = next.samples.iter().map(u32::to_string).collect();
    let _ = writeln!(
        text,
        "\nStep {}, epoch {}, rate {}, samples {}",
        next.update,
        next.epoch + 1,
        formula::number(next.lr),
        samples.join(" ")
    );
    let tape = step.tape(grain);
    let mut part = None;
    for operation in &tape.operations {
        if part != Some(operation.part) {
            part = Some(operation.part);
            let _ = writeln!(text, "\n== {} ==", title(operation.part));
        }
        let _ = writeln!(text, "\n{}", operation.title);
        for id in operation.nodes.clone() {
            let node = &tape.nodes[id];
            let _ = writeln!(text, "  {}", formula::text::formula(tape, node));
            matrix(text, node);
        }
    }
    let _ = writeln!(text);
    for sentence in step.agreement() {
        let _ = writeln!(text, "{sentence}");
    }
}

/// The heading of a part.
pub(super) fn title(part: Part) -> &'static str {
    match part {
        Part::Given => "Given",
        Part::Forward => "Forward",
        Part::Loss => "Loss",
        Part::Backward => "Backward",
        Part::Update => "Update",
    }
}

fn matrix(text: &mut String, node: &Node) {
    let [rows, columns] = node.shape;
    let shown = node.values.chunks_exact(columns).take(MOST[0]);
    for row in shown {
        let cells: Vec<String> = row
            .iter()
            .take(MOST[1])
            .map(|&x| format!("{:>11}", short(x)))
            .collect();
        let more = if columns > MOST[1] { " …" } else { "" };
        let _ = writeln!(text, "    {}{more}", cells.join(" "));
    }
    if rows > MOST[0] {
        let _ = writeln!(text, "    … {} more rows", rows - MOST[0]);
    }
}
