//! The program's commands with `--device cuda`.

use serde_json::Value;

use crate::machine::{NOT_A_GPU, finish, json, own_device, stdout, with_driver};
use crate::support::{Chainrule, number, numbers, write_images};

const SMALL: [&str; 12] = [
    "--data",
    "a.npz",
    "--width",
    "14",
    "--depth",
    "3",
    "--batch-size",
    "16",
    "--lr",
    "0.01",
    "--seed",
    "4",
];

fn train(program: &Chainrule, out: &str, device: &str, args: &[&str]) -> Value {
    let fixed = [
        "train", "--json", "--quiet", "--out", out, "--device", device,
    ];
    json(program, &[&fixed[..], &SMALL, args].concat())
}

fn close(found: &Value, expected: &Value, bound: f64) {
    let (found, expected) = (number(found), number(expected));
    let error = (found - expected).abs();
    assert!(
        error <= bound * expected.abs(),
        "{found} against {expected}"
    );
}

#[test]
fn a_run_names_its_device_and_keeps_it() {
    let program = Chainrule::new();
    write_images(&program, "a.npz");
    let args = ["train", "--out", "r", "--epochs", "2", "--device", "cuda"];
    let output = finish(with_driver(
        &mut program.command(&[&args[..], &SMALL].concat()),
    ));
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("f32 on cuda:0 ("), "{output:?}");
    assert_eq!(output.stderr.contains(NOT_A_GPU), !own_device());
    let settings = std::fs::read_to_string(program.path("r/config.toml")).unwrap();
    assert!(settings.contains("device = \"cuda:0\""), "{settings}");
}

/// A run that begins on one device and resumes on another ends with the result of a run on one device.
#[test]
fn checkpoints_move_between_devices() {
    let program = Chainrule::new();
    write_images(&program, "a.npz");
    let whole = train(&program, "whole", "cpu", &["--epochs", "4"]);
    for (out, first, then) in [("up", "cpu", "cuda"), ("down", "cuda:0", "cpu")] {
        let args = ["--epochs", "2", "--optimizer", "adam"];
        train(&program, out, first, &args);
        let args = [
            "train", "--json", "--quiet", "--resume", out, "--epochs", "4", "--device", then,
        ];
        let moved = json(&program, &args);
        assert_eq!(moved["epochs_run"], 4);
        close(&moved["train_loss"], &whole["train_loss"], 1e-3);
        let settings = std::fs::read_to_string(program.path(out).join("config.toml")).unwrap();
        assert!(
            settings.contains(&format!("device = \"{}", &then[..3])),
            "{settings}"
        );
    }
}

#[test]
fn models_evaluate_and_predict_as_on_the_cpu() {
    let program = Chainrule::new();
    write_images(&program, "a.npz");
    train(&program, "r", "cuda", &["--epochs", "3"]);
    for (args, key) in [
        (vec!["eval", "--model", "r", "--json"], "loss"),
        (
            vec!["predict", "--model", "r", "--json", "a.npz"],
            "predictions",
        ),
        (vec!["analyze", "--model", "r", "--json"], "models"),
    ] {
        let cpu = json(&program, &args);
        let own = json(&program, &[&args[..], &["--device", "cuda"]].concat());
        match key {
            "loss" => {
                close(&own[key], &cpu[key], 1e-6);
                assert_eq!(own["confusion"], cpu["confusion"]);
            }
            "predictions" => {
                let pairs = own[key]
                    .as_array()
                    .unwrap()
                    .iter()
                    .zip(cpu[key].as_array().unwrap());
                for (own, cpu) in pairs {
                    assert_eq!(own["class"], cpu["class"]);
                    let (own, cpu) = (
                        numbers(&own["probabilities"]),
                        numbers(&cpu["probabilities"]),
                    );
                    assert!(own.iter().zip(&cpu).all(|(a, b)| (a - b).abs() <= 1e-6));
                }
            }
            _ => assert!(own.is_object() && cpu.is_object()),
        }
    }
}

#[test]
fn searches_run_on_the_device() {
    let program = Chainrule::new();
    write_images(&program, "a.npz");
    let small = [
        "--data",
        "a.npz",
        "--width",
        "9",
        "--batch-size",
        "16",
        "--epochs",
        "2",
        "--json",
        "--quiet",
        "--device",
    ];
    let on = |device: &str, args: &[&str]| {
        let study = format!("{}-{}.jsonl", args[0], &device[..3]);
        json(
            &program,
            &[args, &["--study", &study], &small, &[device]].concat(),
        )
    };
    let search = [
        "search",
        "--trials",
        "4",
        "--lr",
        "0.002..0.05:log",
        "--dropout",
        "0..0.3",
    ];
    let (cpu, own) = (on("cpu", &search), on("cuda", &search));
    assert_eq!(
        own["trials"].as_array().map(Vec::len),
        cpu["trials"].as_array().map(Vec::len)
    );
    let sweep = [
        "sweep",
        "activation",
        "--values",
        "relu,tanh",
        "--repeats",
        "2",
    ];
    let (cpu, own) = (on("cpu", &sweep), on("cuda", &sweep));
    assert_eq!(
        own.as_object().unwrap().len(),
        cpu.as_object().unwrap().len()
    );
}

#[test]
fn gradients_agree_in_f32() {
    let program = Chainrule::new();
    let shapes = [
        "gradcheck",
        "--device",
        "cuda",
        "--inputs",
        "23",
        "--classes",
        "5",
        "--json",
    ];
    for network in [
        &["--widths", "31,17", "--activation", "gelu"][..],
        &[
            "--widths",
            "40",
            "--batch-norm",
            "false",
            "--dropout",
            "0.3",
            "--activation",
            "tanh",
        ],
        &[
            "--widths",
            "19,13",
            "--dropout",
            "0.2",
            "--order",
            "activation_dropout",
            "--activation",
            "silu",
        ],
        &[
            "--depth",
            "1",
            "--label-smoothing",
            "0.1",
            "--class-weights",
            "1,2,3,4,5",
        ],
    ] {
        let report = json(&program, &[&shapes[..], network].concat());
        let tensors = report["tensors"].as_array().unwrap();
        assert!(tensors.len() >= 5);
        let worst = tensors.iter().map(|t| number(&t["worst"]));
        let worst = worst.fold(0.0, f64::max);
        println!("{network:?}: largest relative error {worst:.1e}");
        assert!(worst <= 1e-4, "far below the limit: {report}");
        assert_eq!(report["limit"], 1e-3);
    }
    let table = stdout(
        &program,
        &[
            "gradcheck",
            "--device",
            "cuda",
            "--inputs",
            "4",
            "--widths",
            "3",
        ],
    );
    assert!(table.contains("in f32 on cuda:0 ("), "{table}");
}

/// The tests require positive numbers and the device's name, but no particular values, which say nothing on the
/// emulated device.
#[test]
fn the_bench_names_its_device() {
    let program = Chainrule::new();
    let args = [
        "bench", "--device", "cuda", "--quick", "--only", "steps", "--json",
    ];
    let report = json(&program, &args);
    let device = report["device"].as_str().unwrap();
    assert!(device.starts_with("cuda:0 ("), "{device}");
    assert_eq!(device.contains(NOT_A_GPU), !own_device());
    assert_eq!(report["products"], Value::Null);
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 5);
    for step in steps {
        assert!(number(&step["seconds"]) > 0.0 && number(&step["flops_per_second"]) > 0.0);
    }
}
