use std::fs;

use serde_json::json;

use super::*;
use crate::metrics::Direction;
use crate::search::journal::{NewTrial, Operation, Parameter, TrialState};
use crate::search::{Distribution, Space};

/// A study's first line.
fn study(name: &str, direction: Direction) -> Operation {
    Operation::CreateStudy {
        name: name.into(),
        directions: vec![direction],
    }
}

/// A trial that has ended, in one line.
fn trial(
    study: usize,
    state: TrialState,
    parameters: &[(&str, f64, &Distribution)],
    fill: impl FnOnce(&mut NewTrial),
) -> Operation {
    let mut trial = NewTrial::new(state, Some("2026-01-01T00:00:00.000000+00:00".into()));
    trial.complete = trial.start.clone();
    for &(name, internal, distribution) in parameters {
        let distribution = distribution.clone();
        let parameter = Parameter {
            internal,
            distribution,
        };
        trial.params.insert(name.into(), parameter);
    }
    fill(&mut trial);
    Operation::CreateTrial {
        study,
        trial: Box::new(trial),
    }
}

/// What our own trials note of their repeats.
fn repeats(repeats: &[f64]) -> impl FnOnce(&mut NewTrial) {
    move |trial| {
        for key in ["val_accuracy", "val_loss"] {
            trial.user_attrs.insert(key.into(), json!(repeats));
        }
        trial.user_attrs.insert("seeds".into(), json!([11, 12, 13]));
        if trial.state == TrialState::Complete {
            trial.values = Some(vec![repeats.iter().sum::<f64>() / repeats.len() as f64]);
        }
    }
}

fn written(path: &Path, operations: Vec<Operation>) {
    let mut journal = Journal::join(path).unwrap();
    journal
        .transaction(|_| Ok((operations.clone(), ())))
        .unwrap();
}

/// A file with a series of four values, of which the third diverged and the last has not begun, and a search of five
/// trials.
fn journal(path: &Path) {
    let metric = |study| Operation::StudySystemAttr {
        study,
        key: "study:metric_names".into(),
        value: json!(["val_accuracy"]),
    };
    let mut space = Space::default();
    space
        .add_choices("activation", "relu,tanh,elu,silu")
        .unwrap();
    space.add("lr", "1e-4..1e-1:log").unwrap();
    let distributions: Vec<_> = space.distributions().collect();
    let plan = json!({"sampler": "grid", "seed": 5, "repeats": 3, "objective": "val_accuracy", "base": {"train.epochs": "1"}});
    let mut operations = vec![
        study("sweep-activation", Direction::Maximize),
        metric(0),
        Operation::StudyUserAttr {
            study: 0,
            key: "chainrule".into(),
            value: plan,
        },
        study("search", Direction::Maximize),
        metric(1),
    ];
    for (choice, state, values) in [
        (0.0, TrialState::Complete, &[0.87, 0.88, 0.89][..]),
        (1.0, TrialState::Complete, &[0.86, 0.86, 0.87]),
        (2.0, TrialState::Pruned, &[0.1]),
    ] {
        let activation = ("activation", choice, distributions[0]);
        operations.push(trial(0, state, &[activation], repeats(values)));
    }
    for (x, value) in [
        (0.001, 0.8),
        (0.01, 0.9),
        (0.05, 0.85),
        (0.002, 0.91),
        (0.0005, 0.7),
    ] {
        let lr = ("lr", x, distributions[1]);
        operations.push(trial(1, TrialState::Complete, &[lr], repeats(&[value])));
    }
    written(path, operations);
}

#[test]
fn a_file_becomes_a_page_with_its_figures() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    journal(&path);
    let page = fs::read_to_string(write(&path, dir.path(), None).unwrap()).unwrap();
    assert!(
        page.contains("<strong>lr 0.002</strong>, with a validation accuracy of 0.9100. Trials of search: 5 complete."),
        "{page}"
    );
    let effect = "<td>activation</td><td>relu</td><td>0.8800</td><td>elu</td><td>diverged</td><td>–</td><td>–</td>";
    assert!(page.contains(effect), "{page}");
    assert!(page.contains("<tr><td>elu</td><td>–</td><td>–</td><td>–</td><td>diverged</td></tr>"));
    assert!(page.contains("Not finished: 1 of 4 values have no result yet."));
    // Squares of 2 and 2/3 in 10⁴, with two degrees of freedom each.
    assert!(
        page.contains("in common, 0.0082 with 4 degrees of freedom"),
        "{page}"
    );
    assert!(!page.contains("the whole training part"), "no such trial");
    assert_eq!(
        page.matches("<svg").count(),
        2 + 2,
        "accuracy and loss of a series, a history and a slice"
    );
    assert!(page.contains(
        "chainrule sweep activation --values relu,tanh,elu,silu --repeats 3 --seed 5 --epochs 1"
    ));
    assert!(!page.contains("final model"), "there is none in a file");
    let without_names = page.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !page.contains("NaN") && !page.contains("<script") && !without_names.contains("http"),
        "nothing is fetched"
    );
    let figure = |name: &str| fs::read_to_string(dir.path().join("figures").join(name)).unwrap();
    assert_eq!(
        figure("search-history.csv"),
        "trial,val_accuracy,best\n0,0.8,0.8\n1,0.9,0.9\n2,0.85,0.9\n3,0.91,0.91\n4,0.7,0.91\n"
    );
    assert!(figure("search-lr.csv").contains("3,0.002,0.91"));
    let series = figure("sweep-activation-accuracy.csv");
    assert!(
        series.starts_with("activation,repeat,val_accuracy,seed\nrelu,0,0.87,11\nrelu,1,0.88,12\n"),
        "{series}"
    );
    assert_eq!(series.lines().count(), 1 + 6 + 1);
    let svg = figure("sweep-activation-accuracy.svg");
    assert_eq!(svg.matches("<circle").count(), 6 + 2 + 1);
    assert!(svg.contains("<title>elu: diverged</title>"), "{svg}");
    assert!(figure("sweep-activation-loss.svg").contains("validation loss"));
}

