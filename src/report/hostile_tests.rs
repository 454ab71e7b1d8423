//! Reports of study files and models that mean harm, or whose numbers are extreme.

use std::fs;

use serde_json::{Value, json};

use super::well_formed_tests::check_report;
use super::*;
use crate::data::{Features, ImageShape, Samples};
use crate::model::Predictions;

pub(super) const HOSTILE: &str = "<script>alert(1)</script>&\"' ]]> --> </style></title></svg> \u{1b}[31m\u{8}\u{0}\n\u{ffff}\u{202e}";

/// A study file as Optuna writes it: trials with these points, values and reports.
pub(super) fn journal(name: &str, distributions: &Value, trials: &[(Value, Value)]) -> String {
    let record = |value: Value| value.to_string() + "\n";
    let mut text =
        record(json!({"op_code": 0, "worker_id": "w", "study_name": name, "directions": [2]}));
    let distributions: serde_json::Map<String, Value> = distributions
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, d)| (name.clone(), json!(d.to_string())))
        .collect();
    for (params, value) in trials {
        text += &record(json!({
            "op_code": 4, "worker_id": "w", "study_id": 0,
            "datetime_start": "2026-01-01T00:00:00.000000", "datetime_complete": "2026-01-01T00:00:01.000000",
            "state": 1, "value": value, "values": null,
            "distributions": distributions, "params": params, "user_attrs": {}, "system_attrs": {},
            "intermediate_values": {"0": value, "5": 1e308, "18446744073709551615": value}
        }));
    }
    text
}

pub(super) fn float(low: f64, high: f64, log: bool) -> Value {
    json!({"name": "FloatDistribution", "attributes": {"step": null, "low": low, "high": high, "log": log}})
}

fn choices(list: &[Value]) -> Value {
    json!({"name": "CategoricalDistribution", "attributes": {"choices": list}})
}

fn report_of(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.journal");
    fs::write(&path, text).unwrap();
    write(&path, &dir.path().join("out"), None).unwrap();
    check_report(&dir.path().join("out"))
}

#[test]
fn extreme_ranges_have_pictures_in_their_frames() {
    let next = f64::from_bits(0.5_f64.to_bits() + 1);
    let many: Vec<Value> = (0..1000).map(|i| json!(format!("long name {i}"))).collect();
    let ranges = [
        (float(-1.7e308, 1.7e308, false), [-1.7e308, 0.0, 1.7e308]),
        (float(-8e307, 8e307, false), [-8e307, 0.0, 8e307]),
        (float(0.0, 1.7e308, false), [0.0, 1e-300, 1.7e308]),
        (float(5e-324, 1.7e308, true), [5e-324, 1.0, 1.7e308]),
        (float(1e-320, 2e-320, true), [1e-320, 1.5e-320, 2e-320]),
        (float(0.0, 5e-324, false), [0.0, 5e-324, 5e-324]),
        (float(0.5, next, false), [0.5, next, next]),
        (float(3.0, 3.0, false), [3.0, 3.0, 3.0]),
        // Beyond the distribution.
        (float(0.1, 1.0, true), [10.0, 0.0, -1.0]),
        (float(0.0, 1.0, false), [-1e300, 0.5, 1e308]),
        (
            choices(&[json!("a"), json!(null), json!(1.5)]),
            [0.0, 1.0, 2.0],
        ),
        (choices(&many), [0.0, 500.0, 999.0]),
    ];
    let values = [
        [-1.7e308, 0.0, 1.7e308],
        [1.7e308, 1.7e308, 1.7e308],
        [1e-320, 2e-320, 0.0],
        [-5.0, -4.0, -3.0],
        [0.25, 0.25, 0.25],
    ];
    for (distribution, points) in &ranges {
        for values in values {
            let distributions = json!({"p": distribution, "q": float(0.0, 1.0, false)});
            let trials: Vec<(Value, Value)> = (0..12)
                .map(|i| {
                    let point = json!({"p": points[i % 3], "q": i as f64 / 12.0});
                    (point, json!(values[i % 3]))
                })
                .collect();
            let page = report_of(&journal("m", &distributions, &trials));
            assert!(!page.contains("NaN"), "{distribution} {values:?}");
        }
    }
}

