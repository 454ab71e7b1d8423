//! One operation on the page: its words, its tensors with their formulas, and its source.

use std::fmt::Write;

use crate::explain::expression::Index;
use crate::explain::formula::{self, number, short};
use crate::explain::quiz::Quiz;
use crate::explain::run::ExplainedStep;
use crate::explain::tape::{Node, Tape, TapedOperation};
use crate::text::escape::escape;

/// One operation.
pub(super) fn article(
    body: &mut String,
    step: &ExplainedStep,
    tape: &Tape,
    operation: &TapedOperation,
    quiz: Option<&Quiz>,
) {
    let title = escape(&operation.title);
    let _ = write!(
        body,
        "<article class=\"operation\" aria-label=\"{title}\" tabindex=\"-1\">\n<h5>{title}</h5>\n<p>{}</p>\n",
        escape(&operation.says)
    );
    if !operation.keeps.is_empty() {
        let _ = writeln!(
            body,
            "<p class=\"keeps\"><b>Kept for the backward.</b> {}</p>",
            escape(&operation.keeps)
        );
    }
    for id in operation.nodes.clone() {
        match quiz.is_some_and(|quiz| quiz.find(&tape.nodes[id].name).is_some()) {
            true => blank(body, tape, id),
            false => tensor(body, step, tape, id),
        }
    }
    if let Some(source) = &operation.source {
        let _ = writeln!(
            body,
            "<details class=\"source\"><summary>The function, in src/{}</summary><pre tabindex=\"0\"><code>{}</code></pre></details>",
            source.file,
            escape_lines(source.lines())
        );
    }
    *body += "</article>\n";
}

/// Escapes a text, line by line: its lines stay lines.
fn escape_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escape).collect();
    lines.join("\n")
}

fn tensor(body: &mut String, step: &ExplainedStep, tape: &Tape, id: usize) {
    let node = &tape.nodes[id];
    let [rows, columns] = node.shape;
    let _ = write!(
        body,
        "<figure class=\"tensor\" data-node=\"{id}\"><figcaption><code class=\"name\">{}</code> <span class=\"formula\" role=\"math\" tabindex=\"0\">{}</span> <span class=\"shape\">{}</span>",
        node.name,
        formula::mathml::formula(tape, node),
        shape(node)
    );
    if let Some(product) = formula::mathml::matrices(tape, node) {
        let _ = write!(body, "<span class=\"matrices\">{product}</span>");
    }
    *body += "</figcaption>\n";
    let label = format!("{}, {rows} rows, {columns} columns", node.name);
    let differences = step.differences.get(&node.name);
    let _ = write!(
        body,
        "<div class=\"scroll\"><table aria-label=\"{label}\"><tbody>"
    );
    for row in 0..rows {
        *body += "<tr>";
        for column in 0..columns {
            let at = row * columns + column;
            let difference = differences.map(|d| d[at]);
            cell(body, node.values[at], node.notes.get(at), difference);
        }
        *body += "</tr>";
    }
    *body += "</tbody></table></div>\n";
    if let Some(differences) = differences {
        checked(body, node, differences);
    }
    *body += "</figure>\n";
}

/// A tensor to be filled in: its formula is folded away.
fn blank(body: &mut String, tape: &Tape, id: usize) {
    let node = &tape.nodes[id];
    let (name, [rows, columns]) = (&node.name, node.shape);
    let _ = write!(
        body,
        "<figure class=\"tensor blank\" data-node=\"{id}\" data-blank=\"{name}\"><figcaption><code class=\"name\">{name}</code> {} = ? <span class=\"shape\">{}</span></figcaption>\n<div class=\"scroll\"><table aria-label=\"{name}, to be filled in\"><tbody>",
        formula::mathml::name(name),
        shape(node)
    );
    for row in 0..rows {
        *body += "<tr>";
        for column in 0..columns {
            let _ = write!(
                body,
                "<td><input type=\"text\" inputmode=\"decimal\" size=\"8\" autocomplete=\"off\" aria-label=\"{name}, row {row}, column {column}\"/></td>"
            );
        }
        *body += "</tr>";
    }
    let _ = write!(
        body,
        "</tbody></table></div>\n<p class=\"scripted\" hidden><button type=\"button\" class=\"check\">Check {name}</button></p><div class=\"verdict\" role=\"status\"></div>\n<details><summary>The formula</summary><p>{}</p></details></figure>\n",
        formula::mathml::formula(tape, node)
    );
}

/// "2×4, samples × units"
fn shape(node: &Node) -> String {
    let axis = |axis: Index| match axis {
        Index::I => "samples",
        Index::J => "units",
        Index::K => "inputs",
        Index::Zero => "",
    };
    let [rows, columns] = node.shape;
    let names: Vec<&str> = node
        .axes
        .into_iter()
        .map(axis)
        .filter(|name| !name.is_empty())
        .collect();
    match names.is_empty() {
        true => "a number".into(),
        false => format!("{rows}×{columns}, {}", names.join(" × ")),
    }
}

/// A cell: rounded, with its exact number if that is another one.
fn cell(body: &mut String, x: f64, note: Option<&String>, difference: Option<Option<f64>>) {
    let shown = short(x);
    *body += "<td";
    if shown.parse() != Ok(x) {
        let _ = write!(body, " data-v=\"{}\"", number(x));
    }
    if let Some(difference) = difference {
        let text = difference.map_or("kink".to_owned(), |d| format!("{d:.6e}"));
        let _ = write!(body, " data-d=\"{text}\"");
    }
    if let Some(note) = note {
        let _ = write!(body, " title=\"{}\"", escape(note));
    }
    let _ = write!(body, ">{shown}</td>");
}

/// How a gradient compares with its central differences.
fn checked(body: &mut String, node: &Node, differences: &[Option<f64>]) {
    let pairs = node.values.iter().zip(differences);
    let apart = pairs.filter_map(|(x, d)| d.map(|d| (x - d).abs()));
    let worst = apart.fold(0.0, f64::max);
    let kinks = differences.iter().filter(|d| d.is_none()).count();
    let kinks = match kinks {
        0 => String::new(),
        1 => "; 1 cell lies at a kink".to_owned(),
        kinks => format!("; {kinks} cells lie at a kink"),
    };
    let _ = writeln!(
        body,
        "<p class=\"checked\">Central differences of the loss: at most {} away{kinks}.</p>",
        short(worst)
    );
}
