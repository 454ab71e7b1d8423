//! The weight of each class in the loss.
//!
//! *balanced* is scikit-learn's `compute_class_weight("balanced", ...)`: of n training samples, `$n_c$` are of class c,
//! and K classes have samples. All classes then weigh the same in sum (King, Zeng, “Logistic regression in rare events
//! data”, Political Analysis 9, 2001):
//!
//! ```math
//! w_c = \frac{n}{K\, n_c}
//! ```

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The weight of each class in the loss, before the classes are known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of weights, a table of weights by class name, or \"balanced\""
)]
pub enum ClassWeights {
    /// One for each class, in their order.
    InOrder(Vec<f64>),
    /// By the name of the class; a class that is not named weighs 1.
    ByName(BTreeMap<String, f64>),
    /// From the number of samples of each class.
    Computed(WeightRule),
}

/// How weights follow from the numbers of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightRule {
    /// The rarer a class, the more each of its samples weighs: `$n / (K n_c)$`.
    Balanced,
}

impl ClassWeights {
    /// The weights alone.
    pub(super) fn values(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        match self {
            ClassWeights::InOrder(weights) => Box::new(weights.iter().copied()),
            ClassWeights::ByName(weights) => Box::new(weights.values().copied()),
            ClassWeights::Computed(_) => Box::new(std::iter::empty()),
        }
    }

    /// One weight for each class of these names, in their order. `counts` has the training samples of each class.
    ///
    /// # Errors
    /// Names a class that is not among them.
    pub(super) fn of(
        &self,
        classes: &[String],
        counts: impl FnOnce() -> Vec<usize>,
    ) -> Result<Vec<f64>, String> {
        match self {
            ClassWeights::InOrder(weights) => Ok(weights.clone()),
            ClassWeights::ByName(weights) => {
                if let Some(unknown) = weights.keys().find(|name| !classes.contains(name)) {
                    let classes = classes.join(", ");
                    return Err(format!("expected classes of {classes}, found {unknown:?}"));
                }
                let weight = |class| weights.get(class).copied().unwrap_or(1.0);
                Ok(classes.iter().map(weight).collect())
            }
            ClassWeights::Computed(WeightRule::Balanced) => Ok(balanced(&counts())),
        }
    }
}

/// A class without samples weighs 0: nothing is learnt about it, by label smoothing neither.
fn balanced(counts: &[usize]) -> Vec<f64> {
    let samples: usize = counts.iter().sum();
    let present = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &usize| match count {
        0 => 0.0,
        count => samples as f64 / (present as f64 * count as f64),
    };
    counts.iter().map(weight).collect()
}

/// "1,2.5", "cat=2,dog=1" or "balanced".
impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let expected = "numbers joined by commas, name=number, or balanced";
            format!("expected {expected}, found {text:?}")
        };
        if text == "balanced" {
            return Ok(ClassWeights::Computed(WeightRule::Balanced));
        }
        let number = |part: &str| part.trim().parse::<f64>().map_err(|_| wrong());
        let parts = text.split(',');
        if !text.contains('=') {
            return parts
                .map(number)
                .collect::<Result<_, _>>()
                .map(ClassWeights::InOrder);
        }
        let mut weights = BTreeMap::new();
        for part in parts {
            let (name, weight) = part.rsplit_once('=').ok_or_else(wrong)?;
            let name = name.trim();
            if weights.insert(name.to_owned(), number(weight)?).is_some() {
                return Err(format!("expected each class once, found {name:?} twice"));
            }
        }
        Ok(ClassWeights::ByName(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `compute_class_weight("balanced", classes=np.unique(y), y=y)` of scikit-learn 1.7.2
    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        let golden = [
            24.8,
            0.24554455445544554,
            1.9076923076923078,
            3.5428571428571427,
            12.4,
        ];
        for (found, expected) in balanced(&[1, 101, 13, 7, 2]).into_iter().zip(golden) {
            assert!((found - expected).abs() <= 1e-14, "{found} {expected}");
        }
        assert_eq!(balanced(&[4; 3]), [1.0; 3]);
        assert_eq!(balanced(&[]), [0.0; 0]);
    }

    #[test]
    fn a_class_without_samples_weighs_nothing() {
        assert_eq!(balanced(&[7, 0, 3, 0]), [10.0 / 14.0, 0.0, 10.0 / 6.0, 0.0]);
    }
}
