//! Bad input through the program. Each case must give a clear message (what, where, expected, found) and exit code 2,
//! must not panic, and must leave no file behind.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{Chainrule, Pixels, idx, npy, write_images, write_npz};
#[cfg(target_os = "linux")]
use crate::support::{EXECUTABLE, emulated};

const IMAGES: &str = "set/train-images-idx3-ubyte";
const LABELS: &str = "set/train-labels-idx1-ubyte";

/// 40 images of 2×3 with 10 labels, as IDX files.
fn idx_files() -> (Vec<u8>, Vec<u8>) {
    let images: Vec<u8> = (0..40 * 6).map(|i| (i * 7 % 256) as u8).collect();
    let labels: Vec<u8> = (0..40).map(|i| (i % 10) as u8).collect();
    (idx(&[40, 2, 3], &images), idx(&[40], &labels))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Checks that `train` refuses the folder "set" with these two files and begins no run.
#[track_caller]
fn refuses_idx(images: &[u8], labels: &[u8], words: &[&str]) {
    let program = Chainrule::new();
    program.write(IMAGES, images);
    program.write(LABELS, labels);
    let start = Instant::now();
    program.refused(&["train", "--data", "set", "--batch-size", "8"], words);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "refused at once, before anything large is allocated"
    );
    assert!(!program.path("runs").exists(), "no run was begun");
}

/// Checks that `train` refuses this file and begins no run.
#[track_caller]
fn refuses_file(name: &str, contents: impl AsRef<[u8]>, words: &[&str]) {
    let program = Chainrule::new();
    program.write(name, contents);
    program.refused(&["train", "--data", name, "--batch-size", "2"], words);
    assert!(!program.path("runs").exists(), "no run was begun");
}

#[test]
fn valid_idx_files_are_accepted() {
    let program = Chainrule::new();
    let (images, labels) = idx_files();
    program.write(IMAGES, gzip(&images));
    program.write(LABELS, labels);
    let args = [
        "train",
        "--data",
        "set",
        "--batch-size",
        "8",
        "--epochs",
        "1",
        "--json",
    ];
    assert_eq!(program.json(&args)["train_samples"], 32);
}

#[test]
fn missing_files() {
    let program = Chainrule::new();
    program.refused(
        &["train", "--data", "nowhere"],
        &["nowhere", "no such file"],
    );
    program.write(IMAGES, idx_files().0);
    program.refused(
        &["train", "--data", "set"],
        &["train-labels-idx1-ubyte", "no such file"],
    );
    program.refused(&["train", "--config", "no.toml"], &["no.toml"]);
    program.refused(
        &["train", "--init-from", "no.safetensors"],
        &["no.safetensors"],
    );
    program.refused(&["train", "--resume", "no-run"], &["no-run"]);
    program.refused(&["eval", "--model", "no-run"], &["no-run"]);
    assert!(!program.path("runs").exists());
}

#[test]
fn truncated_idx() {
    let (images, labels) = idx_files();
    refuses_idx(
        &images[..images.len() - 5],
        &labels,
        &["train-images", "expected", "found", "251"],
    );
    refuses_idx(
        &images,
        &labels[..6],
        &["train-labels", "expected", "found"],
    );
    refuses_idx(&images[..3], &labels, &["train-images", "byte"]);
    refuses_idx(&[], &labels, &["train-images"]);
    let longer = [&images[..], b"xx"].concat();
    refuses_idx(&longer, &labels, &["train-images", "expected", "found"]);
}

#[test]
fn damaged_gzip() {
    let (images, labels) = idx_files();
    let packed = gzip(&images);
    refuses_idx(
        &packed[..packed.len() / 2],
        &labels,
        &["train-images", "gzip"],
    );
    refuses_idx(
        &packed[..packed.len() - 3],
        &labels,
        &["train-images", "gzip"],
    );
    let mut flipped = packed.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    refuses_idx(&flipped, &labels, &["train-images", "gzip"]);
    let mut wrong_sum = packed;
    let end = wrong_sum.len() - 6;
    wrong_sum[end] ^= 1;
    refuses_idx(&wrong_sum, &labels, &["train-images", "gzip"]);
}

