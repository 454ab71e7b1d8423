//! What the final model says of the test set: classes, numbers or labels.

use super::figure::Figure;
use super::html;
use super::test_result::TestResult;
use super::tested_classes::TestedClasses;
use super::tested_labels::TestedLabels;
use super::tested_values::TestedValues;
use crate::data::Task;
use crate::error::{Error, Result};

/// What a model says of the test set.
pub(super) enum Tested {
    /// Classes.
    Classes(TestedClasses),
    /// Numbers.
    Values(TestedValues),
    /// Labels.
    Labels(TestedLabels),
}

impl Tested {
    /// Of these predictions.
    ///
    /// # Errors
    /// If there are not as many of them as labels, or they are of another kind.
    pub(super) fn of(result: &TestResult) -> Result<Self> {
        let predictions = &result.predictions;
        let wanted = result.samples.labels.len() * result.class_names.len();
        if predictions.outputs.len() != wanted {
            let found = predictions.outputs.len().to_string();
            return Err(Error::shape("predictions", wanted.to_string(), found));
        }
        Ok(match predictions.task {
            Task::Classification => Tested::Classes(TestedClasses::of(result)?),
            Task::Regression => Tested::Values(TestedValues::of(result)),
            Task::Multilabel => Tested::Labels(TestedLabels::of(result)),
        })
    }

    /// All charts.
    pub(super) fn figures(&self) -> Vec<Figure> {
        match self {
            Tested::Classes(tested) => tested.figures(),
            Tested::Values(tested) => tested.figures(),
            Tested::Labels(tested) => tested.figures(),
        }
    }

    /// What stands below the charts, as HTML.
    pub(super) fn details(&self) -> String {
        match self {
            Tested::Classes(tested) => {
                let text = tested.confused_in_words();
                text.map_or_else(String::new, |text| html::paragraph("", &text))
            }
            Tested::Values(tested) => tested.table(),
            Tested::Labels(tested) => tested.table(),
        }
    }
}
