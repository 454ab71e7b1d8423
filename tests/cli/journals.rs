//! Journals of an earlier version: joined, and begun anew with the same bytes.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::Chainrule;

/// Files that the earlier version has read and written.
fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/older/journals");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The command that began each journal.
const COMMANDS: [(&str, &str); 4] = [
    (
        "ranges",
        "search --epochs 1 --width 4 --batch-size 8 --lr 1e-4..1e-1:log --dropout 0..0.4:0.1 --depth 2..4 --activation relu,tanh --batch-norm true,false --trials 2",
    ),
    (
        "file",
        "search --config space.toml --trials 2 --seed 5 --repeats 2 --sampler tpe --pruner median --objective val_loss --name mine",
    ),
    (
        "lists",
        "search --batch-size 8 --epochs 1 --widths 4,3/5 --class-weights 1,1,1/1,2,0.5 --augment none --init kaiming_normal,xavier_normal=1.5 --optimizer adam,adamw --weight-decay 0.001..0.01 --schedule plateau --schedule-patience 1..3 --factor 0.1,0.5 --monitor val_loss --patience 3 --min-delta 0.001 --clip-norm 1 --label-smoothing 0.1 --label label --normalize standard --shuffle true --drop-last false --precision f64 --seed 9 --sampler sobol --trials 1",
    ),
    (
        "sweep",
        "sweep --epochs 1 --width 4 --class-weights 1,2.5,1e3 --batch-size 8 lr --values 0.001,0.1 class-weights --values 1,2.5,3/1,1,1 batch_norm --values true,false --repeats 1",
    ),
];

/// The settings whose defaults suit a table.
const CHOSEN: [&str; 5] = [
    "data.normalize",
    "model.batch_norm",
    "train.batch_size",
    "train.monitor",
    "train.patience",
];

/// The plans in a journal, as they are written.
fn plans(journal: &str) -> Vec<&str> {
    let plan = |line: &'_ str| line.find("\"user_attr\":{\"chainrule\":");
    journal
        .lines()
        .filter_map(|line| Some(&line[plan(line)?..]))
        .collect()
}

#[test]
fn plans_say_the_same_and_old_journals_are_joined() {
    let program = Chainrule::new();
    for file in ["small.csv", "space.toml"] {
        program.write(file, fixture(file));
    }
    for (name, command) in COMMANDS {
        let old = fixture(&format!("{name}.journal"));
        program.write("old.journal", &old);
        let run = |journal: &str| {
            let rest = [
                "--data",
                "small.csv",
                "--quiet",
                "--threads",
                "1",
                "--study",
                journal,
            ];
            let args: Vec<&str> = command.split(' ').chain(rest).collect();
            program.stdout(&args);
            fs::read_to_string(program.path(journal)).unwrap()
        };
        assert!(run("old.journal").starts_with(&old), "{name}");
        let new = run(&format!("{name}.journal"));
        assert!(!plans(&old).is_empty());
        // A new study says more: the defaults that suit its table.
        let said = |plan: &str| -> Value {
            let start = plan.find(":{\"chainrule\"").unwrap() + 1;
            let mut records = serde_json::Deserializer::from_str(&plan[start..]).into_iter();
            records.next().unwrap().unwrap()
        };
        for (new, old) in plans(&new).into_iter().zip(plans(&old)) {
            let (mut new, old) = (said(new), said(old));
            let base = |plan: &Value| plan["chainrule"]["base"].as_object().unwrap().clone();
            let mut more = base(&new);
            more.retain(|key, value| base(&old).get(key) != Some(value));
            let keys: Vec<&String> = more.keys().collect();
            for key in keys {
                assert!(CHOSEN.contains(&key.as_str()), "{name}: {key}");
            }
            new["chainrule"]["base"] = old["chainrule"]["base"].clone();
            assert_eq!(new.to_string(), old.to_string(), "{name}");
        }
    }
}

/// A quick study that had begun: its seven plans, and no trial yet.
#[test]
fn a_study_that_had_begun_is_finished() {
    let program = Chainrule::new();
    program.write("more.csv", fixture("more.csv"));
    let old = fixture("study.journal");
    program.write("study/study.journal", &old);
    let command = "study --preset quick --data more.csv --epochs 1 --width 4 --quiet --out study";
    program.stdout(&command.split(' ').collect::<Vec<_>>());
    let new = fs::read_to_string(program.path("study/study.journal")).unwrap();
    assert!(new.starts_with(&old));
    assert_eq!(plans(&new).len(), 7);
}
