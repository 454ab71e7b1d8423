//! A network as checked data: sizes and options, nothing that is trained.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::backend::Order;
use crate::error::{Error, Result};
use crate::ops::activation::Activation;

/// More parameters than this are refused as a mistake: four buffers of them would not fit a laptop.
const MAX_PARAMETERS: usize = 1 << 31;

/// More Linear layers than this are refused as a mistake.
pub const MAX_LAYERS: usize = 10_000;

/// More members than this are refused as a mistake.
pub const MAX_MEMBERS: usize = 1024;

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
    /// Networks that share all but the scales of their inputs and their last layer; 1 is a plain network.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub members: usize,
    /// A linear map of each feature by itself, before the first layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<FeatureEmbedding>,
}

/// Which inputs belong to one feature, and how many values a feature becomes. Other inputs stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureEmbedding {
    /// The inputs of each feature, in ascending order.
    pub spans: Vec<Range<usize>>,
    /// Values that a feature becomes.
    pub width: usize,
}

fn one() -> usize {
    1
}

fn is_one(members: &usize) -> bool {
    *members == 1
}

impl FeatureEmbedding {
    /// Refuses spans that are empty, overlap or are no inputs.
    fn validate(&self, inputs: usize) -> Result<()> {
        if self.width == 0 {
            let message = "expected at least 1 value per feature, found 0";
            return Err(Error::setting("model.embed_width", message));
        }
        let mut free = 0..inputs;
        for span in &self.spans {
            if span.is_empty() || span.start < free.start || span.end > free.end {
                let message =
                    format!("expected inputs of one feature within {free:?}, found {span:?}");
                return Err(Error::setting("model.embed", message));
            }
            free.start = span.end;
        }
        if self.spans.is_empty() {
            let message = "expected at least one feature, found none";
            return Err(Error::setting("model.embed", message));
        }
        Ok(())
    }

    /// Values in a row of this number of inputs, once its features are embedded.
    fn outputs(&self, inputs: usize) -> usize {
        let embedded: usize = self.spans.iter().map(|span| span.len()).sum();
        inputs - embedded + self.spans.len() * self.width
    }
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
        if !(1..=MAX_MEMBERS).contains(&self.members) {
            let message = format!("expected from 1 to {MAX_MEMBERS}, found {}", self.members);
            return Err(Error::setting("model.members", message));
        }
        if self.members > 1 && self.has_batch_norm() {
            let message = format!(
                "expected 1 with batch normalisation, whose statistics would be a member's, found {}; members go with \
                 --batch-norm false",
                self.members
            );
            return Err(Error::setting("model.members", message));
        }
        if let Some(embedding) = &self.embedding {
            embedding.validate(self.inputs)?;
        }
        if self.parameters_at_most() > MAX_PARAMETERS as f64 {
            let message = format!("expected at most {MAX_PARAMETERS} parameters, found more");
            return Err(Error::setting("model.width", message));
        }
        Ok(())
    }

    /// A bound for the number of parameters, whatever the sizes are: every layer is counted with a batch norm.
    pub(super) fn parameters_at_most(&self) -> f64 {
        let layer = |inputs: usize, outputs: usize| (inputs as f64 + 3.0) * outputs as f64;
        let embedded = self.embedding.iter().flat_map(|embedding| {
            (embedding.spans.iter()).map(|span| layer(span.len(), embedding.width))
        });
        let scales = self.members as f64 * self.first_width() as f64;
        let layers = self.layers();
        let (last, hidden) = layers.split_last().expect("there is an output layer");
        let hidden = hidden
            .iter()
            .map(|&(inputs, outputs)| layer(inputs, outputs));
        let heads = self.members as f64 * layer(last.0, last.1);
        embedded.chain(hidden).sum::<f64>() + scales + heads
    }

    /// Values in a row that comes into the first layer.
    pub fn first_width(&self) -> usize {
        let embedded = |embedding: &FeatureEmbedding| embedding.outputs(self.inputs);
        self.embedding.as_ref().map_or(self.inputs, embedded)
    }

    /// Whether any block has a batch norm, which cannot learn from one row.
    pub fn has_batch_norm(&self) -> bool {
        self.batch_norm && !self.hidden.is_empty()
    }

    /// (inputs, outputs) of each Linear that the members share, and of a member's last one.
    pub fn layers(&self) -> Vec<(usize, usize)> {
        let inputs = std::iter::once(self.first_width()).chain(self.hidden.iter().copied());
        let outputs = self.hidden.iter().copied().chain([self.outputs]);
        inputs.zip(outputs).collect()
    }

    /// "784-500-10, batch norm, relu, dropout 0.2, 8 members".
    pub fn describe(&self) -> String {
        let mut sizes = vec![self.inputs.to_string()];
        sizes.extend(self.hidden.iter().map(usize::to_string));
        sizes.push(self.outputs.to_string());
        let mut text = sizes.join("-");
        if self.batch_norm {
            text += ", batch norm";
        }
        text += &format!(", {}", self.activation.name());
        if self.dropout > 0.0 {
            text += &format!(", dropout {}", self.dropout);
        }
        if let Some(FeatureEmbedding { spans, width }) = &self.embedding {
            let s = if spans.len() == 1 { "" } else { "s" };
            text += &format!(", {} feature{s} embedded in {width}", spans.len());
        }
        if self.members > 1 {
            text += &format!(", {} members", self.members);
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
            members: 1,
            embedding: None,
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
        let with_stem = NetworkSpec {
            batch_norm: false,
            members: 8,
            embedding: Some(FeatureEmbedding {
                spans: vec![0..48, 60..64],
                width: 16,
            }),
            ..read
        };
        let more = r#","members":8,"embedding":{"spans":[{"start":0,"end":48},{"start":60,"end":64}],"width":16}}"#;
        let text = text
            .replace("true", "false")
            .trim_end_matches('}')
            .to_owned()
            + more;
        assert_eq!(serde_json::to_string(&with_stem).unwrap(), text);
        assert_eq!(
            serde_json::from_str::<NetworkSpec>(&text).unwrap(),
            with_stem
        );
        assert_eq!(with_stem.layers(), [(784 - 52 + 32, 500), (500, 10)]);
        assert_eq!(
            with_stem.describe(),
            "784-500-10, relu, 2 features embedded in 16, 8 members"
        );
    }

    fn embedded(spans: Vec<Range<usize>>, width: usize) -> NetworkSpec {
        NetworkSpec {
            embedding: Some(FeatureEmbedding { spans, width }),
            ..spec()
        }
    }

    fn members(members: usize, batch_norm: bool) -> NetworkSpec {
        NetworkSpec {
            members,
            batch_norm,
            ..spec()
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(spec().validate().is_ok() && members(MAX_MEMBERS, false).validate().is_ok());
        assert!(embedded(vec![0..5, 5..6, 783..784], 4).validate().is_ok());
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
            members(0, false),
            members(MAX_MEMBERS + 1, false),
            members(2, true),
            embedded(vec![0..5], 0),
            embedded(Vec::new(), 4),
            embedded(vec![0..5, 4..6], 4),
            embedded(vec![7..9, 0..5], 4),
            embedded(vec![3..3], 4),
            embedded(vec![780..785], 4),
            embedded(vec![0..5], usize::MAX / 8),
        ];
        for spec in broken {
            let error = spec.validate().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
}
