//! The page: one HTML file with everything in it, without network. It can be read from top to bottom without script;
//! the script adds the sum behind each cell, and shows one step and one grain at a time.

mod operation;

use std::fmt::Write;

use serde_json::{Value, json};

use super::text::title;
use crate::explain::formula;
use crate::explain::quiz::{EXACT, Quiz, ROUNDED};
use crate::explain::run::{ExplainedStep, Explanation, MOST_CELLS};
use crate::explain::tape::{Grain, Part, Tape};
use crate::text::escape::escape;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

const HOW_TO_READ: &str = "\
Every matrix of the step stands below, in the order in which it is computed: forward, loss, backward, update. A vector is a \
matrix with one row or one column. The index i is a sample, j a unit that a layer computes, k a unit that it reads. A \
gradient has a d in front: dW is how much the loss grows with each entry of W. A value after the step has a prime. All \
is computed in f64, and shown rounded; each cell carries the exact number.";

const WITH_SCRIPT: &str = "\
Point at a cell, or move to it with Tab and the arrow keys: its sum is shown with numbers, and what it was made from is \
marked.";

/// The page of all steps. With a quiz, its tensors are blank, and so is the update if it would give them away.
pub fn page(explanation: &Explanation, quiz: Option<&Quiz>) -> String {
    let mut body = String::new();
    let description = escape(&explanation.describe());
    let _ = write!(
        body,
        "<header><h1>A training step, number by number</h1>\n<p class=\"lead\">{description}</p>\n<p>{HOW_TO_READ} \
         <span class=\"scripted\" hidden>{WITH_SCRIPT}</span></p>\n<p class=\"note\">Data: {}. Outputs: {}. A page holds at \
         most {MOST_CELLS} numbers.</p></header>\n",
        escape(&explanation.data),
        escape(&explanation.outputs.join(", "))
    );
    controls(&mut body, explanation);
    body += "<main>\n";
    for step in &explanation.steps {
        step_section(&mut body, step, quiz);
    }
    body += "</main>\n<aside id=\"panel\" aria-live=\"polite\" aria-label=\"The cell\" hidden></aside>\n";
    let json = |value: Value| value.to_string().replace("</", "<\\/");
    let (data, blanks) = (json(data(explanation)), json(blanks(quiz)));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/><title>A training step, number by number</title><style>{STYLE}</style></head>\n<body>\n{body}<footer>chainrule {}</footer>\n<script type=\"application/json\" id=\"tape\">{data}</script>\n<script type=\"application/json\" id=\"quiz\">{blanks}</script>\n<script>{SCRIPT}</script>\n</body></html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Buttons and sliders; hidden until the script can make them work.
fn controls(body: &mut String, explanation: &Explanation) {
    *body += "<nav id=\"controls\" aria-label=\"Steps and operations\" hidden>\n<fieldset><legend>Grain</legend>";
    for grain in Grain::ALL {
        let name = grain.name();
        let checked = if grain == Grain::Atomic {
            " checked"
        } else {
            ""
        };
        let _ = write!(
            body,
            "<label><input type=\"radio\" name=\"grain\" value=\"{name}\"{checked}/> {name}</label> "
        );
    }
    *body += "</fieldset>\n";
    let steps = explanation.steps.len();
    if steps > 1 {
        let _ = writeln!(
            body,
            "<div class=\"stepper\"><button type=\"button\" data-step=\"-1\" aria-label=\"Step before\">◀</button><label>Step <output id=\"step-number\">{}</output><input type=\"range\" id=\"step\" min=\"0\" max=\"{}\" value=\"0\"/></label><button type=\"button\" data-step=\"1\" aria-label=\"Step after\">▶</button></div>",
            explanation.steps[0].next.update,
            steps - 1
        );
    }
    *body += "<div class=\"stepper\"><button type=\"button\" data-operation=\"-1\" aria-label=\"Operation before\">◀</button><label>Operation <output id=\"operation-title\"></output><input type=\"range\" id=\"operation\" min=\"0\" max=\"0\" value=\"0\"/></label><button type=\"button\" data-operation=\"1\" aria-label=\"Operation after\">▶</button></div>\n</nav>\n";
}

fn step_section(body: &mut String, step: &ExplainedStep, quiz: Option<&Quiz>) {
    let next = &step.next;
    let samples: Vec<String> = next.samples.iter().map(u32::to_string).collect();
    let _ = write!(
        body,
        "<section class=\"step\" data-step=\"{}\">\n<h2>Step {}</h2>\n<p>Epoch {}, learning rate {}, samples {}.</p>\n<ul class=\"agreement\">",
        next.update,
        next.update,
        next.epoch + 1,
        formula::number(next.lr),
        samples.join(", ")
    );
    for sentence in step.agreement() {
        let _ = write!(body, "<li>{}</li>", escape(&sentence));
    }
    *body += "</ul>\n";
    for grain in Grain::ALL {
        grain_section(body, step, grain, quiz);
    }
    *body += "</section>\n";
}

fn grain_section(body: &mut String, step: &ExplainedStep, grain: Grain, quiz: Option<&Quiz>) {
    let tape = step.tape(grain);
    let says = match grain {
        Grain::Atomic => {
            "One simple operation at a time. Each backward line is one local derivative."
        }
        Grain::Fused => {
            "As the engine computes: its own functions gave these numbers. What belongs together is one operation with one \
             derivative, which is shorter, faster and loses fewer digits."
        }
    };
    let name = grain.name();
    let _ = write!(
        body,
        "<section class=\"grain\" data-grain=\"{name}\">\n<h3>Step {}, {name} grain</h3>\n<p>{says}</p>\n",
        step.next.update
    );
    let mut part: Option<Part> = None;
    for operation in &tape.operations {
        if operation.part == Part::Update && quiz.is_some_and(|quiz| !quiz.asks_for_update(step)) {
            continue;
        }
        if part != Some(operation.part) {
            part = Some(operation.part);
            let _ = writeln!(body, "<h4>{}</h4>", title(operation.part));
        }
        operation::article(body, step, tape, operation, quiz);
    }
    *body += "</section>\n";
}

/// What the script needs: of each step and grain its tensors' names, axes and formulas. The numbers are in the cells.
fn data(explanation: &Explanation) -> Value {
    let tape = |tape: &Tape| -> Value {
        let nodes = tape.nodes.iter().map(|node| {
            let axes = node.axes.map(|axis| axis.letter().unwrap_or(""));
            let formula = node.expr.as_ref().map(formula::json::value);
            json!({"name": node.name, "axes": axes, "formula": formula})
        });
        Value::Array(nodes.collect())
    };
    let steps = explanation.steps.iter().map(|step| {
        let [atomic, fused] = [tape(&step.tapes[0]), tape(&step.tapes[1])];
        json!({"step": step.next.update, "atomic": atomic, "fused": fused})
    });
    Value::Array(steps.collect())
}

/// What the script needs to compare answers.
fn blanks(quiz: Option<&Quiz>) -> Value {
    let Some(quiz) = quiz else { return Value::Null };
    let blanks = quiz.blanks.iter().map(|blank| {
        let candidates = blank.candidates.iter().map(
            |c| json!({"mistake": c.mistake, "shape": c.shape, "values": c.values, "size": c.size}),
        );
        (blank.name.clone(), Value::Array(candidates.collect()))
    });
    let blanks: serde_json::Map<String, Value> = blanks.collect();
    json!({"exact": EXACT, "rounded": ROUNDED, "blanks": blanks})
}
