//! `bench`: its parts and the shape of its output. The tests require positive numbers, but no particular values.

use serde_json::Value;

use crate::support::{Chainrule, number};

fn positive(value: &Value) -> bool {
    number(value) > 0.0
}

#[test]
fn products_alone_as_json() {
    let program = Chainrule::new();
    let args = [
        "bench",
        "--quick",
        "--only",
        "products",
        "--threads",
        "1",
        "--json",
    ];
    let output = program.run(&args);
    assert_eq!(output.code, 0, "{output:?}");
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert!(output.stderr.contains("1024x1024x1024"), "{output:?}");

    assert_eq!(report["steps"], Value::Null);
    let machine = &report["machine"];
    assert_eq!(machine["threads"], 1);
    assert!(positive(&machine["cores"]) && machine["instruction_set"].is_string());
    let peak = &report["peak"];
    assert!(positive(&peak["f32_flops"][0]["per_second"]));
    assert_eq!(
        peak["f32_flops"].as_array().unwrap().len(),
        1,
        "one thread once"
    );
    assert!(peak.as_object().unwrap().contains_key("bf16_flops"));
    for place in ["cache_bytes", "memory_bytes"] {
        let figure = &peak[place][0];
        assert!(
            positive(&figure["per_second"]) && positive(&figure["bytes"]),
            "{figure}"
        );
    }

    let products = report["products"].as_array().unwrap();
    assert_eq!(products.len(), 30, "10 shapes in 3 layouts");
    for product in products {
        for key in [
            "m",
            "n",
            "k",
            "ours",
            "theirs",
            "ratio",
            "flops_per_second",
            "percent_of_peak",
        ] {
            assert!(positive(&product[key]), "{key}: {product}");
        }
        let interval = &product["interval"];
        assert!(number(&interval["low"]) <= number(&product["ratio"]));
        assert!(number(&product["ratio"]) <= number(&interval["high"]));
    }
    let first = &products[1];
    assert_eq!(
        (&first["m"], &first["n"], &first["k"]),
        (&100.into(), &500.into(), &784.into())
    );
    assert_eq!(first["layout"], "NT");
}

#[test]
fn steps_as_a_table_and_as_json() {
    let program = Chainrule::new();
    let args = [
        "bench",
        "--quick",
        "--only",
        "steps,peak",
        "--threads",
        "2",
        "--quiet",
    ];
    let output = program.run(&args);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    for word in [
        "1 thread",
        "2 threads",
        "multiply-adds f32",
        "optimiser in memory",
        "small16",
        "on 2 threads",
    ] {
        assert!(output.stdout.contains(word), "{word}\n{}", output.stdout);
    }
    assert!(!output.stdout.contains("theirs"), "{}", output.stdout);

    let args = [
        "bench",
        "--quick",
        "--only",
        "steps",
        "--threads",
        "1",
        "--json",
    ];
    let report = program.json(&args);
    assert_eq!(report["products"], Value::Null);
    let steps = report["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["baseline", "final", "big", "small16", "w50"]);
    assert_eq!(
        steps[0]["parameters"],
        784 * 500 + 500 + 2 * 500 + 5000 + 10
    );
    for step in steps {
        assert_eq!(step["threads"], 1);
        for key in [
            "seconds",
            "epoch_seconds",
            "bound_products",
            "bound_optimizer",
            "percent_of_bound",
        ] {
            assert!(positive(&step[key]), "{key}: {step}");
        }
        assert_eq!(step["parts"], serde_json::json!([1.0]), "one thread");
    }
}

#[test]
fn bad_arguments_are_refused() {
    let program = Chainrule::new();
    program.refused(
        &["bench", "--only", "everything"],
        &["everything", "products"],
    );
    program.refused(&["bench", "--threads", "0"], &["--threads"]);
    program.refused(&["bench", "--epochs", "3"], &["--epochs"]);
}
