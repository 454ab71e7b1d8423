//! Models: `model.safetensors`.

use chainrule::backend::select::Device;
use chainrule::data::{self, TableOptions, Task};
use chainrule::model::{Description, Model, tensors};
use chainrule::nn::Layout;

use crate::files::{Files, sound};
use crate::memory::{bounded, expanded};
use crate::safetensors;

/// The most numbers of a network that is made for a description, and the most values of a row that is predicted.
const MAX_NUMBERS: usize = 1 << 13;

/// Numbers up to here, weights and others, cannot overflow what a network of a few layers computes from them.
const TAME: f64 = 100.0;

/// The smallest variance that divides nothing up beyond that.
const TAME_VARIANCE: f64 = 1e-3;

/// The input is a model. It is read as it is; with lengths and offsets put right; and with the tensors that a network
/// of its description has. What is read predicts rows in the form that it asks for.
pub fn model(input: &[u8]) -> bool {
    let mut accepted = read(input);
    if let Some(right) = safetensors::repaired(input) {
        accepted |= read(&right);
    }
    match fitted(input) {
        Some(right) => read(&right) || accepted,
        None => accepted,
    }
}

/// The file of a network of this description, with numbers from the input.
fn fitted(input: &[u8]) -> Option<Vec<u8>> {
    let json = safetensors::description(input)?;
    let (_, data) = safetensors::parts(input)?;
    let description: Description = serde_json::from_str(&json).ok()?;
    let spec = &description.spec;
    spec.validate().ok()?;
    let sizes = spec
        .hidden
        .iter()
        .chain([&spec.inputs, &spec.outputs, &spec.members]);
    if sizes.into_iter().any(|&size| size > 64) || spec.hidden.len() > 16 {
        return None;
    }
    let layout = Layout::new(spec);
    let (params, running) = (layout.parameter_count(), layout.running_count());
    if params + running > MAX_NUMBERS {
        return None;
    }
    // Sixteenths from 0 on are sound numbers wherever they stand.
    let mut numbers = data
        .iter()
        .chain([&9])
        .cycle()
        .map(|&byte| f32::from(byte) / 16.0);
    let params: Vec<f32> = numbers.by_ref().take(params).collect();
    let running: Vec<f32> = numbers.take(running).collect();
    let files = Files::new();
    let path = files.path("model.safetensors");
    let arrays = tensors::network(&layout, &params, &running, 1);
    tensors::write(&path, &arrays, Some(json)).expect("room for temporary files");
    Some(std::fs::read(path).expect("it was just written"))
}

fn read(file: &[u8]) -> bool {
    let files = Files::new();
    let path = files.write("model.safetensors", file);
    let Some(model) = bounded(expanded(file), || sound(Model::read(&path))) else {
        return false;
    };
    let numbers = || model.params.iter().chain(&model.running);
    assert!(numbers().all(|x| x.is_finite()));
    let json = serde_json::to_string(&model.description).unwrap();
    let again: Description = serde_json::from_str(&json).unwrap();
    assert_eq!(again, model.description);
    sound(model.config());
    predict(&model, &files);
    true
}

/// Predicts two rows of a table that has the columns of the model.
fn predict(model: &Model, files: &Files) {
    let description = &model.description;
    let columns = description.columns();
    let count = columns.columns.len();
    let outputs = description.spec.outputs;
    if count.max(description.spec.inputs).max(outputs) > MAX_NUMBERS {
        return;
    }
    let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let names: Vec<String> = columns
        .columns
        .iter()
        .map(|column| quoted(&column.name))
        .collect();
    let cells = |cell: &str| vec![cell; count].join(",");
    let table = [names.join(","), cells("1"), cells("0")].join("\n");
    let path = files.write("rows.csv", table.as_bytes());
    let options = TableOptions::default();
    let read = data::read_input(&path, &columns, description.image, &options);
    let Some((_, rows)) = sound(read) else { return };
    let Some(rows) = sound(description.fit_rows(rows, &path)) else {
        return;
    };
    let Some(mut predictor) = sound(model.predictor(Device::Cpu, 1)) else {
        return;
    };
    let Some(predictions) = sound(predictor.predict(&rows.samples)) else {
        return;
    };
    assert_eq!(predictions.outputs.len(), rows.samples.len() * outputs);
    if !is_tame(model) {
        return;
    }
    for &output in &predictions.outputs {
        let in_range = description.task == Task::Regression || (0.0..=1.0).contains(&output);
        assert!(output.is_finite() && in_range, "{output}");
    }
}

/// Whether nothing that a small network computes of its numbers and of rows of 0 and 1 overflows.
fn is_tame(model: &Model) -> bool {
    let Description {
        normalizer,
        target_scale,
        schema,
        spec,
        ..
    } = &model.description;
    let all = [
        &model.params,
        &model.running,
        &normalizer.scale,
        &normalizer.shift,
    ];
    spec.hidden.len() <= 4
        && target_scale.is_none()
        && schema.is_none()
        && all.into_iter().flatten().all(|x| x.abs() <= TAME)
        && model.running.iter().all(|x| *x >= TAME_VARIANCE)
}
