//! The reference cases through the program: settings, data and initial weights as files, the last weights as a file.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use zip::write::SimpleFileOptions;

use crate::support::{CASES, Golden, assert_close, tolerance};

/// An array in NPY's format, version 1.
fn npy(descr: &str, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
        sizes.join(" ")
    );
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes);
    file
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn write_npz(golden: &Golden, path: &Path) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for name in ["x", "y", "x_val", "y_val"] {
        let shape = golden.shape(name);
        let array = if name.starts_with('x') {
            npy("<f8", &shape, &bytes(&golden.f64s(name)))
        } else {
            let labels: Vec<u8> = golden
                .labels(name)
                .iter()
                .flat_map(|&y| i64::from(y).to_le_bytes())
                .collect();
            npy("<i8", &shape, &labels)
        };
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(&array).unwrap();
    }
    zip.finish().unwrap();
}

fn write_init(golden: &Golden, path: &Path) {
    let names: Vec<String> = golden
        .names()
        .into_iter()
        .filter(|n| n.starts_with("init."))
        .collect();
    let data: Vec<Vec<u8>> = names.iter().map(|n| bytes(&golden.f64s(n))).collect();
    let views = names.iter().zip(&data).map(|(name, data)| {
        (
            name.trim_start_matches("init."),
            TensorView::new(Dtype::F64, golden.shape(name), data).unwrap(),
        )
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// What PyTorch's losses come to in each epoch: (mean over samples, sum over batches).
fn epoch_losses(golden: &Golden) -> Vec<(f64, f64)> {
    let (losses, n) = (golden.f64s("loss"), golden.labels("y").len());
    let batch = golden.case["batch"].as_u64().unwrap() as usize;
    let per_epoch = n.div_ceil(batch);
    let mean = |epoch: &[f64]| {
        let weighted = epoch
            .iter()
            .enumerate()
            .map(|(i, loss)| loss * batch.min(n - i * batch) as f64);
        weighted.sum::<f64>() / n as f64
    };
    losses
        .chunks(per_epoch)
        .map(|epoch| (mean(epoch), epoch.iter().sum()))
        .collect()
}

fn follow(name: &str) {
    let golden = Golden::read(name);
    let dir = tempfile::tempdir().unwrap();
    write_npz(&golden, &dir.path().join("case.npz"));
    write_init(&golden, &dir.path().join("init.safetensors"));
    // What the flags below say is left out of the file.
    let settings = golden
        .settings("f64")
        .replace("precision = \"f64\"\nshuffle = false\n", "");
    fs::write(dir.path().join("case.toml"), settings).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_chainrule"))
        .current_dir(dir.path())
        .args([
            "train",
            "--config",
            "case.toml",
            "--data",
            "case.npz",
            "--init-from",
            "init.safetensors",
        ])
        .args([
            "--shuffle",
            "false",
            "--precision",
            "f64",
            "--save",
            "out.safetensors",
            "--json",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["epochs_run"], golden.case["epochs"], "{name}");
    assert_eq!(
        summary["test_accuracy"],
        serde_json::Value::Null,
        "{name}: there is no test part"
    );

    let bytes = fs::read(dir.path().join("out.safetensors")).unwrap();
    let saved = SafeTensors::deserialize(&bytes).unwrap();
    let mut compared = 0;
    for key in golden.names() {
        let Some(tensor) = key.strip_prefix("after.") else {
            continue;
        };
        let view = saved.tensor(tensor).unwrap();
        assert_eq!(view.shape(), golden.shape(&key), "{name} {tensor}");
        let (chunks, _) = view.data().as_chunks::<8>();
        let found: Vec<f64> = chunks.iter().map(|&b| f64::from_le_bytes(b)).collect();
        let bound = tolerance(&golden, tensor, false).unwrap();
        assert_close(
            &format!("{name} {tensor}"),
            &found,
            &golden.f64s(&key),
            bound,
        );
        compared += 1;
    }
    let tracked = saved
        .names()
        .into_iter()
        .filter(|n| n.ends_with("num_batches_tracked"))
        .count();
    assert_eq!(
        saved.len(),
        compared + tracked,
        "{name}: no further tensors"
    );

    let run = dir.path().join(summary["run_dir"].as_str().unwrap());
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let records: Vec<serde_json::Value> = metrics
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let column =
        |key: &str| -> Vec<f64> { records.iter().map(|r| r[key].as_f64().unwrap()).collect() };
    let (means, sums): (Vec<f64>, Vec<f64>) = epoch_losses(&golden).into_iter().unzip();
    assert_close(
        &format!("{name} train_loss"),
        &column("train_loss"),
        &means,
        1e-11,
    );
    assert_close(
        &format!("{name} train_loss_sum"),
        &column("train_loss_sum"),
        &sums,
        1e-11,
    );
}

#[test]
fn every_case_through_the_program() {
    CASES.iter().for_each(|name| follow(name));
}
