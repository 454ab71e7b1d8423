//! The page of `explain`, read as a stranger would: every cell is computed again, in f64, from the formula that the
//! page gives and the exact numbers that its other cells carry.
//!
//! Beside it, `browser.mjs` opens the page in a browser, and `numpy.py` runs the numpy scripts.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A tensor of the page: its name, axes and formula from the data, and its cells.
struct Tensor {
    name: String,
    axes: [Option<char>; 2],
    formula: Value,
    cells: Vec<Vec<f64>>,
}

/// Writes a page and reads it.
fn page(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page");
    let file = run(arguments, &out);
    std::fs::read_to_string(file).unwrap()
}

fn run(arguments: &[&str], out: &Path) -> std::path::PathBuf {
    let done = Command::new(env!("CARGO_BIN_EXE_chainrule"))
        .arg("explain")
        .args(arguments)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    out.join("explain.html")
}

/// What stands between two texts, the first time.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end}")).0
}

/// The tensors of one step and grain.
fn tensors(page: &str, data: &Value, step: usize, grain: &str) -> Vec<Tensor> {
    let section = page.split("<section class=\"step\"").nth(step + 1).unwrap();
    let start = format!("data-grain=\"{grain}\">");
    let section = section.split_once(&start).unwrap().1;
    let section = section.split("<section class=\"grain\"").next().unwrap();
    let nodes = data[step][grain].as_array().unwrap();
    let figures = section
        .split("<figure class=\"tensor\" data-node=\"")
        .skip(1);
    let tensors: Vec<Tensor> = figures
        .enumerate()
        .map(|(place, figure)| {
            let id: usize = figure.split('"').next().unwrap().parse().unwrap();
            assert_eq!(id, place, "tensors stand in order");
            let node = &nodes[id];
            let axis = |at: usize| node["axes"][at].as_str().unwrap().chars().next();
            Tensor {
                name: node["name"].as_str().unwrap().to_owned(),
                axes: [axis(0), axis(1)],
                formula: node["formula"].clone(),
                cells: cells(between(figure, "<tbody>", "</tbody>")),
            }
        })
        .collect();
    assert_eq!(tensors.len(), nodes.len());
    tensors
}

/// The exact number of each cell of a table.
fn cells(table: &str) -> Vec<Vec<f64>> {
    let rows = table.split("<tr>").skip(1);
    let cell = |cell: &str| -> f64 {
        let (attributes, text) = cell.split_once('>').unwrap();
        let text = match attributes.split_once("data-v=\"") {
            Some((_, exact)) => exact.split('"').next().unwrap(),
            None => text.split('<').next().unwrap(),
        };
        text.parse().unwrap_or_else(|_| panic!("{cell}"))
    };
    rows.map(|row| row.split("<td").skip(1).map(cell).collect())
        .collect()
}

/// Where a gradient of 0 is squared, the engine takes a number of this order, so that none becomes subnormal.
const NOTHING: f64 = 1e-200;

/// A value, and how large the terms are that it was added up from.
type Sized = (f64, f64);

/// Where a formula is computed: values of i, j and k.
type At = [usize; 3];

fn index(value: &Value, at: At) -> usize {
    match value.as_str() {
        Some("i") => at[0],
        Some("j") => at[1],
        Some("k") => at[2],
        _ => 0,
    }
}

