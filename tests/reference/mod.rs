//! The reference cases of `data/golden`, for the tests that follow them.

use safetensors::{Dtype, SafeTensors};

/// A reference case: its tensors by name, as f64, and its description.
pub(crate) struct Golden {
    bytes: Vec<u8>,
    pub(crate) case: serde_json::Value,
}

pub(crate) const CASES: [&str; 16] = [
    "plain_relu_sgd",
    "plain_tanh_momentum",
    "plain_sigmoid_adam",
    "plain_leaky_nesterov_wd",
    "plain_relu_multistep_by_epoch",
    "bn_relu_adam",
    "bn_deep_taper_adam",
    "bn_leaky_adamw_smooth",
    "bn_gelu_adam_l2",
    "plain_silu_rmsprop",
    "bn_elu_rmsprop_momentum",
    "plain_relu_clip",
    "plain_tanh_rprop",
    "plain_relu_class_weights",
    "bn_relu_plateau",
    "fashion_shape_bn_relu_adam",
];

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let path = format!(
            "{}/data/golden/{name}.safetensors",
            env!("CARGO_MANIFEST_DIR")
        );
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let case = serde_json::from_str(&header.metadata().as_ref().unwrap()["case"]).unwrap();
        Golden { bytes, case }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        tensors.names().into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        tensors.tensor(name).unwrap().shape().to_vec()
    }

    pub(crate) fn f64s(&self, name: &str) -> Vec<f64> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors
            .tensor(name)
            .unwrap_or_else(|_| panic!("no tensor {name}"));
        assert_eq!(tensor.dtype(), Dtype::F64, "{name}");
        let (chunks, _) = tensor.data().as_chunks::<8>();
        chunks.iter().map(|&b| f64::from_le_bytes(b)).collect()
    }

    pub(crate) fn labels(&self, name: &str) -> Vec<u32> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), Dtype::I64, "{name}");
        let (chunks, _) = tensor.data().as_chunks::<8>();
        chunks
            .iter()
            .map(|&b| i64::from_le_bytes(b) as u32)
            .collect()
    }

    /// The description as the settings file of a run.
    pub(crate) fn settings(&self, precision: &str) -> String {
        let case = &self.case;
        let sizes = case["sizes"].as_array().unwrap();
        let mut text = format!(
            "[data]\ntest = false\n\n[model]\nwidths = {}\nbatch_norm = {}\nactivation = {}\n\n[train]\nprecision = \"{precision}\"\nshuffle = false\nepochs = {}\nbatch_size = {}\nlabel_smoothing = {:?}\nclip_norm = {:?}\n",
            serde_json::to_string(&sizes[1..sizes.len() - 1]).unwrap(),
            case["batch_norm"],
            case["activation"],
            case["epochs"],
            case["batch"],
            case["label_smoothing"].as_f64().unwrap(),
            case["clip_norm"].as_f64().unwrap(),
        );
        if !case["class_weights"].is_null() {
            text += &format!("class_weights = {}\n", case["class_weights"]);
        }
        for section in ["optimizer", "schedule"] {
            text += &format!("\n[{section}]\n");
            for (key, value) in case[section].as_object().unwrap() {
                text += &format!("{key} = {value}\n");
            }
        }
        text
    }
}

/// Compares tensors. The lengths must agree and every number must be finite. A number may differ by `tolerance` times
/// the tensor's largest magnitude (at least 1e-3).
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    let largest = expected.iter().fold(1e-3_f64, |m, x| m.max(x.abs()));
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            found.is_finite() && expected.is_finite(),
            "{what}[{i}]: {found} against {expected}"
        );
        let difference = (found - expected).abs();
        assert!(
            difference <= tolerance * largest,
            "{what}[{i}]: {found} against {expected}, difference {difference:e}, largest {largest}"
        );
    }
}

/// The tolerance of a tensor; `make_golden.py` explains the values. The bias of a Linear before a batch norm, the
/// running mean after it and the evaluation logits are loose. `None` means not compared.
pub(crate) fn tolerance(golden: &Golden, name: &str, single: bool) -> Option<f64> {
    let batch_norm = golden.case["batch_norm"].as_bool().unwrap();
    let last = golden
        .names()
        .iter()
        .filter_map(|n| {
            n.strip_prefix("init.")?
                .split('.')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .max();
    let position: Option<usize> = name.split('.').next().and_then(|p| p.parse().ok());
    let before_batch_norm = batch_norm
        && name.ends_with(".bias")
        && position != last
        && position.is_some_and(|p| golden.shape(&format!("init.{p}.weight")).len() == 2);
    let loose = before_batch_norm || name.ends_with("running_mean") || name == "eval_logits";
    match (loose, single) {
        (true, true) => None,
        (true, false) => Some(1e-6),
        (false, true) => Some(5e-4),
        (false, false) => Some(1e-11),
    }
}
