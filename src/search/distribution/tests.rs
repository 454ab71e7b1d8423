//! Ranges, grids, and the numbers that stand for values.

use serde_json::json;

use super::*;

#[test]
fn text_is_the_format_s() {
    let cases = [
        (
            Distribution::float(0.0001, 0.1, true, None),
            r#"{"name":"FloatDistribution","attributes":{"step":null,"low":0.0001,"high":0.1,"log":true}}"#,
        ),
        (
            Distribution::int(16, 256, false, 16),
            r#"{"name":"IntDistribution","attributes":{"log":false,"step":16,"low":16,"high":256}}"#,
        ),
        (
            Distribution::categorical(vec![
                json!("relu"),
                json!(null),
                json!(true),
                json!(2),
                json!(0.5),
            ]),
            r#"{"name":"CategoricalDistribution","attributes":{"choices":["relu",null,true,2,0.5]}}"#,
        ),
    ];
    for (distribution, text) in cases {
        let distribution = distribution.unwrap();
        assert_eq!(distribution.to_json(), text);
        assert_eq!(Distribution::from_json(text).unwrap(), distribution);
    }
}

#[test]
fn share_undoes_quantile() {
    let distributions = [
        Distribution::float(0.1, 0.4, false, None),
        Distribution::float(1e-4, 1e-1, true, None),
        Distribution::float(0.0, 0.4, false, Some(0.1)),
        Distribution::int(1, 9, false, 2),
        Distribution::int(3, 70, true, 1),
        Distribution::categorical(vec![json!("a"), json!(1), json!(true)]),
    ];
    for distribution in distributions.map(Result::unwrap) {
        for unit in (0..40).map(|i| f64::from(i) / 40.0) {
            let value = distribution.quantile(unit);
            let share = distribution.share(value);
            assert!((0.0..=1.0).contains(&share), "{distribution:?}: {share}");
            assert!((distribution.quantile(share) - value).abs() <= 1e-9 * value);
        }
    }
    let one = Distribution::int(7, 7, false, 1).unwrap();
    assert_eq!((one.share(7.0), one.share(9.0)), (0.5, 1.0));
    assert_eq!(
        Distribution::float(2.0, 2.0, true, None)
            .unwrap()
            .share(2.0),
        0.5
    );
}

#[test]
fn old_names_are_understood() {
    for (text, expected) in [
        (
            r#"{"name": "UniformDistribution", "attributes": {"low": 0, "high": 1}}"#,
            Distribution::float(0.0, 1.0, false, None),
        ),
        (
            r#"{"name": "LogUniformDistribution", "attributes": {"low": 0.5, "high": 1.0}}"#,
            Distribution::float(0.5, 1.0, true, None),
        ),
        (
            r#"{"name": "DiscreteUniformDistribution", "attributes": {"low": 0.0, "high": 1.0, "q": 0.25}}"#,
            Distribution::float(0.0, 1.0, false, Some(0.25)),
        ),
        (
            r#"{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 9, "step": 2}}"#,
            Distribution::int(1, 9, false, 2),
        ),
        (
            r#"{"name": "IntLogUniformDistribution", "attributes": {"low": 1, "high": 9, "step": 1}}"#,
            Distribution::int(1, 9, true, 1),
        ),
    ] {
        assert_eq!(Distribution::from_json(text), expected);
    }
}

/// What does not end on a step is lowered to the last one, as Optuna would do with a warning.
#[test]
fn high_is_lowered_to_the_grid() {
    assert_eq!(
        Distribution::int(64, 100, false, 16),
        Distribution::int(64, 96, false, 16)
    );
    assert_eq!(
        Distribution::float(0.0, 1.0, false, Some(0.3)),
        Distribution::float(0.0, 0.3 * 3.0, false, Some(0.3))
    );
    assert_eq!(
        Distribution::float(0.0, 0.4, false, Some(0.1))
            .unwrap()
            .cardinality(),
        Some(5)
    );
    assert_eq!(
        Distribution::int(64, 128, false, 16).unwrap().cardinality(),
        Some(5)
    );
}

#[test]
fn mistakes_are_refused() {
    let refused = [
        Distribution::float(1.0, 0.5, false, None),
        Distribution::float(0.0, 1.0, true, None),
        Distribution::float(0.1, 1.0, true, Some(0.1)),
        Distribution::float(0.0, 1.0, false, Some(0.0)),
        Distribution::float(0.0001, 0.1, false, Some(1e-300)),
        Distribution::float(0.0, 1.0, false, Some(f64::from_bits(1))),
        Distribution::float(-f64::MAX, f64::MAX, false, None),
        Distribution::float(f64::NAN, 1.0, false, None),
        Distribution::float(0.0, f64::INFINITY, false, None),
        Distribution::int(5, 4, false, 1),
        Distribution::int(0, 4, true, 1),
        Distribution::int(1, 4, true, 2),
        Distribution::int(1, 4, false, 0),
        Distribution::int(0, i64::MAX, false, 1),
        Distribution::categorical(vec![]),
        Distribution::categorical(vec![json!("a"), json!("a")]),
        Distribution::categorical(vec![json!([1])]),
    ];
    for result in refused {
        assert!(result.is_err(), "{result:?}");
    }
}

#[test]
fn internal_values_are_external_ones() {
    let width = Distribution::int(16, 256, false, 16).unwrap();
    assert_eq!(width.external(64.0), Some(json!(64)));
    assert!(
        width.contains(64.0)
            && !width.contains(65.0)
            && !width.contains(272.0)
            && !width.contains(f64::NAN)
    );
    let rate = Distribution::float(0.1, 0.4, false, Some(0.1)).unwrap();
    assert!(rate.contains(0.30000000000000004) && !rate.contains(0.25));
    let act = Distribution::categorical(vec![json!("relu"), json!("tanh")]).unwrap();
    assert_eq!(
        (act.external(1.0), act.internal(&json!("tanh"))),
        (Some(json!("tanh")), Some(1.0))
    );
    assert_eq!(
        (act.external(2.0), act.external(0.5), act.external(-1.0)),
        (None, None, None)
    );
    assert_eq!(act.internal(&json!("elu")), None);
}

/// Optuna takes ranges whose ends have no finite difference.
#[test]
fn a_range_of_all_numbers_is_read_but_not_searched() {
    let text = r#"{"name": "FloatDistribution", "attributes": {"step": null, "low": -1.7e308, "high": 1.7e308, "log": false}}"#;
    let read = Distribution::from_json(text).unwrap();
    let shares = [-1.7e308, 0.0, 1.7e308].map(|x| read.share(x));
    assert_eq!(shares, [0.0, 0.5, 1.0]);
    let error = Distribution::float(-1.7e308, 1.7e308, false, None).unwrap_err();
    assert!(error.ends_with("found -1.7e308 to 1.7e308"), "{error}");
    let infinite = text.replace("1.7e308", "1.7e309");
    assert!(Distribution::from_json(&infinite).is_err());
}
