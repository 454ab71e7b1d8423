//! The message and the exit code for a device that does not exist.

use crate::machine::{NOT_A_GPU, finish, own_device, with_driver};
use crate::support::{Chainrule, write_images};

/// The commands that use a device, on a small data set.
const COMMANDS: [&[&str]; 5] = [
    &["train", "--data", "a.npz", "--epochs", "1"],
    &["gradcheck", "--inputs", "4", "--widths", "3"],
    &["sweep", "lr", "--data", "a.npz", "--values", "0.1,0.2"],
    &["search", "--data", "a.npz", "--lr", "0.1..0.2"],
    &["bench", "--quick"],
];

#[test]
fn without_a_driver_every_command_reports_it() {
    let program = Chainrule::new();
    write_images(&program, "a.npz");
    for args in COMMANDS {
        let mut command = program.command(args);
        command
            .args(["--device", "cuda"])
            .env_remove("LD_LIBRARY_PATH");
        let output = finish(&mut command);
        if output.code == 0 {
            println!("SKIPPED: this machine has a CUDA driver, {args:?} ran on it");
            continue;
        }
        assert_eq!(output.code, 1, "{args:?}: {output:?}");
        assert_eq!(output.stdout, "", "{args:?}");
        let known = ["no CUDA driver: libcuda.so", "no CUDA device", "too old"];
        let message = output.stderr.lines().last().unwrap_or_default();
        assert!(
            message.starts_with("chainrule: cuda:0") && known.iter().any(|k| message.contains(k)),
            "{args:?}: {output:?}"
        );
    }
}

/// One changed variable of the emulated machine per case.
#[test]
fn other_device_errors_are_named() {
    if own_device() {
        println!("SKIPPED: only the emulated machine can have these errors");
        return;
    }
    let program = Chainrule::new();
    write_images(&program, "a.npz");
    let memory = (1 << 20).to_string();
    let cases: [(&str, &str, &str, &[&str]); 5] = [
        ("CUDA_CPU_DEVICES", "0", "cuda", &["cuda:0: no CUDA device"]),
        (
            "CUDA_CPU_DEVICES",
            "1",
            "cuda:1",
            &["cuda:1: ", "no such device", "has one"],
        ),
        (
            "CUDA_CPU_DEVICES",
            "3",
            "cuda:9",
            &["no such device", "has 3, cuda:0 to cuda:2"],
        ),
        (
            "CUDA_CPU_DRIVER_VERSION",
            "12020",
            "cuda",
            &["driver is too old", "12.4", "found 12.2"],
        ),
        (
            "CUDA_CPU_MEMORY",
            &memory,
            "cuda",
            &[NOT_A_GPU, "out of memory", "MiB are free"],
        ),
    ];
    for (variable, value, device, words) in cases {
        let args = [
            "train", "--data", "a.npz", "--width", "5000", "--device", device,
        ];
        let mut command = program.command(&args);
        let output = finish(with_driver(&mut command).env(variable, value));
        assert_eq!(output.code, 1, "{variable}: {output:?}");
        for word in words {
            assert!(output.stderr.contains(word), "{variable}: {output:?}");
        }
    }
}

#[test]
fn other_precisions_are_refused() {
    let program = Chainrule::new();
    write_images(&program, "a.npz");
    for precision in ["f64", "bf16"] {
        let args = [
            "train",
            "--data",
            "a.npz",
            "--device",
            "cuda",
            "--precision",
            precision,
        ];
        program.refused(&args, &["train.precision", "expected f32", precision]);
    }
    let args = ["train", "--data", "a.npz", "--device", "cuda", "--plain"];
    let output = finish(with_driver(&mut program.command(&args)));
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("with --plain"), "{output:?}");
}
