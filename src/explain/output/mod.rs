//! A step on paper: as a page, as text, as CSV files, as a numpy script.

mod csv;
mod numpy;
mod page;
mod text;

pub use csv::csv_files;
pub use numpy::script;
pub use page::page;
pub use text::text;

use super::run::{ExplainedStep, Explanation};
use crate::ops::loss::Loss;
use crate::optim::Optimizer;

impl Explanation {
    /// "4-4-3, batch norm, relu; cross_entropy; adamw; seed 0", for headings.
    pub fn describe(&self) -> String {
        let optimizer = match self.config.optimizer {
            Optimizer::Sgd(_) => "sgd",
            Optimizer::Adam(_) => "adam",
            Optimizer::AdamW(_) => "adamw",
            Optimizer::RmsProp(_) => "rmsprop",
            Optimizer::Rprop(_) => "rprop",
        };
        let loss: &Loss = &self.config.loss;
        format!(
            "{}; loss {}; {optimizer}; seed {}",
            self.spec.describe(),
            loss.name(),
            self.config.seed
        )
    }
}

impl ExplainedStep {
    /// How well the step's numbers agree, a sentence each.
    pub fn agreement(&self) -> [String; 3] {
        let (worst, name) = self.from_differences();
        [
            format!(
                "The two grains differ by at most {:.1e}, relative to a tensor's largest number.",
                self.between_grains
            ),
            format!(
                "The new parameters of the fused grain differ from those of training itself by at most {:.1e}.",
                self.from_training
            ),
            match name {
                "" => "No gradient differs from its central difference.".to_owned(),
                name => format!(
                    "Gradients differ from central differences by at most {worst:.1e}, in {name}."
                ),
            },
        ]
    }
}
