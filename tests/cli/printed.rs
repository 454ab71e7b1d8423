//! What comes from files is shown, but neither obeyed by a terminal nor calculated by a spreadsheet.

use std::fs;

use crate::support::Chainrule;

/// Characters that a terminal would obey, and some that would reorder or hide text.
const HOSTILE: &str =
    "\u{1b}]0;pwned\u{7}\u{1b}[2J\u{8}\r\u{7f}\u{9b}31m\u{202e}\u{2066}\u{200b}\u{e0041}";

/// Rows of two classes, with this name for the first of them.
fn rows(class: &str, columns: [&str; 2]) -> String {
    let mut text = format!("\"{}\",\"{}\",label\n", columns[0], columns[1]);
    for i in 0..40 {
        let (x, name) = match i % 2 {
            0 => (i, "other"),
            _ => (-i, class),
        };
        text += &format!("{x},{i},\"{}\"\n", name.replace('"', "\"\""));
    }
    text
}

const TRAIN: [&str; 10] = [
    "train",
    "--batch-size",
    "8",
    "--epochs",
    "1",
    "--width",
    "4",
    "--out",
    "run",
    "--data",
];

/// Runs a command. All that it prints may go to a terminal: lines, and nothing that is obeyed.
#[track_caller]
fn printed(program: &Chainrule, args: &[&str]) -> String {
    let output = program.run(args);
    let text = output.stdout + &output.stderr;
    let obeyed = |c: char| c != '\n' && (c.is_control() || HOSTILE.contains(c) && !c.is_ascii());
    assert!(!text.contains(obeyed), "{args:?}: {text:?}");
    text
}

#[test]
fn no_class_name_or_column_steers_the_terminal() {
    let program = Chainrule::new();
    let class = format!("a\nfake line{HOSTILE}z");
    // Windows forbids such a file.
    let colour = if cfg!(windows) { "" } else { "\u{1b}[31m" };
    let data = format!("d{colour}.csv");
    program.write(&data, rows(&class, ["x", &format!("y{HOSTILE}")]));
    let shown = "a\\nfake line\\u{1b}]0;pwned\\u{7}\\u{1b}[2J\\u{8}\\r\\u{7f}\\u{9b}31m\\u{202e}\\u{2066}\\u{200b}\\u{e0041}z";
    printed(&program, &[&TRAIN[..], &[&data]].concat());
    let commands: [&[&str]; 8] = [
        &["data", "info", "--data", &data],
        &["data", "verify", "--data", &data],
        &["eval", "--model", "run", "--data", &data],
        &["eval", "--model", "run", "--data", &data, "--json"],
        &["predict", "--model", "run", &data],
        &["predict", "--model", "run", &data, "--json"],
        &["runs", "run"],
        &["runs", "run", "--json"],
    ];
    for command in commands {
        let text = printed(&program, command);
        assert!(!text.lines().any(|line| line.starts_with("fake")), "{text}");
        let in_json = command.contains(&"--json");
        if matches!(
            command[..2],
            ["data", "info"] | ["eval", _] | ["predict", _]
        ) && !in_json
        {
            assert!(text.contains(shown), "{command:?}: {text}");
        }
    }
    let json = program.json(&["predict", "--model", "run", &data, "--json"]);
    assert_eq!(json["classes"][0], class, "the same text once it is read");
}

#[test]
fn no_cell_in_a_message_steers_the_terminal() {
    let program = Chainrule::new();
    let start = "a,b,label\n\u{1b}]0;pwned\u{7}\u{1b}[2J,1,0\nx,2,1\n";
    program.write("esc.csv", start);
    let text = printed(&program, &["data", "info", "--data", "esc.csv"]);
    assert!(text.contains("\\u{1b}]0;pwned\\u{7}\\u{1b}[2J"), "{text}");
    program.write("wide.csv", format!("1,2,0\n3,\"{HOSTILE}\n4\",1\n"));
    printed(&program, &["data", "info", "--data", "wide.csv"]);
    program.write("bad.toml", "[model]\n\"\\u001b[2J\\u009b\" = 1\n");
    let config = printed(
        &program,
        &["train", "--config", "bad.toml", "--data", "wide.csv"],
    );
    assert!(config.contains("\\u{1b}[2J\\u{9b}"), "{config}");
    program.write("space.toml", "[space]\nlr = \"\\u001b[2J\\u202e\"\n");
    printed(
        &program,
        &["search", "--config", "space.toml", "--data", "wide.csv"],
    );
}

#[test]
fn no_argument_steers_the_terminal() {
    let program = Chainrule::new();
    let flag = format!("--{HOSTILE}");
    for args in [
        vec!["train", flag.as_str()],
        vec![HOSTILE],
        vec!["search", "--trials", HOSTILE],
        vec!["search", "--sampler", HOSTILE],
        vec!["search", "--name", HOSTILE],
        vec!["train", "--data", HOSTILE],
        vec!["train", "--class-weights", HOSTILE],
        vec!["runs", HOSTILE],
        vec!["report", HOSTILE],
    ] {
        let text = printed(&program, &args);
        assert!(
            text.contains("\\u{1b}") || text.contains("tip:"),
            "{args:?}: {text}"
        );
    }
}

