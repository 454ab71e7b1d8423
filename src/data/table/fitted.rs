//! A data set as the network takes it.

use std::sync::Arc;

use super::Schema;
use crate::data::{Dataset, Normalize, Normalizer, Samples};
use crate::error::Result;
use crate::text::printable::printable;

/// A data set, encoded by a schema that was fitted on its training rows alone. Data that are no table stay as they are.
#[derive(Debug)]
pub struct Fitted {
    data: Arc<Dataset>,
    schema: Option<Schema>,
    /// The parts, where their values are not those of the data set.
    train: Option<Samples>,
    validation: Option<Samples>,
    test: Option<Samples>,
    notices: Vec<String>,
}

impl Fitted {
    /// Fits on the rows `rows` of the training samples. With `bins` numbers are encoded piecewise linearly.
    ///
    /// # Errors
    /// As [`Schema::fit`]; also if a cell of any part does not fit the schema.
    pub fn new(data: Arc<Dataset>, rows: &[u32], bins: Option<u32>) -> Result<Self> {
        let mut fitted = Fitted {
            data,
            schema: None,
            train: None,
            validation: None,
            test: None,
            notices: Vec::new(),
        };
        let Some(table) = &fitted.data.table else {
            return Ok(fitted);
        };
        let (schema, mut notices) = Schema::fit(table, &fitted.data.train, rows, bins)?;
        let mut encode = |part: &str, samples: &Samples, source| -> Result<_> {
            let (encoded, found) = schema.encode(samples, source)?;
            notices.extend(found.iter().map(|notice| format!("{part} part: {notice}")));
            Ok(encoded)
        };
        // The training rows themselves have nothing new.
        fitted.train = encode("validation", &fitted.data.train, &table.train)?;
        if let Some(own) = &fitted.data.validation {
            fitted.validation = encode("validation", own, &table.validation)?;
        }
        if let Some(test) = &fitted.data.test {
            fitted.test = encode("test", test, &table.test)?;
        }
        fitted.schema = Some(schema);
        fitted.notices = notices;
        Ok(fitted)
    }

    /// The data set.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// The schema, if the data are a table.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// A normaliser, fitted on the rows `rows` of the training samples. Inputs that are 0 or 1 stay so.
    pub fn normalizer(&self, kind: Normalize, rows: &[u32]) -> Normalizer {
        let mut normalizer = Normalizer::fit(kind, self.train(), rows);
        if let Some(schema) = &self.schema {
            normalizer.keep(&schema.scaled());
        }
        normalizer
    }

    /// What an input of the network is called: the column that it comes from, without a table its number.
    pub fn input_name(&self, input: usize) -> String {
        match &self.schema {
            Some(schema) => format!("column {}", printable(schema.column_of(input))),
            None => format!("feature {input}"),
        }
    }

    /// What the user should know about the columns.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The samples from which the training rows are.
    pub fn train(&self) -> &Samples {
        self.train.as_ref().unwrap_or(&self.data.train)
    }

    /// The samples from which the validation rows are: a part of their own, else those of the training part.
    pub fn validation(&self) -> &Samples {
        match &self.data.validation {
            Some(own) => self.validation.as_ref().unwrap_or(own),
            None => self.train(),
        }
    }

    /// The test part.
    pub fn test(&self) -> Option<&Samples> {
        self.test.as_ref().or(self.data.test.as_ref())
    }
}
