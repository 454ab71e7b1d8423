//! A step as CSV files: numbers alone, one file a tensor, and an index of all.

use crate::explain::formula::{self, number};
use crate::explain::run::Explanation;
use crate::explain::tape::Grain;
use crate::text::csv::table;

/// Files of all steps in one grain: their names, below a folder a step, and contents.
pub fn csv_files(explanation: &Explanation, grain: Grain) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for step in &explanation.steps {
        let tape = step.tape(grain);
        let folder = format!("step-{}", step.next.update);
        let mut index = Vec::new();
        for operation in &tape.operations {
            for id in operation.nodes.clone() {
                let node = &tape.nodes[id];
                let [rows, columns] = node.shape.map(|size| size.to_string());
                let formula = formula::text::formula(tape, node);
                let part = super::text::title(operation.part).to_owned();
                let (name, title) = (node.name.clone(), operation.title.clone());
                index.push([name, rows, columns, part, title, formula]);
                let rows = node.values.chunks_exact(node.shape[1]).map(|row| {
                    let cells: Vec<String> = row.iter().map(|&x| number(x)).collect();
                    cells.join(",") + "\n"
                });
                files.push((format!("{folder}/{}.csv", node.name), rows.collect()));
            }
        }
        let header = ["tensor", "rows", "columns", "part", "operation", "formula"];
        files.push((format!("{folder}/index.csv"), table(&header, index)));
    }
    files
}
