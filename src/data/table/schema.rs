//! What a model knows of the columns that it was trained on.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{TableCell, piecewise};
use crate::data::{Features, Samples};
use crate::error::{Error, Result};

/// The columns of a table, and how each becomes numbers. It is fitted on the training rows and stored with the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Whether columns are found by their names; else by their positions.
    pub has_names: bool,
    /// Columns in the file, features and others; 0 for arrays.
    #[serde(default)]
    pub file_columns: usize,
    /// The label columns, for files that have some.
    #[serde(default, rename = "target", with = "target_columns")]
    pub targets: Vec<TargetColumn>,
    /// The column that says how much each sample counts in training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// The columns that name rows.
    #[serde(default)]
    pub ids: Vec<String>,
    /// The features, in the order in which they enter the network.
    pub columns: Vec<SchemaColumn>,
}

/// The label column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetColumn {
    /// Its name; without a header its number.
    pub name: String,
    /// Its place in the file, from 0.
    pub position: usize,
}

/// Label columns in a file: null, one, or a list.
mod target_columns {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::TargetColumn;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum WrittenTargets {
        One(TargetColumn),
        Several(Vec<TargetColumn>),
    }

    pub(super) fn serialize<S: Serializer>(
        targets: &[TargetColumn],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match targets {
            [] => serializer.serialize_none(),
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<TargetColumn>, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            None => Vec::new(),
            Some(WrittenTargets::One(one)) => vec![one],
            Some(WrittenTargets::Several(several)) => several,
        })
    }
}

/// A column that is a feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchemaColumn {
    /// Its name; without a header its number.
    pub name: String,
    /// Its place in the file, from 0.
    pub position: usize,
    /// How it becomes numbers.
    #[serde(flatten)]
    pub treatment: Treatment,
}

/// How a column becomes numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Treatment {
    /// A number stays itself.
    Number {
        /// Stands for a missing value: the median of the training rows. Without one a missing value is an error.
        median: Option<f64>,
        /// A further input is 1 where the value is missing, else 0: some training row had none.
        missing: bool,
        /// The edges of the bins, if the number is encoded piecewise linearly: one input a bin.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        edges: Vec<f64>,
    },
    /// True is 1, false is 0.
    Boolean {
        /// As for a number.
        median: f64,
        /// As for a number.
        missing: bool,
    },
    /// One-hot: one input a category, 1 for the row's category, else 0.
    Category {
        /// Those of the training rows: numbers in their order, then words in theirs.
        categories: Vec<String>,
        /// A missing value is a category of its own, the last one: some training row had none.
        missing: bool,
    },
    /// No training row has a value: it becomes nothing.
    Empty,
}

impl Treatment {
    /// The number of inputs that the column becomes.
    pub fn inputs(&self) -> usize {
        match self {
            Treatment::Number { missing, edges, .. } => {
                piecewise::inputs(edges) + usize::from(*missing)
            }
            Treatment::Boolean { missing, .. } => 1 + usize::from(*missing),
            Treatment::Category {
                categories,
                missing,
            } => categories.len() + usize::from(*missing),
            Treatment::Empty => 0,
        }
    }

    /// Whether the number itself is an input.
    pub(super) fn is_plain_number(&self) -> bool {
        matches!(self, Treatment::Number { edges, .. } if edges.is_empty())
    }

    /// The kind in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Treatment::Number { .. } => "number",
            Treatment::Boolean { .. } => "boolean",
            Treatment::Category { .. } => "category",
            Treatment::Empty => "empty",
        }
    }

    /// What is done to the column, in words.
    pub fn in_words(&self) -> String {
        let gaps = |median: f64, missing: bool| match missing {
            true => format!("missing: median {median}, and one 0/1 input"),
            false => format!("none missing (median {median})"),
        };
        match self {
            Treatment::Number {
                median: Some(median),
                missing,
                edges,
            } => match edges.len() {
                0 => gaps(*median, *missing),
                _ => format!(
                    "{} bins; {}",
                    piecewise::inputs(edges),
                    gaps(*median, *missing)
                ),
            },
            Treatment::Number { median: None, .. } => "none may be missing".to_owned(),
            Treatment::Boolean { median, missing } => format!("0/1; {}", gaps(*median, *missing)),
            Treatment::Category {
                categories,
                missing,
            } => {
                const SHOWN: usize = 8;
                let mut shown: Vec<&str> =
                    categories.iter().take(SHOWN).map(String::as_str).collect();
                if categories.len() > SHOWN {
                    shown.push("…");
                }
                let missing = if *missing {
                    "; missing: its own category"
                } else {
                    ""
                };
                format!(
                    "one-hot of {}: {}{missing}",
                    categories.len(),
                    shown.join(", ")
                )
            }
            Treatment::Empty => "left out: no training row has a value".to_owned(),
        }
    }
}

impl Schema {
    /// Columns that are told apart by position alone and hold numbers: those of models that have no schema. `label` is
    /// the name or the number of their label column, if it is known.
    pub fn by_position(width: usize, label: Option<&str>) -> Self {
        let column = |position: usize| SchemaColumn {
            name: position.to_string(),
            position,
            treatment: Treatment::Number {
                median: None,
                missing: false,
                edges: Vec::new(),
            },
        };
        Schema {
            has_names: false,
            file_columns: 0,
            targets: label
                .map(|name| TargetColumn {
                    name: name.to_owned(),
                    position: width,
                })
                .into_iter()
                .collect(),
            weight: None,
            ids: Vec::new(),
            columns: (0..width).map(column).collect(),
        }
    }

