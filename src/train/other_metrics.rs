//! The metrics that only some runs have, in the files of a run.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use crate::metrics::{DataPart, Evaluation, Metric, PartMetric};

/// The metrics of a part beside accuracy and loss, which have fields of their own.
///
/// In a file each has its name, as `val_f1_macro`. One that was not measured is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OtherMetrics(Evaluation);

impl OtherMetrics {
    /// Those of an evaluation.
    pub fn of(evaluation: Option<Evaluation>) -> Self {
        let value = |metric| Some((metric, evaluation?.get(metric)?));
        OtherMetrics(Evaluation::new(known().filter_map(value)))
    }

    /// The value of a metric, if it was measured.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0.get(metric)
    }

    fn write<S: Serializer>(&self, part: DataPart, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for metric in known() {
            if let Some(value) = self.get(metric) {
                map.serialize_entry(&metric.of(part).name(), &value)?;
            }
        }
        map.end()
    }

    /// Takes the metrics of a part out of the fields of a file. What is null was not measured.
    fn read<'de, D: Deserializer<'de>>(part: DataPart, deserializer: D) -> Result<Self, D::Error> {
        let mut evaluation = Evaluation::default();
        for (name, value) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            let named = PartMetric::from_name(&name).filter(|found| found.part == part);
            let Some(metric) = named.map(|n| n.metric).filter(|m| known().any(|k| k == *m)) else {
                continue;
            };
            let value: Option<f64> = serde_json::from_value(value)
                .map_err(|e| D::Error::custom(format!("{name}: {e}")))?;
            evaluation.extend(value.map(|value| (metric, value)));
        }
        Ok(OtherMetrics(evaluation))
    }
}

fn known() -> impl Iterator<Item = Metric> {
    let has_field = |metric| matches!(metric, Metric::Accuracy | Metric::Loss);
    Metric::ALL.into_iter().filter(move |&m| !has_field(m))
}

/// How a file has those of the validation part.
pub(super) mod of_validation {
    use super::*;

    pub(in crate::train) fn serialize<S: Serializer>(
        others: &OtherMetrics,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        others.write(DataPart::Validation, serializer)
    }

    pub(in crate::train) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OtherMetrics, D::Error> {
        OtherMetrics::read(DataPart::Validation, deserializer)
    }
}

/// How a file has those of the test part.
pub(super) mod of_test {
    use super::*;

    pub(in crate::train) fn serialize<S: Serializer>(
        others: &OtherMetrics,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        others.write(DataPart::Test, serializer)
    }

    pub(in crate::train) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OtherMetrics, D::Error> {
        OtherMetrics::read(DataPart::Test, deserializer)
    }
}