#[test]
fn wrong_magic_and_counts() {
    let (images, labels) = idx_files();
    let mut wrong = images.clone();
    wrong[2] = 0x0d;
    refuses_idx(
        &wrong,
        &labels,
        &["train-images", "byte 0", "expected", "found"],
    );
    refuses_idx(&labels, &labels, &["train-images", "byte 0"]);
    let (pixels, _) = (vec![0; 39 * 6], ());
    refuses_idx(
        &idx(&[39, 2, 3], &pixels),
        &labels,
        &["expected 39", "found 40"],
    );
    let mut more = images.clone();
    more[7] = 41;
    refuses_idx(&more, &labels, &["train-images", "expected", "found"]);
}

#[test]
fn headers_with_too_large_sizes() {
    let (images, labels) = idx_files();
    let mut vast = images.clone();
    vast[4..16].fill(0xff);
    refuses_idx(&vast, &labels, &["train-images", "expected", "found"]);
    // 2⁶⁰ images of 28×28.
    let x = npy("|u1", &[1 << 60, 28, 28], &[0; 64]);
    let y = npy("<i8", &[1 << 60], &[0; 64]);
    let program = Chainrule::new();
    write_npz(&program.path("vast.npz"), &[("x", x), ("y", y)]);
    program.refused(
        &["train", "--data", "vast.npz"],
        &["vast.npz", "expected", "found"],
    );
    assert!(!program.path("runs").exists());
}

#[test]
fn labels_out_of_range() {
    let program = Chainrule::new();
    let x = npy("<f4", &[2, 3], &[0; 24]);
    let infinite = f32::INFINITY.to_le_bytes();
    let y = npy("<f4", &[2], &[[0; 4], infinite].concat());
    write_npz(&program.path("a.npz"), &[("x", x), ("y", y)]);
    program.refused(
        &["train", "--data", "a.npz"],
        &["a.npz", "position 1", "inf"],
    );
}

#[test]
fn csv_errors() {
    refuses_file("a.csv", "a,b,label\n1,2,0\n3,1\n", &["a.csv", "line 3"]);
    refuses_file(
        "a.csv",
        "a,b,label\n1,2020-01-31,0\n3,2020-02-01,1\n",
        &["a.csv", "line 2", "column 2 (b)", "2020-01-31", "--drop b"],
    );
    refuses_file(
        "a.csv",
        "a,b,label\n1,inf,0\n3,4,1\n",
        &["a.csv", "line 2", "infinite"],
    );
    refuses_file(
        "a.csv",
        "a,b,b,label\n1,2,3,0\n3,4,5,1\n",
        &["\"b\" twice", "--drop"],
    );
    refuses_file("a.csv", "", &["a.csv", "found"]);
    refuses_file("a.csv", "a,b,label\n", &["a.csv", "found"]);
    refuses_file(
        "a.csv",
        "a,b,label\n1,2,0.5\n3,4,cat\n",
        &["a.csv", "line 2", "0.5", "words"],
    );
    let program = Chainrule::new();
    program.write("a.csv", "a,b,label\n1,2,0\n3,4,1\n");
    program.refused(
        &["train", "--data", "a.csv", "--label", "colour"],
        &["colour"],
    );
    program.refused(&["train", "--data", "a.csv", "--label", "7"], &["7"]);
}

#[test]
fn settings_files_with_errors() {
    let program = Chainrule::new();
    for (toml, words) in [
        (
            "[train]\nepochs = 1\nbatchsize = 3\n",
            ["bad.toml", "line 3", "batchsize"],
        ),
        (
            "[train]\nepochs = \"many\"\n",
            ["bad.toml", "line 2", "many"],
        ),
        ("[train]\nepochs = -2\n", ["bad.toml", "line 2", "-2"]),
        ("[model\n", ["bad.toml", "line 1", "]"]),
    ] {
        program.write("bad.toml", toml);
        program.refused(&["train", "--config", "bad.toml"], &words);
    }
}