    /// Checks that a schema from a file is one that can be used.
    ///
    /// # Errors
    /// Says what was found instead.
    pub(crate) fn check(&self) -> Result<()> {
        let limit = match self.file_columns {
            0 => self.columns.len(),
            columns => columns,
        };
        let columns = self.columns.iter().map(|column| column.position);
        let mut places = columns.chain(self.targets.iter().map(|target| target.position));
        if let Some(found) = places.find(|&place| place >= limit) {
            let expected = format!("columns below {limit}");
            return Err(Error::shape("schema", expected, found.to_string()));
        }
        let is_sorted = |edges: &[f64]| {
            edges.iter().all(|edge| edge.is_finite()) && edges.is_sorted_by(|a, b| a < b)
        };
        let is_wrong = |column: &&SchemaColumn| matches!(&column.treatment, Treatment::Number { edges, .. } if !is_sorted(edges));
        match self.columns.iter().find(is_wrong) {
            None => Ok(()),
            Some(column) => {
                let found = format!("others in column \"{}\"", column.name);
                Err(Error::shape(
                    "schema",
                    "finite edges of bins that ascend",
                    found,
                ))
            }
        }
    }

    /// The columns of the schema, of rows that have these columns alone or all of those in the training file.
    ///
    /// # Errors
    /// If the rows have another width.
    pub(in crate::data) fn select(&self, samples: Samples, path: &Path) -> Result<Samples> {
        select_columns(samples, &self.positions(), self.file_columns, path)
    }

    /// The place of each column in the file.
    pub(in crate::data) fn positions(&self) -> Vec<usize> {
        self.columns.iter().map(|column| column.position).collect()
    }

    /// What names each row of an array that has all columns of the training file: the numbers of these columns.
    pub(in crate::data) fn array_ids(
        &self,
        samples: &Samples,
        ids: &[String],
    ) -> Vec<(String, Vec<String>)> {
        let width = samples.width;
        let text = |place: usize| match TableCell::at(&samples.features, place) {
            TableCell::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let column = |id: &String| {
            let place = id.parse().ok().filter(|&place: &usize| place < width)?;
            let texts = (0..samples.len()).map(|row| text(row * width + place));
            Some((id.clone(), texts.collect()))
        };
        let is_whole = width == self.file_columns;
        ids.iter().filter(|_| is_whole).filter_map(column).collect()
    }

    /// The number of inputs of the network.
    pub fn inputs(&self) -> usize {
        self.columns
            .iter()
            .map(|column| column.treatment.inputs())
            .sum()
    }

    /// The name of the column that an input of the network comes from.
    ///
    /// # Panics
    /// If there is no such input.
    pub fn column_of(&self, input: usize) -> &str {
        let mut end = 0;
        let column = self.columns.iter().find(|column| {
            end += column.treatment.inputs();
            input < end
        });
        &column.expect("an input").name
    }

    /// For each number that is encoded piecewise linearly the inputs that are its bins.
    pub fn binned_inputs(&self) -> Vec<Range<usize>> {
        let mut first = 0;
        let mut binned = Vec::new();
        for column in &self.columns {
            if let Treatment::Number { edges, .. } = &column.treatment
                && !edges.is_empty()
            {
                binned.push(first..first + piecewise::inputs(edges));
            }
            first += column.treatment.inputs();
        }
        binned
    }

    /// For each input whether it is a number to be scaled. The others are 0 or 1.
    pub fn scaled(&self) -> Vec<bool> {
        let inputs = self.columns.iter().flat_map(|column| {
            let is_number = column.treatment.is_plain_number();
            (0..column.treatment.inputs()).map(move |input| is_number && input == 0)
        });
        inputs.collect()
    }
}

/// The columns at these places, of rows that have these columns alone or `all` columns.
///
/// # Errors
/// If the rows have another width.
pub(in crate::data) fn select_columns(
    samples: Samples,
    positions: &[usize],
    all: usize,
    path: &Path,
) -> Result<Samples> {
    let (width, found) = (positions.len(), samples.width);
    if found == width {
        return Ok(samples);
    }
    if found != all {
        let expected = format!("{width} values each");
        return Err(Error::format(path, "samples", expected, found.to_string()));
    }
    fn take<T: Copy>(values: &[T], width: usize, positions: &[usize]) -> Vec<T> {
        let rows = values.chunks_exact(width);
        rows.flat_map(|row| positions.iter().map(|&place| row[place]))
            .collect()
    }
    Ok(Samples {
        features: match &samples.features {
            Features::U8(values) => Features::U8(take(values, found, positions)),
            Features::F32(values) => Features::F32(take(values, found, positions)),
            Features::F64(values) => Features::F64(take(values, found, positions)),
        },
        width,
        labels: samples.labels,
        weights: samples.weights,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_stored_in_plain_words() {
        let schema = Schema {
            has_names: true,
            file_columns: 4,
            targets: Vec::new(),
            weight: None,
            ids: vec!["id".to_owned()],
            columns: vec![
                SchemaColumn {
                    name: "age".to_owned(),
                    position: 2,
                    treatment: Treatment::Number {
                        median: Some(0.1),
                        missing: true,
                        edges: Vec::new(),
                    },
                },
                SchemaColumn {
                    name: "colour".to_owned(),
                    position: 0,
                    treatment: Treatment::Category {
                        categories: vec!["red".to_owned()],
                        missing: false,
                    },
                },
            ],
        };
        let json = serde_json::to_string(&schema).unwrap();
        assert!(
            json.contains(
                r#"{"name":"age","position":2,"kind":"number","median":0.1,"missing":true}"#
            ),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
        assert_eq!(
            (schema.inputs(), schema.scaled()),
            (3, vec![true, false, false])
        );
    }
}
