//! A network as checked data: sizes and options, nothing that is trained.

use serde::{Deserialize, Serialize};

use crate::backend::Order;
use crate::error::{Error, Result};
use crate::ops::activation::Activation;

/// More parameters than this are refused as a mistake: four buffers of them would not fit a laptop.
const MAX_PARAMETERS: usize = 1 << 31;

/// More Linear layers than this are refused as a mistake.
pub const MAX_LAYERS: usize = 10_000;

/// Everything that determines the shape and the function of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Values a sample.
    pub inputs: usize,
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Units of the last layer: one a class. Files call them classes.
    #[serde(rename = "classes")]
    pub outputs: usize,
    /// Batch normalisation after each hidden Linear.
    pub batch_norm: bool,
    /// Nonlinearity of the hidden blocks.
    pub activation: Activation,
    /// Probability of dropping a hidden unit; 0 is off.
    pub dropout: f64,
    /// Whether dropout or the activation comes first.
    pub order: Order,
}

/// The hidden widths of `depth` Linear layers, the first one `width` wide.
///
/// With `taper` and more than one hidden layer each next one is narrower by
/// `$\lfloor \mathrm{width}/(\mathrm{depth}-1) \rfloor$`.
pub fn hidden_widths(width: usize, depth: usize, taper: bool) -> Vec<usize> {
    let shrink = if taper && depth > 2 {
        width / (depth - 1)
    } else {
        0
    };
    (0..depth.saturating_sub(1))
        .map(|i| width - i * shrink)
        .collect()
}

impl NetworkSpec {
    /// Refuses empty layers, impossible probabilities and sizes that no machine holds.
    pub fn validate(&self) -> Result<()> {
        if self.inputs == 0 {
            return Err(Error::setting(
                "data",
                "expected at least one value per sample, found 0",
            ));
        }
        if self.outputs == 0 {
            let message = "expected at least 1 output, found 0";
            return Err(Error::setting("data", message));
        }
        if self.hidden.contains(&0) {
            let message = "expected every hidden layer to have at least 1 unit, found 0";
            return Err(Error::setting("model.width", message));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let message = format!("expected a probability in [0, 1), found {}", self.dropout);
            return Err(Error::setting("model.dropout", message));
        }
        if self.hidden.len() >= MAX_LAYERS {
            let message = format!("expected at most {MAX_LAYERS} layers, found more");
            return Err(Error::setting("model.depth", message));
        }
        let mut total = 0_usize;
        for (inputs, outputs) in self.layers() {
            let parameters = (inputs.checked_add(3)).and_then(|i| i.checked_mul(outputs));
            total = parameters
                .and_then(|p| total.checked_add(p))
                .unwrap_or(usize::MAX);
        }
        if total > MAX_PARAMETERS {
            let message = format!("expected at most {MAX_PARAMETERS} parameters, found more");
            return Err(Error::setting("model.width", message));
        }
        Ok(())
    }

    /// Whether any block has a batch norm, which cannot learn from one row.
    pub fn has_batch_norm(&self) -> bool {
        self.batch_norm && !self.hidden.is_empty()
    }

    /// (inputs, outputs) of each Linear.
    pub fn layers(&self) -> Vec<(usize, usize)> {
        let inputs = std::iter::once(self.inputs).chain(self.hidden.iter().copied());
        let outputs = self.hidden.iter().copied().chain([self.outputs]);
        inputs.zip(outputs).collect()
    }

    /// "784-500-10, batch norm, relu, dropout 0.2".
    pub fn describe(&self) -> String {
        let mut sizes = vec![self.inputs.to_string()];
        sizes.extend(self.hidden.iter().map(usize::to_string));
        sizes.push(self.outputs.to_string());
        let mut text = sizes.join("-");
        if self.batch_norm {
            text += ", batch norm";
        }
        if let Ok(serde_json::Value::String(name)) = serde_json::to_value(self.activation) {
            text += &format!(", {name}");
        }
        if self.dropout > 0.0 {
            text += &format!(", dropout {}", self.dropout);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> NetworkSpec {
        NetworkSpec {
            inputs: 784,
            hidden: hidden_widths(569, 8, true),
            outputs: 10,
            batch_norm: true,
            activation: Activation::Relu,
            dropout: 0.333,
            order: Order::DropoutActivation,
        }
    }

    #[test]
    fn widths_of_the_study() {
        assert_eq!(
            hidden_widths(569, 8, true),
            [569, 488, 407, 326, 245, 164, 83]
        );
        assert_eq!(hidden_widths(500, 2, true), [500]);
        assert_eq!(hidden_widths(1000, 4, false), [1000, 1000, 1000]);
        assert!(hidden_widths(500, 1, true).is_empty());
        assert_eq!(
            hidden_widths(3, 8, true),
            [3; 7],
            "narrower than deep: no taper is possible"
        );
        assert_eq!(
            spec().describe(),
            "784-569-488-407-326-245-164-83-10, batch norm, relu, dropout 0.333"
        );
    }

    /// Models and checkpoints hold a network's description under these names.
    #[test]
    fn files_keep_their_names() {
        let text = concat!(
            r#"{"inputs":784,"hidden":[500],"classes":10,"batch_norm":true,"#,
            r#""activation":"relu","dropout":0.0,"order":"dropout_activation"}"#
        );
        let read: NetworkSpec = serde_json::from_str(text).unwrap();
        assert_eq!((read.inputs, read.outputs), (784, 10));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(spec().validate().is_ok());
        let broken = [
            NetworkSpec {
                inputs: 0,
                ..spec()
            },
            NetworkSpec {
                outputs: 0,
                ..spec()
            },
            NetworkSpec {
                hidden: vec![5, 0],
                ..spec()
            },
            NetworkSpec {
                dropout: 1.0,
                ..spec()
            },
            NetworkSpec {
                dropout: f64::NAN,
                ..spec()
            },
            NetworkSpec {
                dropout: -0.1,
                ..spec()
            },
            NetworkSpec {
                hidden: vec![usize::MAX / 2, usize::MAX / 2],
                ..spec()
            },
            NetworkSpec {
                hidden: vec![1; MAX_LAYERS],
                ..spec()
            },
        ];
        for spec in broken {
            let error = spec.validate().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
}