#[test]
fn settings_out_of_range() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    for (flags, words) in [
        (&["--depth", "0"][..], ["model.depth", "found 0"]),
        (&["--width", "0"], ["model.width", "found 0"]),
        (&["--widths", "4,0"], ["model.widths", "found 0"]),
        (
            &["--widths", "4", "--depth", "3"],
            ["model.widths", "depth"],
        ),
        (&["--dropout", "1"], ["model.dropout", "found 1"]),
        (&["--dropout", "-0.1"], ["model.dropout", "-0.1"]),
        (&["--lr", "-0.1"], ["optimizer.lr", "-0.1"]),
        (&["--batch-size", "0"], ["train.batch_size", "found 0"]),
        (
            &["--test-split", "0.5", "--test-data", "set.npz"],
            ["data.test_split", "--test-split"],
        ),
        (&["--batch-size", "1"], ["train.batch_size", "found 1"]),
        (&["--epochs", "0"], ["train.epochs", "found 0"]),
        (&["--threads", "0"], ["train.threads", "found 0"]),
        (
            &["--class-weights", "1,2"],
            ["train.class_weights", "found 2"],
        ),
        (&["--augment", "rotate"], ["augment", "rotate"]),
        (
            &["--optimizer", "adam", "--momentum", "0.9"],
            ["momentum", "adam"],
        ),
        (
            &["--schedule", "cosine", "--warmup", "10"],
            ["schedule.warmup", "found 10"],
        ),
        (
            &["--validation", "0", "--patience", "3"],
            ["train.patience", "validation"],
        ),
        (&["--activation", "rely"], ["rely", "relu"]),
        (&["--precision", "f16"], ["f16", "f32"]),
        (&["--learning-rate", "1"], ["--learning-rate", "unexpected"]),
    ] {
        let args = [&["train", "--data", "set.npz"], flags].concat();
        program.refused(&args, &words);
    }
    assert!(!program.path("runs").exists(), "no run was begun");
}

/// Refused before anything is read or started.
#[test]
fn too_many_threads() {
    let program = Chainrule::new();
    for threads in ["0", "1025", "1000000"] {
        for (args, flag) in [
            (&["train", "--data", "nowhere"][..], "train.threads"),
            (&["gradcheck"], "train.threads"),
            (&["eval", "--model", "nowhere"], "--threads"),
            (&["predict", "--model", "nowhere", "a.csv"], "--threads"),
        ] {
            let args = [args, &["--threads", threads]].concat();
            program.refused(&args, &[flag, "1", "1024", threads]);
        }
    }
    assert!(!program.path("runs").exists(), "no run was begun");
}

#[test]
fn models_of_another_shape() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let save = [
        "--save",
        "w.safetensors",
        "--epochs",
        "1",
        "--batch-size",
        "20",
    ];
    program.json(
        &[
            &[
                "train", "--data", "set.npz", "--width", "9", "--json", "--out", "run",
            ][..],
            &save,
        ]
        .concat(),
    );
    let init = [
        "train",
        "--data",
        "set.npz",
        "--init-from",
        "w.safetensors",
        "--batch-size",
        "20",
    ];
    program.refused(
        &[&init[..], &["--width", "8"]].concat(),
        &["w.safetensors", "0.weight", "[8, 6]", "[9, 6]"],
    );
    program.refused(
        &[&init[..], &["--width", "9", "--depth", "3"]].concat(),
        &["w.safetensors", "tensor"],
    );
    // A file of weights is not a model, because it has no description.
    program.refused(
        &["eval", "--model", "w.safetensors", "--data", "set.npz"],
        &["w.safetensors", "metadata"],
    );
    let other = Pixels::new(50, 4, 4, 10, 3);
    program.write("other.csv", other.csv());
    program.refused(
        &["eval", "--model", "run", "--data", "other.csv"],
        &["6", "5"],
    );

    let model = program.path("run/model.safetensors");
    let whole = fs::read(&model).unwrap();
    fs::write(&model, &whole[..whole.len() - 9]).unwrap();
    program.refused(
        &["eval", "--model", "run"],
        &["model.safetensors", "expected", "found"],
    );
    fs::write(&model, b"not tensors").unwrap();
    program.refused(
        &["predict", "--model", "run", "other.csv"],
        &["model.safetensors", "expected", "found"],
    );
    assert!(!program.path("runs").exists(), "no run was begun");
}

#[test]
fn folders_that_cannot_be_written() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    program.write("file", "");
    let train = [
        "train",
        "--data",
        "set.npz",
        "--batch-size",
        "20",
        "--epochs",
        "1",
    ];
    for (flags, word) in [
        (["--out", "file/run"], "file"),
        (["--save", "file/w.safetensors"], "file"),
    ] {
        let output = program.run(&[&train[..], &flags].concat());
        assert!(output.code == 1 || output.code == 2, "{output:?}");
        assert!(
            output.stderr.replace('\\', "/").contains(word) && output.stdout.is_empty(),
            "{output:?}"
        );
    }
    program.write("used/notes.txt", "mine");
    program.refused(
        &[&train[..], &["--out", "used"]].concat(),
        &["used", "--resume"],
    );
    assert_eq!(fs::read_dir(program.path("used")).unwrap().count(), 1);
}

