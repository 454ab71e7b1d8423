use super::*;

/// A file that Optuna wrote: a queued trial, a claimed one, a pruned one, a failed one with a NaN report, one
/// that was left running, an imported one.
const SAMPLE: &str = include_str!("../sample.journal");

fn replay(text: &str) -> (Storage, Vec<Result<(), Ignored>>) {
    let mut storage = Storage::default();
    let effects = text
        .lines()
        .map(|line| storage.apply(Record::parse(line).unwrap()))
        .collect();
    (storage, effects)
}

#[test]
fn optuna_s_file_gives_the_state_that_optuna_reads() {
    let (storage, effects) = replay(SAMPLE);
    assert_eq!(effects.iter().filter(|e| e.is_err()).count(), 1);
    assert_eq!(effects[4], Err(Ignored::StudyExists));
    let study = storage.study("mlp-demo").unwrap();
    assert_eq!(study.directions, [Direction::Maximize]);
    assert_eq!(study.user_attrs["dataset"], "digits");
    let states: Vec<_> = storage.trials(study).map(Trial::state).collect();
    use TrialState::*;
    assert_eq!(states, [Complete, Pruned, Fail, Running, Complete]);
    let best = storage.best(study).unwrap();
    assert_eq!((best.number, best.value()), (0, Some(0.9)));
    assert_eq!(best.parameter("lr").unwrap(), 0.01);
    assert_eq!(best.parameter("hidden").unwrap(), 64);
    assert_eq!(best.parameter("act").unwrap(), "relu");
    let trials: Vec<_> = storage.trials(study).collect();
    assert_eq!(
        (
            trials[1].parameter("act").unwrap(),
            trials[1].parameter("hidden").unwrap()
        ),
        ("tanh".into(), 208.into())
    );
    assert_eq!(trials[1].value(), Some(0.41000000000000003));
    assert!(trials[2].last_report().unwrap().1.is_nan());
    assert_eq!(
        trials[4].content.reports,
        BTreeMap::from([(1, 0.5), (2, 0.88)])
    );
}

/// Another program may have recorded a value that is no number, as the first one too.
#[test]
fn what_is_no_number_is_not_the_best() {
    let (storage, _) = replay(
        r#"{"op_code":0,"worker_id":"w","study_name":"s","directions":[2]}
{"op_code":4,"worker_id":"w","study_id":0,"datetime_start":null,"state":0}
{"op_code":4,"worker_id":"w","study_id":0,"datetime_start":null,"state":0}
{"op_code":6,"worker_id":"w","trial_id":0,"state":1,"values":[NaN],"datetime_complete":"x"}
{"op_code":6,"worker_id":"w","trial_id":1,"state":1,"values":[0.5],"datetime_complete":"x"}
"#,
    );
    let study = storage.study("s").unwrap();
    let values: Vec<_> = storage.trials(study).map(Trial::value).collect();
    assert!(values[0].unwrap().is_nan());
    assert_eq!(storage.best(study).unwrap().number, 1);
}

/// Lines are written as they were read. Optuna's own lines differ only in the spaces inside of a distribution
/// and in `64.0`.
#[test]
fn lines_are_written_as_they_were_read() {
    // Times that mean nothing in the state of the trial.
    let more = [
        r#"{"op_code":4,"worker_id":"w","study_id":0,"datetime_start":null,"state":0,"datetime_complete":"x"}"#,
        r#"{"op_code":6,"worker_id":"w","trial_id":0,"state":4,"values":null,"datetime_complete":"x"}"#,
    ];
    for line in SAMPLE.lines().chain(more) {
        let record = Record::parse(line).unwrap();
        if line.contains("NaN") {
            continue; // never written
        }
        assert_eq!(Record::parse(&record.to_line()).unwrap(), record);
        if !line.contains("Distribution")
            && !line.contains("\"op_code\":4")
            && !more.contains(&line)
        {
            assert_eq!(record.to_line(), line);
        }
    }
}

const F: &str = r#"{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":null,\"low\":0,\"high\":1,\"log\":false}}"#;