/// The same formula by another program than the one that wrote it.
fn compute(formula: &Value, at: At, tensors: &[Tensor]) -> Sized {
    let part = |which: usize| compute(&formula[which], at, tensors);
    let alone = |x: f64| (x, x.abs());
    let over = || {
        let count = formula[2].as_u64().unwrap() as usize;
        (0..count).map(|q| {
            let mut inner = at;
            match formula[1].as_str() {
                Some("i") => inner[0] = q,
                Some("j") => inner[1] = q,
                _ => inner[2] = q,
            }
            compute(&formula[3], inner, tensors)
        })
    };
    let operator = formula[0].as_str().unwrap();
    let is_sign = formula.as_array().unwrap().len() == 2;
    match operator {
        "n" => alone(formula[1].as_f64().unwrap()),
        "v" => alone(formula[2].as_f64().unwrap()),
        "c" => {
            let tensor = &tensors[formula[1].as_u64().unwrap() as usize];
            alone(tensor.cells[index(&formula[2], at)][index(&formula[3], at)])
        }
        "sum" => over().fold((0.0, 0.0), |(a, p), (b, q)| (a + b, p + q)),
        "max" => alone(over().map(|(x, _)| x).fold(f64::NEG_INFINITY, f64::max)),
        "-" if is_sign => (-part(1).0, part(1).1),
        "+" => (part(1).0 + part(2).0, part(1).1 + part(2).1),
        "-" => (part(1).0 - part(2).0, part(1).1 + part(2).1),
        "*" => (part(1).0 * part(2).0, part(1).1 * part(2).1),
        "/" => (part(1).0 / part(2).0, part(1).1 / part(2).0.abs()),
        "if" => {
            let (a, b) = (part(2).0, part(3).0);
            let holds = match formula[1].as_str().unwrap() {
                ">" => a > b,
                "≥" => a >= b,
                "=" => a == b,
                other => panic!("{other}"),
            };
            part(if holds { 4 } else { 5 })
        }
        function => {
            let x = part(1).0;
            let y = match function {
                "exp" => x.exp(),
                "expm1" => x.exp_m1(),
                "log" => x.ln(),
                "sqrt" => x.sqrt(),
                "square" => x * x,
                "abs" => x.abs(),
                "sign" if x == 0.0 => 0.0,
                "sign" => x.signum(),
                "tanh" => x.tanh(),
                "sigmoid" => 1.0 / (1.0 + (-x).exp()),
                "normal_cdf" => 0.5 * (1.0 + libm::erf(x / 2.0_f64.sqrt())),
                "normal_density" => (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt(),
                other => panic!("{other}"),
            };
            // The logarithm of 1 + e carries the rounding of 1, and Φ that of ½.
            let carried = matches!(function, "log" | "normal_cdf");
            (y, y.abs().max(if carried { 1.0 } else { 0.0 }))
        }
    }
}

/// Computes every cell of a page again; how many.
fn recompute(page: &str) -> usize {
    let data: Value = serde_json::from_str(between(page, "id=\"tape\">", "</script>")).unwrap();
    let mut count = 0;
    for step in 0..data.as_array().unwrap().len() {
        for grain in ["atomic", "fused"] {
            let tensors = tensors(page, &data, step, grain);
            for tensor in tensors.iter().filter(|t| !t.formula.is_null()) {
                for (row, cells) in tensor.cells.iter().enumerate() {
                    for (column, &shown) in cells.iter().enumerate() {
                        let mut at = [0; 3];
                        for (axis, place) in tensor.axes.into_iter().zip([row, column]) {
                            if let Some(letter) = axis {
                                at[letter as usize - 'i' as usize] = place;
                            }
                        }
                        let (value, size) = compute(&tensor.formula, at, &tensors);
                        let apart = (value - shown).abs();
                        assert!(
                            apart <= 1e-13 * size + NOTHING,
                            "{grain} {}[{row},{column}]: the page has {shown}, its formula gives {value}",
                            tensor.name
                        );
                        count += 1;
                    }
                }
            }
        }
    }
    count
}

#[test]
fn every_cell_of_a_page_follows_from_its_formula() {
    let cases: [&[&str]; 9] = [
        &[
            "--widths",
            "4,3",
            "--batch-norm",
            "--dropout",
            "0.2",
            "--optimizer",
            "adamw",
            "--batch-size",
            "2",
            "--step",
            "0,1,100",
        ],
        &[
            "--activation",
            "gelu",
            "--optimizer",
            "sgd",
            "--momentum",
            "0.9",
            "--nesterov",
            "--clip-norm",
            "0.1",
        ],
        &[
            "--activation",
            "silu",
            "--order",
            "activation_dropout",
            "--dropout",
            "0.5",
            "--optimizer",
            "rmsprop",
        ],
        &[
            "--activation",
            "elu",
            "--optimizer",
            "rprop",
            "--step",
            "0,5",
            "--label-smoothing",
            "0.1",
        ],
        &[
            "--task",
            "regression",
            "--classes",
            "2",
            "--loss",
            "huber",
            "--delta",
            "0.5",
            "--activation",
            "tanh",
        ],
        &[
            "--task",
            "regression",
            "--loss",
            "mae",
            "--activation",
            "sigmoid",
            "--weight-decay",
            "0.1",
        ],
        &[
            "--task",
            "multilabel",
            "--activation",
            "leaky_relu",
            "--batch-size",
            "7",
        ],
        &["--members", "2", "--dropout", "0.2", "--clip-norm", "0.1"],
        &[
            "--embed",
            "piecewise",
            "--bins",
            "2",
            "--embed-width",
            "2",
            "--members",
            "2",
            "--batch-size",
            "3",
            "--step",
            "3",
        ],
    ];
    for arguments in cases {
        let count = recompute(&page(arguments));
        assert!(count > 400, "{arguments:?}: {count} cells");
    }
}

/// A cell that is wrong in the tenth digit is found.
#[test]
#[should_panic(expected = "its formula gives")]
fn a_wrong_cell_is_found() {
    let page = page(&["--batch-size", "2"]);
    let (before, after) = page.split_once("data-node=\"7\"").unwrap();
    let (cell, rest) = after.split_once("data-v=\"").unwrap();
    let (number, rest) = rest.split_once('"').unwrap();
    let number: f64 = number.parse().unwrap();
    let wrong = format!(
        "{before}data-node=\"7\"{cell}data-v=\"{}\"{rest}",
        number * (1.0 + 1e-10)
    );
    recompute(&wrong);
}

#[test]
fn a_small_page_stands_alone_and_is_small() {
    let page = page(&["--widths", "4", "--batch-norm"]);
    assert!(page.contains("4-4-3, batch norm"));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for other in ["http:", "https:", " src=", "href=", "@import", "url("] {
        assert!(!page.contains(other), "{other}");
    }
    // Without script nothing is hidden but what needs it.
    let hidden = page.matches(" hidden>").count();
    assert_eq!(hidden, 3, "controls, panel and how to point at a cell");
}
