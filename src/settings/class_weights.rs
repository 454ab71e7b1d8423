//! The weight of each class in the loss.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The weight of each class in the loss, before the classes are known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of weights, or a table of weights by class name"
)]
pub enum ClassWeights {
    /// One for each class, in their order.
    InOrder(Vec<f64>),
    /// By the name of the class; a class that is not named weighs 1.
    ByName(BTreeMap<String, f64>),
}

impl ClassWeights {
    /// The weights alone.
    pub(super) fn values(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        match self {
            ClassWeights::InOrder(weights) => Box::new(weights.iter().copied()),
            ClassWeights::ByName(weights) => Box::new(weights.values().copied()),
        }
    }

    /// One weight for each class of these names, in their order.
    ///
    /// # Errors
    /// Names a class that is not among them.
    pub(super) fn of(&self, classes: &[String]) -> Result<Vec<f64>, String> {
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
        }
    }
}

/// "1,2.5" or "cat=2,dog=1".
impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected numbers joined by commas, or name=number, found {text:?}");
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