fn float(low: f64, high: f64, log: bool) -> String {
    F.replace(":0,", &format!(":{low},"))
        .replace("\\\"high\\\":1,", &format!("\\\"high\\\":{high},"))
        .replace("false", &log.to_string())
}

/// Two workers, a and b, and every rule about which records count and which are ignored. The results are
/// Optuna's.
#[test]
fn conflicts_are_resolved_as_optuna_does() {
    let set = |x: f64, distribution: &str| {
        format!(
            r#""op_code":5,"trial_id":2,"param_name":"x","param_value_internal":{x},"distribution":"{distribution}""#
        )
    };
    let int = r#"{\"name\":\"IntDistribution\",\"attributes\":{\"log\":false,\"step\":1,\"low\":0,\"high\":9}}"#;
    let script: Vec<(&str, String, Result<(), Ignored>)> = vec![
        (
            "a",
            r#""op_code":0,"study_name":"c","directions":[1]"#.into(),
            Ok(()),
        ),
        (
            "b",
            r#""op_code":0,"study_name":"c","directions":[1]"#.into(),
            Err(Ignored::StudyExists),
        ),
        (
            "b",
            r#""op_code":0,"study_name":"d","directions":[1]"#.into(),
            Ok(()),
        ),
        (
            "a",
            r#""op_code":4,"study_id":7,"datetime_start":null"#.into(),
            Err(Ignored::NoStudy),
        ),
        (
            "a",
            r#""op_code":4,"study_id":1,"datetime_start":"t0""#.into(),
            Ok(()),
        ),
        (
            "a",
            r#""op_code":4,"study_id":0,"datetime_start":null,"state":4"#.into(),
            Ok(()),
        ),
        (
            "b",
            r#""op_code":6,"trial_id":1,"state":0,"values":null,"datetime_start":"t1""#.into(),
            Ok(()),
        ),
        (
            "a",
            r#""op_code":6,"trial_id":1,"state":0,"values":null,"datetime_start":"t2""#.into(),
            Err(Ignored::Claimed),
        ),
        (
            "b",
            set(0.5, &float(0.0, 1.0, false)).replace(":2,", ":1,"),
            Ok(()),
        ),
        (
            "b",
            r#""op_code":6,"trial_id":1,"state":1,"values":[0.25],"datetime_complete":"t3""#.into(),
            Ok(()),
        ),
        (
            "a",
            r#""op_code":6,"trial_id":1,"state":3,"values":null,"datetime_complete":"t4""#.into(),
            Err(Ignored::Finished),
        ),
        (
            "a",
            r#""op_code":8,"trial_id":1,"user_attr":{"k":1}"#.into(),
            Err(Ignored::Finished),
        ),
        (
            "a",
            r#""op_code":4,"study_id":0,"datetime_start":"t5""#.into(),
            Ok(()),
        ),
        (
            "a",
            set(0.5, &float(0.1, 1.0, true)),
            Err(Ignored::OtherDistribution),
        ),
        ("a", set(5.0, int), Err(Ignored::OtherDistribution)),
        ("a", set(7.5, &float(0.0, 10.0, false)), Ok(())),
        (
            "a",
            r#""op_code":7,"trial_id":2,"step":3,"intermediate_value":1.5"#.into(),
            Ok(()),
        ),
        (
            "a",
            r#""op_code":7,"trial_id":2,"step":3,"intermediate_value":1.25"#.into(),
            Ok(()),
        ),
        (
            "a",
            r#""op_code":6,"trial_id":2,"state":4,"values":null"#.into(),
            Ok(()),
        ),
        (
            "b",
            r#""op_code":6,"trial_id":2,"state":0,"values":null,"datetime_start":"t6""#.into(),
            Ok(()),
        ),
        (
            "a",
            r#""op_code":6,"trial_id":99,"state":3,"values":null"#.into(),
            Err(Ignored::NoTrial),
        ),
        ("a", r#""op_code":1,"study_id":1"#.into(), Ok(())),
        (
            "a",
            r#""op_code":4,"study_id":0,"datetime_start":"t7""#.into(),
            Ok(()),
        ),
        (
            "b",
            r#""op_code":0,"study_name":"d","directions":[2]"#.into(),
            Ok(()),
        ),
        (
            "z",
            r#""op_code":10,"trial_ids":[1]"#.into(),
            Err(Ignored::Foreign),
        ),
    ];
    let mut storage = Storage::default();
    for (worker, fields, effect) in script {
        let line = format!(r#"{{"worker_id":"{worker}",{fields}}}"#);
        assert_eq!(
            storage.apply(Record::parse(&line).unwrap()),
            effect,
            "{line}"
        );
    }
    let c = storage.study("c").unwrap();
    let ids: Vec<_> = storage
        .trials(c)
        .map(|t| (t.id, t.number, t.state()))
        .collect();
    assert_eq!(
        ids,
        [
            (1, 0, TrialState::Complete),
            (2, 1, TrialState::Running),
            (3, 2, TrialState::Running)
        ]
    );
    let [one, two] = [1, 2].map(|id| storage.trial(id).unwrap());
    assert_eq!(
        (
            one.value(),
            one.content.start.as_deref(),
            one.owner.as_deref()
        ),
        (Some(0.25), Some("t1"), Some("b"))
    );
    assert_eq!(
        (two.parameter("x").unwrap(), two.owner.as_deref()),
        (7.5.into(), Some("b"))
    );
    assert_eq!(two.content.reports, BTreeMap::from([(3, 1.25)]));
    let d = storage.study("d").unwrap();
    assert_eq!(
        (d.id, storage.trials(d).count(), storage.trial(0)),
        (2, 0, None)
    );
}

#[test]
fn a_line_that_is_not_a_record_says_why() {
    for (line, word) in [
        ("", "EOF"),
        ("{\"op_code\":4", "EOF"),
        ("[]", "object"),
        (r#"{"op_code":0}"#, "worker_id"),
        (r#"{"op_code":11,"worker_id":"a"}"#, "11"),
        (
            r#"{"op_code":0,"worker_id":"a","study_name":"s","directions":[3]}"#,
            "directions",
        ),
        (
            r#"{"op_code":4,"worker_id":"a","study_id":0}"#,
            "datetime_start",
        ),
        (
            r#"{"op_code":6,"worker_id":"a","trial_id":0,"state":1}"#,
            "values",
        ),
        (
            r#"{"op_code":6,"worker_id":"a","trial_id":0,"state":9,"values":null}"#,
            "state",
        ),
        (
            r#"{"op_code":7,"worker_id":"a","trial_id":0,"step":-1,"intermediate_value":1}"#,
            "step",
        ),
        (
            r#"{"op_code":7,"worker_id":"a","trial_id":0,"step":1,"intermediate_value":"x"}"#,
            "number",
        ),
        (
            r#"{"op_code":8,"worker_id":"a","trial_id":0,"user_attr":{}}"#,
            "user_attr",
        ),
    ] {
        let message = Record::parse(line).unwrap_err();
        assert!(message.contains(word), "{line}: {message}");
    }
}

#[test]
fn python_s_words_for_numbers_are_read_outside_of_strings_only() {
    let record = Record::parse(r#"{"op_code":8,"worker_id":"NaN \" Infinity","trial_id":0,"user_attr":{"note":"a NaN, \\"}}"#).unwrap();
    assert_eq!(record.worker, "NaN \" Infinity");
    assert!(
        matches!(record.operation, Operation::TrialUserAttr { value, .. } if value == "a NaN, \\")
    );
    for (word, expected) in [
        ("Infinity", f64::INFINITY),
        ("-Infinity", f64::NEG_INFINITY),
    ] {
        let line = format!(
            r#"{{"op_code":7,"worker_id":"a","trial_id":0,"step":1,"intermediate_value":{word}}}"#
        );
        let Operation::Report { value, .. } = Record::parse(&line).unwrap().operation else {
            unreachable!()
        };
        assert_eq!(value, expected);
    }
}
