//! The device that the tests use: the emulated one or, with `CHAINRULE_TEST_GPU=1`, the machine's own.

use std::fs::File;
use std::io::Read;
use std::process::Command;

use chainrule::backend::Cuda;
use chainrule::data::{Dataset, Features, ImageShape, Labels, Samples, Task};
use flate2::read::GzDecoder;

use crate::emulator;
use crate::support::{Chainrule, Output};

/// A part of the emulated device's name.
pub(crate) const NOT_A_GPU: &str = "NOT A GPU";

/// Whether to use the machine's own device.
pub(crate) fn own_device() -> bool {
    std::env::var_os("CHAINRULE_TEST_GPU").is_some()
}

/// A backend on the chosen device. Panics if it is of the other kind.
pub(crate) fn backend() -> Cuda {
    if !own_device() {
        emulator::preload();
    }
    let cuda = Cuda::new(0).unwrap();
    let name = cuda.device().name();
    assert_eq!(name.contains(NOT_A_GPU), !own_device(), "found {name}");
    cuda
}

/// Lets a process find the emulated driver, unless the machine's own device is used.
pub(crate) fn with_driver(command: &mut Command) -> &mut Command {
    if own_device() {
        return command;
    }
    let folder = emulator::library().parent().unwrap();
    command.env("LD_LIBRARY_PATH", folder)
}

/// Runs the program to its end. No command may panic.
#[track_caller]
pub(crate) fn finish(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let output = Output {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!output.stderr.contains("panicked"), "{output:?}");
    output
}

/// Runs a command of the program on the device, which must succeed. Returns its standard output.
#[track_caller]
pub(crate) fn stdout(program: &Chainrule, args: &[&str]) -> String {
    let output = finish(with_driver(&mut program.command(args)));
    assert_eq!(output.code, 0, "{args:?}: {output:?}");
    output.stdout
}

/// As [`stdout`], for a command that prints one JSON object and nothing else.
#[track_caller]
pub(crate) fn json(program: &Chainrule, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&stdout(program, args)).unwrap()
}

/// The start of a file of Fashion-MNIST: `count` items of `size` bytes after `header`.
fn start(name: &str, header: usize, count: usize, size: usize) -> Vec<u8> {
    let path = format!("{}/data/fashion-mnist/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = vec![0; header + count * size];
    let file = File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    GzDecoder::new(file).read_exact(&mut bytes).unwrap();
    bytes.split_off(header)
}

/// The first images of Fashion-MNIST's training and test part.
pub(crate) fn fashion(train: usize, test: usize) -> Dataset {
    let samples = |part: &str, count: usize| Samples {
        features: Features::U8(start(
            &format!("{part}-images-idx3-ubyte.gz"),
            16,
            count,
            784,
        )),
        width: 784,
        labels: Labels::Classes(
            start(&format!("{part}-labels-idx1-ubyte.gz"), 8, count, 1)
                .into_iter()
                .map(u32::from)
                .collect(),
        ),
        weights: None,
    };
    Dataset {
        unseen: Vec::new(),
        table: None,
        train: samples("train", train),
        validation: None,
        task: Task::Classification,
        test: (test > 0).then(|| samples("t10k", test)),
        class_names: (0..10).map(|c| c.to_string()).collect(),
        image: Some(ImageShape {
            height: 28,
            width: 28,
        }),
        path: "fashion-mnist".into(),
        name: "fashion-mnist".into(),
        hash: format!("first {train}"),
        notices: Vec::new(),
    }
}