#[test]
fn numbers_of_a_series_may_be_extreme() {
    let plan =
        json!({"sampler": "grid", "seed": 5, "repeats": 2, "objective": "val_loss", "base": {}});
    let list = choices(&[json!("a"), json!("b")]);
    let mut text = journal("sweep-c", &json!({"c": list}), &[]);
    text += &format!(
        "{}\n",
        json!({"op_code": 2, "worker_id": "w", "study_id": 0, "user_attr": {"chainrule": plan}})
    );
    for (choice, repeats) in [
        (0, json!([1.7e308, -1.7e308])),
        (1, json!([1.7e308, 1.7e308])),
    ] {
        let start = journal(
            "",
            &json!({"c": list}),
            &[(json!({"c": choice}), json!(1e308))],
        );
        let trial = start.lines().nth(1).unwrap();
        let noted = json!({"val_loss": repeats, "val_accuracy": repeats}).to_string();
        text += &(trial.replace("\"user_attrs\":{}", &format!("\"user_attrs\":{noted}")) + "\n");
    }
    let page = report_of(&text);
    assert!(page.contains("One setting at a time"), "{page}");
}

#[test]
fn hostile_names_stay_text() {
    let long = "n".repeat(300);
    let names = [
        HOSTILE, "../../x", "LR", "lr", "history", "Curves", "", "=1+1", &long,
    ];
    let distributions: serde_json::Map<String, Value> = names
        .iter()
        .map(|&name| (name.to_owned(), float(0.0, 1.0, false)))
        .chain([(
            "c".to_owned(),
            choices(&[json!(HOSTILE), json!("=1"), json!(null)]),
        )])
        .collect();
    let trials: Vec<(Value, Value)> = (0..12)
        .map(|i| {
            let params: serde_json::Map<String, Value> = distributions
                .keys()
                .map(|name| match name == "c" {
                    true => (name.clone(), json!(i % 3)),
                    false => (name.clone(), json!(f64::from(i) / 12.0)),
                })
                .collect();
            (Value::Object(params), json!(i))
        })
        .collect();
    for study in [HOSTILE, &long, "..", "final"] {
        let page = report_of(&journal(
            study,
            &Value::Object(distributions.clone()),
            &trials,
        ));
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39; ]]&gt; --&gt;")
        );
        assert!(page.contains("\\u{1b}[31m\\u{8}\\u{0}\\n\\u{ffff}\\u{202e}"));
    }
}

/// The names of a model's classes are in its matrices, its images and its sentences.
#[test]
fn hostile_class_names_stay_text() {
    let dir = tempfile::tempdir().unwrap();
    let study = dir.path();
    let trials = [(json!({"x": 0.5}), json!(1.0))];
    let text = journal("search", &json!({"x": float(0.0, 1.0, false)}), &trials);
    fs::write(study.join(JOURNAL), text).unwrap();
    fs::create_dir(study.join(FINAL)).unwrap();
    let settings = "[data]\nlabel = \"</pre>\\u001b<script>\"\n";
    fs::write(study.join(FINAL).join("config.toml"), settings).unwrap();
    let tested = TestResult {
        class_names: vec![HOSTILE.into(), "=cmd|' /C calc'!A0".into()],
        samples: Samples {
            features: Features::U8((0..16).collect()),
            width: 4,
            labels: vec![0, 1, 0, 1].into(),
            weights: None,
        },
        image: Some(ImageShape {
            height: 2,
            width: 2,
        }),
        predictions: Predictions {
            task: crate::data::Task::Classification,
            outputs: vec![0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.4, 0.6],
            logits: Vec::new(),
            classes: vec![0, 0, 1, 1],
        },
    };
    let out = study.join(REPORT);
    write(study, &out, Some(Ok(tested))).unwrap();
    let page = check_report(&out);
    assert!(
        page.contains("Classes taken for each other most often: &lt;script&gt;"),
        "{page}"
    );
    assert!(page.contains("&lt;/pre&gt;"), "{page}");
    let confusion = fs::read_to_string(out.join("figures/final-confusion.csv")).unwrap();
    assert!(confusion.contains("\n'=cmd|' /C calc'!A0,"), "{confusion}");
}
