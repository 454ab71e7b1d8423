//! The reference cases through the program: settings, data and initial weights are read from files, and the last
//! weights are written to a file.

use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::reference::{CASES, Golden, assert_close, tolerance};
use crate::support::{Chainrule, npy, write_npz};

fn bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn write_data(golden: &Golden, path: &Path) {
    let labels = |name: &str| -> Vec<u8> {
        let labels = golden.labels(name);
        labels
            .iter()
            .flat_map(|&y| i64::from(y).to_le_bytes())
            .collect()
    };
    let arrays = ["x", "y", "x_val", "y_val"].map(|name| {
        let (descr, values) = match name.starts_with('x') {
            true => ("<f8", bytes(&golden.f64s(name))),
            false => ("<i8", labels(name)),
        };
        (name, npy(descr, &golden.shape(name), &values))
    });
    write_npz(path, &arrays);
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

/// The losses of each epoch from PyTorch's losses: (mean over samples, sum over batches).
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
    let program = Chainrule::new();
    write_data(&golden, &program.path("case.npz"));
    write_init(&golden, &program.path("init.safetensors"));
    // Keys that the flags below set are left out of the file.
    let settings = golden
        .settings("f64")
        .replace("precision = \"f64\"\nshuffle = false\n", "");
    program.write("case.toml", settings);
    let files = [
        "--config",
        "case.toml",
        "--data",
        "case.npz",
        "--init-from",
        "init.safetensors",
    ];
    let flags = [
        "--shuffle",
        "false",
        "--normalize",
        "auto",
        "--precision",
        "f64",
        "--save",
        "out.safetensors",
        "--json",
    ];
    let summary = program.json(&[&["train"][..], &files, &flags].concat());
    assert_eq!(summary["epochs_run"], golden.case["epochs"], "{name}");
    assert_eq!(
        summary["test_accuracy"],
        serde_json::Value::Null,
        "{name}: there is no test part"
    );

    let bytes = fs::read(program.path("out.safetensors")).unwrap();
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

    let run = program.path(summary["run_dir"].as_str().unwrap());
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