/// The value that was asked for stays in the table.
#[test]
fn a_shortened_batch_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    let mut space = Space::default();
    space.add_choices("batch_size", "64,256").unwrap();
    let sizes = space.distributions().next().unwrap();
    let mut operations = vec![study("sweep-batch_size", Direction::Maximize)];
    operations.push(Operation::StudyUserAttr {
        study: 0,
        key: "chainrule".into(),
        value: json!({"sampler": "grid"}),
    });
    for choice in [0.0, 1.0] {
        let trial = trial(
            0,
            TrialState::Complete,
            &[("batch_size", choice, sizes)],
            |t| {
                repeats(&[0.5, 0.75])(t);
                if choice == 1.0 {
                    t.user_attrs
                        .insert("whole_training_part".into(), json!([96, 97]));
                }
            },
        );
        operations.push(trial);
    }
    written(&path, operations);
    let page = fs::read_to_string(write(&path, dir.path(), None).unwrap()).unwrap();
    assert!(
        page.contains("the whole training part, 96 or 97 samples."),
        "{page}"
    );
    assert!(page.contains("<td>256</td>"), "{page}");
}

/// Trials of two parameters with reports, as Optuna writes them: there is no plan.
#[test]
fn a_study_of_another_program_has_all_charts_of_a_search() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.journal");
    let x = Distribution::float(0.0, 1.0, false, None).unwrap();
    let n = Distribution::int(1, 64, true, 1).unwrap();
    let mut operations = vec![study("../by <hand>", Direction::Minimize)];
    operations.extend((0..20).map(|i| {
        let place = f64::from(i) / 20.0;
        let point = [("x", place, &x), ("n", f64::from(1 + i * 7 % 20), &n)];
        trial(0, TrialState::Complete, &point, |trial| {
            trial.values = Some(vec![place]);
            trial.reports = (1..=3)
                .map(|step| (step, place + 1.0 / step as f64))
                .collect();
        })
    }));
    operations.push(trial(0, TrialState::Pruned, &[], |trial| {
        trial.reports.insert(1, 4.0);
    }));
    written(&path, operations);
    let page = fs::read_to_string(write(&path, &dir.path().join("out"), None).unwrap()).unwrap();
    assert!(
        page.contains("by &lt;hand&gt;") && !page.contains("<hand>"),
        "{page}"
    );
    assert!(
        page.contains("with a value of 0.0000") && !page.contains("chainrule search"),
        "{page}"
    );
    let folder = dir.path().join("out/figures");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.ends_with(".csv"));
    names.sort();
    let kinds = ["coordinates", "curves", "history", "importance", "n", "x"];
    assert_eq!(names, kinds.map(|kind| format!("_._by__hand_-{kind}.csv")));
    let csv =
        |kind: &str| fs::read_to_string(folder.join(format!("_._by__hand_-{kind}.csv"))).unwrap();
    assert_eq!(
        csv("curves").lines().count(),
        1 + 60 + 1,
        "with the pruned one"
    );
    let curves = fs::read_to_string(folder.join("_._by__hand_-curves.svg")).unwrap();
    assert!(
        curves.contains("trial 20: given up with 4.0000") && curves.matches("<circle").count() == 1,
        "{curves}"
    );
    assert!(
        csv("coordinates").starts_with("trial,n,x,value\n19,"),
        "the worst first"
    );
    // The value is x, whatever n is.
    let importance = csv("importance");
    let first = importance.lines().nth(1).and_then(|l| l.strip_prefix("x,"));
    let share: f64 = first.unwrap().parse().unwrap();
    assert!(share > 0.8, "{importance}");
}

#[test]
fn a_file_without_trials_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.journal");
    drop(Journal::join(&path).unwrap());
    assert!(
        write(&path, dir.path(), None)
            .unwrap_err()
            .to_string()
            .contains("a study with trials")
    );
    assert_eq!(
        write(&dir.path().join("none"), dir.path(), None)
            .unwrap_err()
            .exit_code(),
        2
    );
}
