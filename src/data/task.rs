//! What a network is to say of a sample.

use serde::{Deserialize, Serialize};

/// What a network is to say of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Which one of several classes it has
    #[default]
    Classification,
    /// Numbers
    Regression,
    /// Which of several labels it has: none, one or more
    Multilabel,
}

impl Task {
    /// The name in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Task::Classification => "classification",
            Task::Regression => "regression",
            Task::Multilabel => "multilabel",
        }
    }

    /// Whether it is the default, which files do not name.
    pub(crate) fn is_classification(&self) -> bool {
        *self == Task::Classification
    }
}
