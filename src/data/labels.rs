//! What samples should give.

use std::borrow::Cow;

/// What samples should give: a class each, or numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// One class a sample, in `0..classes`.
    Classes(Vec<u32>),
    /// Row-major `[samples, columns]`: numbers to predict, in their own units, or 0 and 1 for several labels.
    Values {
        /// The numbers.
        values: Vec<f64>,
        /// How many a sample has.
        columns: usize,
    },
}

impl Default for Labels {
    /// Those of samples without labels.
    fn default() -> Self {
        Labels::Classes(Vec::new())
    }
}

impl From<Vec<u32>> for Labels {
    fn from(classes: Vec<u32>) -> Self {
        Labels::Classes(classes)
    }
}

impl Labels {
    /// How many samples they are for.
    pub fn len(&self) -> usize {
        match self {
            Labels::Classes(classes) => classes.len(),
            Labels::Values { values, columns } => values.len() / (*columns).max(1),
        }
    }

    /// Whether they are for no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes; none if they are numbers.
    pub fn classes(&self) -> &[u32] {
        match self {
            Labels::Classes(classes) => classes,
            Labels::Values { .. } => &[],
        }
    }

    /// The classes, to be changed; none if they are numbers.
    pub fn classes_mut(&mut self) -> &mut [u32] {
        match self {
            Labels::Classes(classes) => classes,
            Labels::Values { .. } => &mut [],
        }
    }

    /// The numbers `[samples, columns]`; none if they are classes.
    pub fn values(&self) -> &[f64] {
        match self {
            Labels::Classes(_) => &[],
            Labels::Values { values, .. } => values,
        }
    }

    /// What a sample is drawn from in proportion, when a part is split off: its class. Numbers are one class.
    pub(crate) fn strata(&self) -> Cow<'_, [u32]> {
        match self {
            Labels::Classes(classes) => classes.into(),
            Labels::Values { .. } => vec![0; self.len()].into(),
        }
    }

    /// Those of the samples with these numbers, in this order. Samples without labels have none.
    pub(crate) fn select(&self, rows: &[u32]) -> Labels {
        let rows = rows.iter().map(|&row| row as usize);
        match self {
            Labels::Classes(classes) => {
                let selected = rows.filter_map(|row| classes.get(row).copied());
                Labels::Classes(selected.collect())
            }
            Labels::Values { values, columns } => Labels::Values {
                values: rows
                    .flat_map(|row| values[row * columns..][..*columns].iter().copied())
                    .collect(),
                columns: *columns,
            },
        }
    }
}
