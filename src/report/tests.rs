use serde_json::json;

use super::*;
use crate::search::journal::{Direction, NewTrial, Operation, Parameter, State};
use crate::search::{Distribution, Space};

/// A file with a series of three values, one of which has not ended, and a search of five trials.
fn journal(path: &Path) {
    let mut journal = Journal::join(path).unwrap();
    let study = |name: &str| Operation::CreateStudy {
        name: name.into(),
        directions: vec![Direction::Maximize],
    };
    let attribute = |study, key: &str, value| Operation::StudyUserAttr {
        study,
        key: key.into(),
        value,
    };
    let metric = |study| Operation::StudySystemAttr {
        study,
        key: "study:metric_names".into(),
        value: json!(["val_accuracy"]),
    };
    let trial = |study: usize, parameters: &[(&str, f64, &Distribution)], repeats: &[f64]| {
        let mut trial = NewTrial::new(
            State::Complete,
            Some("2026-01-01T00:00:00.000000+00:00".into()),
        );
        trial.complete = trial.start.clone();
        trial.values = Some(vec![repeats.iter().sum::<f64>() / repeats.len() as f64]);
        trial
            .user_attrs
            .insert("val_accuracy".into(), json!(repeats));
        let parameter = |&(name, internal, distribution): &(&str, f64, &Distribution)| {
            (
                name.to_owned(),
                Parameter {
                    internal,
                    distribution: distribution.clone(),
                },
            )
        };
        trial.params = parameters.iter().map(parameter).collect();
        Operation::CreateTrial {
            study,
            trial: Box::new(trial),
        }
    };
    let mut space = Space::default();
    space.add_choices("activation", "relu,tanh,elu").unwrap();
    space.add("lr", "1e-4..1e-1:log").unwrap();
    let distributions: Vec<_> = space.distributions().collect();
    let (activation, lr) = (distributions[0], distributions[1]);
    let mut operations = vec![
        study("sweep-activation"),
        metric(0),
        attribute(0, "chainrule", json!({"sampler": "grid"})),
        study("search"),
        metric(1),
    ];
    operations.push(trial(
        0,
        &[("activation", 0.0, activation)],
        &[0.87, 0.88, 0.89],
    ));
    operations.push(trial(
        0,
        &[("activation", 1.0, activation)],
        &[0.86, 0.86, 0.87],
    ));
    for (x, value) in [
        (0.001, 0.8),
        (0.01, 0.9),
        (0.05, 0.85),
        (0.002, 0.91),
        (0.0005, 0.7),
    ] {
        operations.push(trial(1, &[("lr", x, lr)], &[value]));
    }
    journal.transaction(|_| Ok((operations, ()))).unwrap();
}

#[test]
fn a_file_becomes_a_page_with_its_figures() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.journal");
    journal(&path);
    let page = fs::read_to_string(write(&path, dir.path()).unwrap()).unwrap();
    assert!(
        page.contains("Best: activation relu with val_accuracy 0.8800. 2 trials complete"),
        "{page}"
    );
    assert!(page.contains("Best: lr 0.002 with val_accuracy 0.9100. 5 trials complete"));
    assert_eq!(
        page.matches("<svg").count(),
        3,
        "a series, a history and a slice"
    );
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
    assert_eq!(figure("sweep-activation-series.csv").lines().count(), 1 + 6);
    assert!(figure("search-lr.csv").contains("3,0.002,0.91"));
    assert_eq!(
        figure("sweep-activation-series.svg")
            .matches("<circle")
            .count(),
        6 + 2
    );
}

#[test]
fn a_file_without_trials_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.journal");
    drop(Journal::join(&path).unwrap());
    assert!(
        write(&path, dir.path())
            .unwrap_err()
            .to_string()
            .contains("a study with trials")
    );
    assert_eq!(
        write(&dir.path().join("none"), dir.path())
            .unwrap_err()
            .exit_code(),
        2
    );
}
