//! From cells to numbers, by a schema.

use std::collections::{BTreeMap, HashMap};

use super::{RowSource, Schema, SchemaColumn, TableCell, Treatment, piecewise};
use crate::data::text_cell::{is_code, truth_value};
use crate::data::{Features, Samples};
use crate::error::{Error, Result};

/// At most this many unseen categories of a column are listed.
const LISTED: usize = 3;

impl Schema {
    /// The rows of a part as numbers; `None` if its values are these numbers already. Returns what the user should
    /// know, too.
    ///
    /// # Errors
    /// Names row and column of a word or an infinite number in a column of numbers, and of a number that bins make one.
    pub(crate) fn encode(
        &self,
        samples: &Samples,
        source: &RowSource,
    ) -> Result<(Option<Samples>, Vec<String>)> {
        if self.is_identity_on(samples) {
            return Ok((None, Vec::new()));
        }
        let width = self.inputs();
        let mut values = vec![0.0; samples.len() * width];
        let (mut notices, mut first) = (Vec::new(), 0);
        let largest = match samples.features {
            Features::F32(_) => f32::MAX.into(),
            _ => f64::MAX,
        };
        for (index, column) in self.columns.iter().enumerate() {
            let mut encoder = ColumnEncoder::new(self, column, source, largest);
            for row in 0..samples.len() {
                let cell = TableCell::at(&samples.features, row * samples.width + index);
                let out = &mut values[row * width + first..][..column.treatment.inputs()];
                encoder.encode(row, cell, out)?;
            }
            notices.extend(encoder.notices());
            first += column.treatment.inputs();
        }
        let features = match &samples.features {
            Features::F32(_) => Features::F32(values.into_iter().map(|x| x as f32).collect()),
            _ => Features::F64(values),
        };
        let encoded = Samples {
            features,
            width,
            labels: samples.labels.clone(),
            weights: samples.weights.clone(),
        };
        Ok((Some(encoded), notices))
    }

    /// Whether all columns are numbers as they are, and none is missing.
    fn is_identity_on(&self, samples: &Samples) -> bool {
        let stays = |column: &SchemaColumn| {
            column.treatment.is_plain_number() && column.treatment.inputs() == 1
        };
        self.columns.iter().all(stays) && samples.features.first_not_finite().is_none()
    }
}

/// One column of one part.
struct ColumnEncoder<'a> {
    schema: &'a Schema,
    column: &'a SchemaColumn,
    source: &'a RowSource,
    /// The largest input that its number type holds.
    largest: f64,
    /// The place of each category of the schema.
    categories: HashMap<&'a str, usize>,
    /// The place of each category that occurred, by the bits of its cell.
    places: HashMap<u64, Option<usize>>,
    /// Rows without a value where no training row had none.
    imputed: usize,
    /// Categories that no training row has, with the number of their rows.
    unseen: BTreeMap<String, usize>,
}

impl<'a> ColumnEncoder<'a> {
    fn new(
        schema: &'a Schema,
        column: &'a SchemaColumn,
        source: &'a RowSource,
        largest: f64,
    ) -> Self {
        let names = match &column.treatment {
            Treatment::Category { categories, .. } => &categories[..],
            _ => &[],
        };
        ColumnEncoder {
            schema,
            column,
            source,
            largest,
            categories: names.iter().map(String::as_str).zip(0..).collect(),
            places: HashMap::new(),
            imputed: 0,
            unseen: BTreeMap::new(),
        }
    }

    /// Writes what a cell becomes. `out` is all zeros.
    fn encode(&mut self, row: usize, cell: TableCell, out: &mut [f64]) -> Result<()> {
        match &self.column.treatment {
            Treatment::Empty => {}
            Treatment::Number {
                median,
                missing,
                edges,
            } => {
                let (inputs, marks) = out.split_at_mut(out.len() - usize::from(*missing));
                let number = match (self.number(row, cell)?, median) {
                    (Some(number), _) => number,
                    (None, Some(median)) => self.impute(*median, marks),
                    (None, None) => {
                        return Err(self.wrong(row, "a number", "an empty cell".to_owned()));
                    }
                };
                match &edges[..] {
                    [] => inputs[0] = number,
                    edges => {
                        piecewise::encode(number, edges, inputs);
                        if !inputs.iter().all(|x| x.abs() <= self.largest) {
                            let expected = "a number that is not so far from those of the training rows, or no --embed";
                            return Err(self.wrong(row, expected, number.to_string()));
                        }
                    }
                }
            }
            Treatment::Boolean { median, .. } => {
                let (input, marks) = out.split_at_mut(1);
                input[0] = match self.truth(row, cell)? {
                    Some(number) => number,
                    None => self.impute(*median, marks),
                };
            }
            Treatment::Category {
                categories,
                missing,
            } => match cell {
                TableCell::Missing if *missing => out[categories.len()] = 1.0,
                TableCell::Missing => self.imputed += 1,
                cell => {
                    if let Some(place) = self.place(cell) {
                        out[place] = 1.0;
                    }
                }
            },
        }
        Ok(())
    }