/// Runs the program with a limit of 512 bytes per file, as if the disk were full.
/// The shell sets the limit; the trap keeps its signal from ending the program.
#[cfg(target_os = "linux")]
fn on_a_full_disk(program: &Chainrule, args: &str) -> (Option<i32>, String) {
    let binary = emulated(EXECUTABLE).join("' '");
    in_shell(
        program,
        &format!("trap '' XFSZ; ulimit -f 1; exec '{binary}' {args}"),
    )
}

/// Exit code and standard error of a script. Nothing may reach standard output.
#[cfg(target_os = "linux")]
fn in_shell(program: &Chainrule, script: &str) -> (Option<i32>, String) {
    let mut shell = std::process::Command::new("sh");
    let output = shell
        .args(["-c", script])
        .current_dir(program.path("."))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.stdout.is_empty() && !stderr.contains("panicked"),
        "{stderr}"
    );
    (output.status.code(), stderr)
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_no_half_written_file() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let train =
        "train --data set.npz --batch-size 20 --width 300 --epochs 2 --quiet --json --out run";
    let (code, stderr) = on_a_full_disk(&program, train);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("cannot write") && stderr.contains("run"),
        "{stderr}"
    );
    for entry in fs::read_dir(program.path("run")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            ["config.toml", "metrics.jsonl"].contains(&name.as_str()),
            "half-written {name}"
        );
    }
}

/// On a full disk a run keeps its model and its checkpoint, and it continues when there is room again.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_keeps_model_and_checkpoint() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let train = [
        "train",
        "--data",
        "set.npz",
        "--batch-size",
        "20",
        "--width",
        "300",
        "--json",
    ];
    let whole = program.json(&[&train[..], &["--epochs", "4", "--out", "whole"]].concat());
    program.json(&[&train[..], &["--epochs", "2", "--out", "run"]].concat());
    let files = ["model.safetensors", "checkpoint.safetensors"];
    let read = || files.map(|file| fs::read(program.path("run").join(file)).unwrap());
    let before = read();
    let (code, stderr) = on_a_full_disk(&program, "train --resume run --epochs 4 --quiet --json");
    assert_eq!(code, Some(1), "{stderr}");
    assert!(read() == before, "model and checkpoint are unchanged");
    let resumed = program.json(&["train", "--resume", "run", "--epochs", "4", "--json"]);
    assert_eq!(resumed["val_loss"], whole["val_loss"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_does_not_panic() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let train = "train --data set.npz --batch-size 20 --epochs 1 --quiet --json";
    let binary = emulated(EXECUTABLE).join("' '");
    let script = format!("'{binary}' {train} > /dev/full");
    let (code, stderr) = in_shell(&program, &script);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("standard output"), "{stderr}");
}

/// Without the feature `cuda` the message says how to build with it, and no command begins anything.
#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_needs_a_build_with_cuda() {
    let program = Chainrule::new();
    write_images(&program, "a.npz");
    let model = crate::support::train(&program, "a.npz", "r", &["--epochs", "1"]);
    assert_eq!(model["epochs_run"], 1);
    let commands: [&[&str]; 8] = [
        &["train", "--data", "a.npz", "--out", "new"],
        &["eval", "--model", "r"],
        &["predict", "--model", "r", "a.npz"],
        &["analyze", "--model", "r"],
        &["sweep", "lr", "--data", "a.npz", "--values", "0.1,0.2"],
        &["search", "--data", "a.npz", "--lr", "0.1..0.2"],
        &["gradcheck", "--widths", "3"],
        &["bench", "--quick"],
    ];
    for args in commands {
        let args = [args, &["--device", "cuda"]].concat();
        program.refused(&args, &["device", "without CUDA", "--features cuda"]);
    }
    assert!(!program.path("new").exists(), "no run was begun");
}

#[test]
fn unknown_devices_are_refused() {
    let program = Chainrule::new();
    for device in ["gpu", "cuda:", "cuda:-1", "CUDA"] {
        let args = ["train", "--device", device];
        program.refused(&args, &["--device", "cpu, cuda or cuda:N", device]);
    }
}
