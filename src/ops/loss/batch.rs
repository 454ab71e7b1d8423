//! What goes into the loss of one batch beside the network's outputs, and what it comes to.

use crate::error::{Error, Result};

/// What a batch's rows should have given, one target a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets<'a> {
    /// Classes, each the place of an output.
    Classes(&'a [u32]),
}

impl<'a> Targets<'a> {
    /// How many rows they are for.
    pub fn len(&self) -> usize {
        match self {
            Targets::Classes(classes) => classes.len(),
        }
    }

    /// No rows at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses targets that do not fit a network with this number of outputs.
    pub(super) fn check(&self, outputs: usize) -> Result<()> {
        let Targets::Classes(classes) = self;
        match classes.iter().position(|&class| class as usize >= outputs) {
            None => Ok(()),
            Some(row) => {
                let expected = format!("classes below {outputs}, the network's outputs");
                let found = format!("{} in row {row}", classes[row]);
                Err(Error::shape("targets", expected, found))
            }
        }
    }
}

impl<'a> From<&'a [u32]> for Targets<'a> {
    fn from(classes: &'a [u32]) -> Self {
        Targets::Classes(classes)
    }
}

impl<'a> From<&'a Vec<u32>> for Targets<'a> {
    fn from(classes: &'a Vec<u32>) -> Self {
        Targets::Classes(classes)
    }
}

impl<'a, const N: usize> From<&'a [u32; N]> for Targets<'a> {
    fn from(classes: &'a [u32; N]) -> Self {
        Targets::Classes(classes)
    }
}

/// What the loss of one batch came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchLoss {
    /// The objective: the mean over the batch, with all options.
    pub objective: f64,
    /// Plain cross-entropy, the *sum* over the batch.
    pub cross_entropy_sum: f64,
    /// Rows whose largest logit is the label's (the first one on ties; a row with NaN is wrong).
    pub correct: usize,
}
