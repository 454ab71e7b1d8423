//! `explain`: a step in every form, and the marks of a quiz.

use std::fs;

use crate::support::{Chainrule, npy, write_images, write_npz};

/// Numbers as little-endian bytes.
fn bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A tensor's CSV file.
fn tensor(program: &Chainrule, name: &str) -> Vec<Vec<f64>> {
    let text = fs::read_to_string(program.path(&format!("csv/step-0/{name}.csv"))).unwrap();
    let row = |line: &str| line.split(',').map(|x| x.parse().unwrap()).collect();
    text.lines().map(row).collect()
}

#[test]
fn without_flags_it_writes_one_page() {
    let program = Chainrule::new();
    assert_eq!(program.stdout(&["explain"]), "");
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(program.path(folder)).unwrap();
        entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names("explain"), ["explain.html"]);
    let page = fs::read_to_string(program.path("explain/explain.html")).unwrap();
    assert!(page.contains("4-4-3"), "a small network on drawn data");
    assert_eq!(names("."), ["explain"], "no run is left");
}

#[test]
fn text_csv_and_numpy_agree() {
    let program = Chainrule::new();
    let text = program.stdout(&[
        "explain",
        "--text",
        "--csv",
        "csv",
        "--numpy",
        "step.py",
        "--batch-size",
        "5",
    ]);
    assert!(
        !program.path("explain").exists(),
        "no page unless it is asked for"
    );
    for words in [
        "== Backward ==",
        "dW1[j,k] = Σᵢ dY1[i,j]·X[i,k]",
        "are those of training itself, bit for bit",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let index = fs::read_to_string(program.path("csv/step-0/index.csv")).unwrap();
    assert!(
        index.contains("dW1,4,4,Backward,Linear 1: its parameters,"),
        "{index}"
    );
    let (dy, x, dw) = (
        tensor(&program, "dY1"),
        tensor(&program, "X"),
        tensor(&program, "dW1"),
    );
    for j in 0..4 {
        for k in 0..4 {
            let sum: f64 = (0..5).map(|i| dy[i][j] * x[i][k]).sum();
            assert!((sum - dw[j][k]).abs() <= 1e-15, "{j} {k}");
        }
    }
    let script = fs::read_to_string(program.path("step.py")).unwrap();
    assert!(
        script.contains("dW1 = check(\"dW1\", (dY1.T @ X), [["),
        "{script}"
    );
    let fused = program.stdout(&["explain", "--text", "--grain", "fused"]);
    assert!(
        fused.contains("fused grain") && !fused.contains("dlogP"),
        "{fused}"
    );
}

/// The data, the weights and the settings of a run.
#[test]
fn a_step_of_somebody_s_own_run() {
    let program = Chainrule::new();
    program.write(
        "t.csv",
        "a,b,kind\n1,2,x\n2,1,y\n3,5,x\n4,0,y\n0,2,x\n2,2,y\n1,1,x\n5,2,y\n",
    );
    let settings = [
        "--data",
        "t.csv",
        "--label",
        "kind",
        "--widths",
        "3",
        "--batch-size",
        "2",
        "--epochs",
        "2",
    ];
    let train = [
        &[
            "train",
            "--out",
            "run",
            "--save",
            "w.safetensors",
            "--quiet",
        ][..],
        &settings,
    ]
    .concat();
    program.stdout(&train);
    let config = [
        "explain",
        "--config",
        "run/config.toml",
        "--step",
        "0,3",
        "--text",
    ];
    let text = program.stdout(&config);
    assert!(
        text.contains("2-3-2") && text.contains("Step 3, epoch"),
        "{text}"
    );
    let from = program.stdout(&[&config[..], &["--init-from", "w.safetensors"]].concat());
    assert_ne!(text, from, "it starts with other weights");
    program.refused(
        &["explain", "--config", "run/config.toml", "--step", "99"],
        &["--step", "99"],
    );
}

/// Numbers with bins and a map of their own, beside a column of words, which is not embedded.
#[test]
fn embedded_features_and_members_of_a_table() {
    let program = Chainrule::new();
    let row = |i: u32| {
        format!(
            "{},{},{}\n",
            i * 7 % 11,
            ["red", "blue"][i as usize % 2],
            i % 3
        )
    };
    let rows: String = (0..40).map(row).collect();
    program.write("table.csv", format!("size,colour,class\n{rows}"));
    let args = "explain --data table.csv --label class --embed piecewise --bins 3 --embed-width 2 --members 2";
    let mut args: Vec<&str> = args.split(' ').collect();
    args.extend(["--csv", "csv", "--text", "--optimizer", "sgd"]);
    let text = program.stdout(&args);
    assert!(
        text.contains(
            "The new parameters of the fused grain are those of training itself, bit for bit."
        ),
        "{text}"
    );
    let [stays, own, w, v] = ["stays0", "own0", "W0", "V0"].map(|name| tensor(&program, name));
    assert!(stays.iter().flatten().any(|&x| x == 1.0));
    assert!(own.iter().flatten().any(|&x| x == 1.0));
    for (place, v) in v.iter().flatten().enumerate() {
        let at = |matrix: &[Vec<f64>]| matrix.concat()[place];
        assert_eq!(*v, at(&own) * at(&w) + at(&stays));
    }
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    program.refused(
        &["explain", "--widths", "900"],
        &["40000 numbers", "--widths 4,3"],
    );
    program.refused(&["explain", "--precision", "bf16"], &["--precision", "f64"]);
    program.refused(&["explain", "--classes", "1"], &["--classes", "at least 2"]);
    program.refused(
        &["explain", "--data", "set.npz", "--inputs", "3"],
        &["--inputs"],
    );
    program.refused(&["explain", "--blank", "dW1"], &["--quiz"]);
    program.refused(
        &["explain", "--quiz", "--blank", "dW7"],
        &["--blank", "dW7", "dW1"],
    );
    program.refused(
        &["explain", "--quiz", "--step", "0,1"],
        &["--step", "one step"],
    );
}

#[test]
fn a_quiz_leaves_blanks_and_marks_answers() {
    let program = Chainrule::new();
    program.stdout(&[
        "explain",
        "--quiz",
        "--blank",
        "dW2,db2",
        "--batch-size",
        "5",
    ]);
    let page = fs::read_to_string(program.path("explain/quiz.html")).unwrap();
    assert!(page.contains("data-blank=\"dW2\"") && page.contains("data-blank=\"db2\""));
    assert!(
        !page.contains("m_W2_new</code>"),
        "the update would give the answer away"
    );

    program.stdout(&["explain", "--csv", "csv", "--batch-size", "5"]);
    let dw: Vec<f64> = tensor(&program, "dW2").concat();
    let wrong: Vec<f64> = dw.iter().map(|x| -x).collect();
    let dz = tensor(&program, "dZ").concat();
    let arrays = [
        ("dW2", npy("<f8", &[3, 4], &bytes(&wrong))),
        ("db2", npy("<f8", &[5, 3], &bytes(&dz))),
    ];
    write_npz(&program.path("answers.npz"), &arrays);
    let mark =
        |file: &str| program.run(&["explain", "--quiz", "--batch-size", "5", "--answers", file]);
    let found = mark("answers.npz");
    let text = &found.stdout;
    assert_eq!(found.code, 1, "{text}");
    assert!(text.contains("dW2: wrong: the sign is wrong"), "{text}");
    assert!(
        text.contains("db2: wrong: the sum over the batch is missing"),
        "{text}"
    );

    let rounded: Vec<String> = tensor(&program, "dW2")
        .iter()
        .map(|row| {
            row.iter()
                .map(|x| format!("{x:.4}"))
                .collect::<Vec<_>>()
                .join(", ")
        })
        .collect();
    program.write("dW2.csv", rounded.join("\n"));
    let found = mark("dW2.csv");
    assert_eq!(found.stdout, "dW2: right to rounding\n");
    assert_eq!(found.code, 0);
    fs::write(program.path("dW2.npy"), npy("<f8", &[3, 4], &bytes(&dw))).unwrap();
    assert_eq!(mark("dW2.npy").stdout, "dW2: right\n");

    program.write("db2.csv", "1,2\n");
    let found = mark("db2.csv");
    assert!(found.stdout.contains("expected 1×3, found 1×2"));
    program.write("db2.csv", "1,two,3\n");
    assert_eq!(mark("db2.csv").code, 2);
}