#[test]
fn no_cell_of_predictions_is_a_formula() {
    let program = Chainrule::new();
    for (class, cell) in [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-x", "'-x"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\u{1b}[2J", "\\u{1b}[2J"),
    ] {
        let data = "=data.csv";
        program.write(data, rows(class, ["x", "y"]));
        let _ = fs::remove_dir_all(program.path("run"));
        let trained = program.run(&[&TRAIN[..], &[data]].concat());
        assert_eq!(trained.code, 0, "{trained:?}");
        program.stdout(&["predict", "--model", "run", data, "--out", "out.csv"]);
        let text = fs::read_to_string(program.path("out.csv")).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let header = lines.next().unwrap();
        assert!(header[5..].iter().all(|name| name.starts_with("p_")));
        for line in lines {
            assert_eq!(line[0], "'=data.csv");
            assert!([cell, "other"].contains(&line[3]), "{class:?}: {line:?}");
            let numbers = [1, 2, 4, 5, 6].map(|i| line[i].parse::<f64>());
            assert!(numbers.iter().all(Result::is_ok), "{line:?}");
        }
    }
}

#[test]
fn names_that_are_too_long_are_refused_before_the_work() {
    let program = Chainrule::new();
    program.write("d.csv", rows("a", ["x", "y"]));
    let long = "n".repeat(300);
    let wide = "é".repeat(150);
    for name in [&long, &wide] {
        program.refused(
            &[
                "search", "--data", "d.csv", "--lr", "0.1..1", "--name", name,
            ],
            &["--name", "at most 255 bytes", "300"],
        );
    }
    for args in [
        &[
            "search", "--data", "d.csv", "--lr", "0.1..1", "--study", &long,
        ][..],
        &[
            "sweep", "lr", "--values", "1", "--data", "d.csv", "--study", &long,
        ],
        &["study", "--data", "d.csv", "--out", &long],
        &["train", "--data", "d.csv", "--out", &long],
        &["train", "--data", "d.csv", "--save", &long],
        &["train", "--data", &long],
        &["train", "--config", &long],
        &["eval", "--model", &long],
        &["data", "show", "--data", "d.csv", "--out", &long],
    ] {
        program.refused(args, &["at most 255 bytes"]);
    }
    let left = fs::read_dir(program.path(".")).unwrap().count();
    assert_eq!(left, 1, "only the data");
}

#[test]
fn text_that_is_not_utf8_is_bad_input() {
    let program = Chainrule::new();
    program.write("d.csv", rows("a", ["x", "y"]));
    let trained = program.run(&[&TRAIN[..], &["d.csv"]].concat());
    assert_eq!(trained.code, 0, "{trained:?}");
    program.write("latin.toml", b"# ok\n# caf\xe9\n");
    program.write("wide.toml", b"\xff\xfe[\0t\0r\0a\0i\0n\0]\0");
    let place = ["line 2, byte 10 of the file", "UTF-8", "byte 0xe9"];
    for command in ["train", "search", "sweep", "study"] {
        for (file, words) in [("latin.toml", &place[..]), ("wide.toml", &["UTF-16"])] {
            program.refused(&[command, "--config", file, "--data", "d.csv"], words);
        }
    }
    program.write("wide.csv", b"\xff\xfea\0,\0b\0\n\0");
    program.refused(&["train", "--data", "wide.csv"], &["UTF-16"]);
    program.write("latin.csv", b"a,b,label\n1,2,caf\xe9\n");
    program.refused(
        &["train", "--data", "latin.csv"],
        &["line 2, column 3", "UTF-8"],
    );
    program.write("sums/SHA256SUMS", b"# caf\xe9\n");
    program.refused(&["data", "verify", "--data", "sums"], &["line 1", "UTF-8"]);
    program.write("run/config.toml", b"\n\xe9");
    program.refused(
        &["train", "--resume", "run"],
        &["config.toml: line 2", "UTF-8"],
    );
    program.write(
        "latin.journal",
        b"{\"op_code\": 0, \"study_name\": \"\xe9\"}\n",
    );
    program.refused(&["report", "latin.journal"], &["line 1", "utf-8"]);
}

#[test]
fn a_mark_of_utf8_is_no_part_of_the_settings() {
    let program = Chainrule::new();
    program.write("d.csv", rows("a", ["x", "y"]));
    program.write("mark.toml", "\u{feff}[train]\nepochs = 1\nbatch_size = 8\n");
    let args = [
        "train",
        "--config",
        "mark.toml",
        "--width",
        "4",
        "--data",
        "d.csv",
    ];
    let output = program.run(&args);
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn a_folder_for_a_file_is_bad_input() {
    let program = Chainrule::new();
    program.write("d.csv", rows("a", ["x", "y"]));
    program.write("folder/x", "");
    let trained = program.run(&[&TRAIN[..], &["d.csv"]].concat());
    assert_eq!(trained.code, 0, "{trained:?}");
    for args in [
        &["train", "--config", "folder", "--data", "d.csv"][..],
        &["train", "--data", "d.csv", "--out", "d.csv"],
        &["train", "--data", "d.csv", "--save", "folder"],
        &["train", "--data", "d.csv/x"],
        &[
            "search", "--data", "d.csv", "--lr", "0.1..1", "--study", "folder",
        ],
        &["study", "--data", "d.csv", "--out", "d.csv"],
        &["predict", "--model", "run", "d.csv", "--out", "folder"],
        &["predict", "--model", "folder", "d.csv"],
        &["data", "show", "--data", "d.csv", "--out", "folder"],
        &["data", "show", "--data", "d.csv", "--out", "gone/a.png"],
        &["report", "folder"],
        &["report", "none.journal"],
    ] {
        program.refused(args, &[]);
    }
}