    /// The number for a missing one, which the input that marks missing ones says, if the column has one.
    fn impute(&mut self, median: f64, marks: &mut [f64]) -> f64 {
        match marks {
            [mark] => *mark = 1.0,
            _ => self.imputed += 1,
        }
        median
    }

    /// The number in a cell; `None` if it is missing.
    fn number(&self, row: usize, cell: TableCell) -> Result<Option<f64>> {
        let number = match cell {
            TableCell::Missing => return Ok(None),
            TableCell::Number(number) => number,
            TableCell::Word(code) => match self.source.words.get(code) {
                word if is_code(word) => word.parse().unwrap_or(f64::INFINITY),
                word => return Err(self.wrong(row, "a number", format!("\"{word}\""))),
            },
        };
        match number.is_finite() {
            true => Ok(Some(number)),
            false => {
                let expected = "a finite number, or an empty cell for a missing one";
                Err(self.wrong(row, expected, number.to_string()))
            }
        }
    }

    /// 1 for true and 0 for false; `None` if it is missing.
    fn truth(&self, row: usize, cell: TableCell) -> Result<Option<f64>> {
        let found = match cell {
            TableCell::Missing => return Ok(None),
            TableCell::Number(number) if number == 0.0 || number == 1.0 => return Ok(Some(number)),
            TableCell::Number(number) => number.to_string(),
            TableCell::Word(code) => match self.source.words.get(code) {
                word if let Some(is) = truth_value(word) => {
                    return Ok(Some(f64::from(u8::from(is))));
                }
                word => format!("\"{word}\""),
            },
        };
        Err(self.wrong(row, "true, false, yes, no, 1 or 0", found))
    }

    /// The place of a cell's category; `None` if no training row has it.
    fn place(&mut self, cell: TableCell) -> Option<usize> {
        let name = || match cell {
            TableCell::Word(code) => self.source.words.get(code).to_owned(),
            TableCell::Number(number) => (number + 0.0).to_string(),
            TableCell::Missing => String::new(),
        };
        let find = || self.categories.get(name().as_str()).copied();
        let place = *self
            .places
            .entry(cell.value().to_bits())
            .or_insert_with(find);
        if place.is_none() {
            *self.unseen.entry(name()).or_default() += 1;
        }
        place
    }

    fn wrong(&self, row: usize, expected: &str, found: String) -> Error {
        let place = self.source.place(row, self.column, self.schema.has_names);
        let found = match self.column.treatment {
            Treatment::Number {
                median: Some(_), ..
            } => format!(
                "{found} (the model knows the column as numbers; words for a missing value are named by --missing)"
            ),
            _ => found,
        };
        Error::format(&self.source.path, place, expected, found)
    }

    fn notices(self) -> Vec<String> {
        let mut notices = Vec::new();
        let column = match self.schema.has_names {
            true => format!("column \"{}\"", self.column.name),
            false => format!("column {}", self.column.position + 1),
        };
        if self.imputed > 0 {
            let instead = match self.column.treatment {
                Treatment::Category { .. } => "no category",
                _ => "the median",
            };
            notices.push(format!(
                "{column}: {} without a value, as no training row was; {instead} is taken",
                rows(self.imputed)
            ));
        }
        if !self.unseen.is_empty() {
            let mut names: Vec<String> = self
                .unseen
                .keys()
                .take(LISTED)
                .map(|n| format!("\"{n}\""))
                .collect();
            if self.unseen.len() > LISTED {
                names.push("…".to_owned());
            }
            notices.push(format!(
                "{column}: {} of categories that no training row has ({}) get 0 for all known ones",
                rows(self.unseen.values().sum()),
                names.join(", ")
            ));
        }
        notices
    }
}

fn rows(count: usize) -> String {
    match count {
        1 => "1 row".to_owned(),
        _ => format!("{count} rows"),
    }
}
