//! Fitting a schema: the kind of each column and its numbers, from the training rows alone.

use std::collections::{HashMap, HashSet};

use super::{RowSource, Schema, SchemaColumn, Table, TableCell, Treatment, WantedKind, piecewise};
use crate::data::Samples;
use crate::data::text_cell::{is_almost_number, is_boolean, is_code, is_date, truth_value};
use crate::error::{Error, Result};

/// The most categories of a column.
const MAX_CATEGORIES: usize = 1000;
/// A column of words and numbers is taken for categories if it has no more different numbers than this.
const FEW_NUMBERS: usize = 20;
/// With fewer rows a column that never repeats says nothing.
const MANY_ROWS: usize = 10;

impl Schema {
    /// Fits on the rows `rows` of the training samples of a table. With `bins` numbers are encoded piecewise linearly,
    /// by at most so many bins. Returns what the user should know, too.
    ///
    /// # Errors
    /// Names a column that cannot be a feature, with the flag that helps.
    pub fn fit(
        table: &Table,
        samples: &Samples,
        rows: &[u32],
        bins: Option<u32>,
    ) -> Result<(Schema, Vec<String>)> {
        let mut notices = Vec::new();
        let mut columns = Vec::with_capacity(table.columns.len());
        for (index, column) in table.columns.iter().enumerate() {
            let mut fitted = SchemaColumn {
                name: column.name.clone(),
                position: column.position,
                treatment: Treatment::Empty,
            };
            let fit = ColumnFit {
                table,
                source: &table.train,
                column: &fitted,
                seen: Seen::new(samples, rows, index),
                bins,
            };
            let treatment = fit.treatment(column.wanted, &mut notices)?;
            notices.extend(fit.identifier(rows, &treatment));
            fitted.treatment = treatment;
            columns.push(fitted);
        }
        let schema = Schema {
            has_names: table.has_names,
            file_columns: table.file_columns,
            targets: table.targets.clone(),
            weight: table.weight.clone(),
            ids: table.ids.clone(),
            columns,
        };
        match schema.inputs() {
            0 => Err(Error::format(
                &table.train.path,
                "columns",
                "a feature with values",
                "none",
            )),
            _ => Ok((schema, notices)),
        }
    }
}

/// The training cells of one column.
struct Seen {
    /// Each cell that is not missing, in the order of the rows.
    cells: Vec<TableCell>,
    missing: usize,
    /// Each word's code with the number of rows that have it and the first of them.
    words: HashMap<u32, (usize, usize)>,
    /// The first row with an infinite number.
    infinite: Option<usize>,
    all_whole: bool,
}

impl Seen {
    fn new(samples: &Samples, rows: &[u32], column: usize) -> Self {
        let mut seen = Seen {
            cells: Vec::with_capacity(rows.len()),
            missing: 0,
            words: HashMap::new(),
            infinite: None,
            all_whole: true,
        };
        for &row in rows {
            let row = row as usize;
            let cell = TableCell::at(&samples.features, row * samples.width + column);
            match cell {
                TableCell::Missing => seen.missing += 1,
                TableCell::Word(code) => seen.words.entry(code).or_insert((0, row)).0 += 1,
                TableCell::Number(number) => {
                    // Floats beyond that are whole by their size alone.
                    const EXACT: f64 = (1_u64 << 53) as f64;
                    seen.all_whole &= number.fract() == 0.0 && number.abs() <= EXACT;
                    if number.is_infinite() {
                        seen.infinite.get_or_insert(row);
                    }
                }
            }
            if cell != TableCell::Missing {
                seen.cells.push(cell);
            }
        }
        seen
    }

    fn numbers(&self) -> impl Iterator<Item = f64> {
        self.cells.iter().filter_map(|cell| match cell {
            TableCell::Number(number) => Some(*number),
            _ => None,
        })
    }
}

/// One column, to be fitted.
struct ColumnFit<'a> {
    table: &'a Table,
    source: &'a RowSource,
    column: &'a SchemaColumn,
    seen: Seen,
    bins: Option<u32>,
}

impl ColumnFit<'_> {
    fn treatment(
        &self,
        wanted: Option<WantedKind>,
        notices: &mut Vec<String>,
    ) -> Result<Treatment> {
        let seen = &self.seen;
        if seen.cells.is_empty() {
            let notice = "no training row has a value; it is left out";
            notices.push(format!("{}: {notice}", self.name()));
            return Ok(Treatment::Empty);
        }
        match wanted {
            Some(WantedKind::Number) => return self.number(),
            Some(WantedKind::Category) => return self.category(),
            None => {}
        }
        let words = || seen.words.keys().map(|&code| self.source.words.get(code));
        let some_numbers = seen.numbers().next().is_some();
        let leads_with_zero = |word: &str| is_code(word) && word.starts_with('0');
        if seen.words.is_empty() {
            self.number()
        } else if !some_numbers && words().all(is_boolean) {
            self.boolean()
        } else if words().all(is_code) {
            match seen.all_whole && words().any(leads_with_zero) {
                true => self.category(),
                false => self.number(),
            }
        } else if !some_numbers && words().all(is_date) {
            Err(self.refuse_date())
        } else {
            notices.extend(self.check_mixed()?);
            self.category()
        }
    }

    fn number(&self) -> Result<Treatment> {
        let mut numbers: Vec<f64> = Vec::with_capacity(self.seen.cells.len());
        for cell in &self.seen.cells {
            match *cell {
                TableCell::Number(number) => numbers.push(number),
                TableCell::Word(code) => match self.source.words.get(code) {
                    word if is_code(word) => numbers.push(word.parse().unwrap_or(f64::INFINITY)),
                    word => {
                        let (_, row) = self.seen.words[&code];
                        return Err(self.wrong(row, "a number", format!("\"{word}\"")));
                    }
                },
                TableCell::Missing => {}
            }
        }
        if let Some(row) = self.seen.infinite {
            let expected = "a finite number, or an empty cell for a missing one";
            return Err(self.wrong(row, expected, "an infinite one".to_owned()));
        }
        let (median, missing) = (median(&mut numbers), self.seen.missing);
        let edges = self.bins.map(|bins| {
            numbers.extend(std::iter::repeat_n(median, missing));
            piecewise::edges(&mut numbers, bins)
        });
        Ok(Treatment::Number {
            median: Some(median),
            missing: missing > 0,
            edges: edges.unwrap_or_default(),
        })
    }

    fn boolean(&self) -> Result<Treatment> {
        let is_true = |cell: &TableCell| match cell {
            TableCell::Word(code) => {
                truth_value(self.source.words.get(*code)).map(|is| f64::from(u8::from(is)))
            }
            _ => None,
        };
        let mut numbers: Vec<f64> = self.seen.cells.iter().filter_map(is_true).collect();
        Ok(Treatment::Boolean {
            median: median(&mut numbers),
            missing: self.seen.missing > 0,
        })
    }

    fn category(&self) -> Result<Treatment> {
        let mut numbers: Vec<f64> = self.seen.numbers().map(|x| x + 0.0).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        let words = self.seen.words.keys();
        let mut words: Vec<&str> = words.map(|&code| self.source.words.get(code)).collect();
        words.sort_unstable();
        let count = numbers.len() + words.len();
        if count > MAX_CATEGORIES {
            let expected = format!("at most {MAX_CATEGORIES} categories in a column");
            let found = format!(
                "{count} in {}; leave it out with --drop {}",
                self.name(),
                self.flag_name()
            );
            return Err(Error::format(&self.source.path, "columns", expected, found));
        }
        let numbers = numbers.iter().map(f64::to_string);
        Ok(Treatment::Category {
            categories: numbers
                .chain(words.into_iter().map(str::to_owned))
                .collect(),
            missing: self.seen.missing > 0,
        })
    }

    /// Refuses a column of numbers in which some are written as words. With few different numbers it may hold
    /// categories; then the result says so.
    fn check_mixed(&self) -> Result<Option<String>> {
        let mut different: HashSet<u64> = self.seen.numbers().map(f64::to_bits).collect();
        let mut like_numbers = self.seen.numbers().count();
        let mut first_word = None;
        for (&code, &(count, row)) in &self.seen.words {
            let word = self.source.words.get(code);
            if is_like_number(word) {
                like_numbers += count;
                different.insert(TableCell::Word(code).value().to_bits());
            }
            if first_word.is_none_or(|(first, _)| row < first) {
                first_word = Some((row, word));
            }
        }
        let Some((row, word)) = first_word.filter(|_| like_numbers > 0) else {
            return Ok(None);
        };
        let flag = self.flag_name();
        if different.len() > FEW_NUMBERS && 2 * like_numbers > self.seen.cells.len() {
            let hint = match is_like_number(word) {
                true => "numbers are read without signs and separators, as 1200 for $1,200, and --decimal says whether \
                         . or , begins the fraction"
                    .to_owned(),
                false => format!("if it stands for a missing value: --missing \"{word}\""),
            };
            let expected = "a number as in most of the column's rows";
            let found = format!(
                "\"{word}\"; {hint}; to take each value as a category: --categorical {flag}; to leave the column out: \
                 --drop {flag}"
            );
            return Err(self.wrong(row, expected, found));
        }
        Ok(Some(format!(
            "{} has words, as \"{word}\", and numbers: each is taken as a category (--numeric {flag} to insist on numbers)",
            self.name()
        )))
    }

    fn refuse_date(&self) -> Error {
        let first = self.seen.words.iter().min_by_key(|(_, (_, row))| *row);
        let (&code, &(_, row)) = first.expect("a column of dates has words");
        let (word, flag) = (self.source.words.get(code), self.flag_name());
        let found = format!(
            "the date or time \"{word}\"; leave the column out with --drop {flag}, or replace it by numbers such as year, \
             month, weekday or days since a first day"
        );
        self.wrong(row, "numbers or categories", found)
    }

    /// A notice if the column looks like the number or the name of the row: no value occurs twice.
    fn identifier(&self, rows: &[u32], treatment: &Treatment) -> Option<String> {
        let seen = &self.seen;
        let names_rows = match treatment {
            Treatment::Number { .. } => seen.all_whole,
            Treatment::Category { .. } => true,
            _ => false,
        };
        if !names_rows || seen.missing > 0 || rows.len() < MANY_ROWS {
            return None;
        }
        let mut different = HashSet::new();
        if !seen
            .cells
            .iter()
            .all(|cell| different.insert(cell.value().to_bits()))
        {
            return None;
        }
        let offset = |(cell, row): (&TableCell, &u32)| match cell {
            TableCell::Number(number) => Some(number - f64::from(*row)),
            _ => None,
        };
        let mut offsets = seen.cells.iter().zip(rows).map(offset);
        let first = offsets.next().flatten();
        let what = match first.is_some() && offsets.all(|offset| offset == first) {
            true => "counts the rows",
            false => "has another value in every row",
        };
        Some(format!(
            "{} {what}; if it only names them, leave it out with --drop {} (or --id {1})",
            self.name(),
            self.flag_name()
        ))
    }

    fn wrong(&self, row: usize, expected: &str, found: String) -> Error {
        let place = self.source.place(row, self.column, self.table.has_names);
        Error::format(&self.source.path, place, expected, found)
    }

    /// The column in words.
    fn name(&self) -> String {
        match self.table.has_names && !self.column.name.is_empty() {
            true => format!("column \"{}\"", self.column.name),
            false => format!("column {}", self.column.position + 1),
        }
    }

    /// The column as a flag takes it.
    fn flag_name(&self) -> String {
        match self.table.has_names && !self.column.name.is_empty() {
            true if self.column.name.contains(' ') => format!("\"{}\"", self.column.name),
            true => self.column.name.clone(),
            false => self.column.position.to_string(),
        }
    }
}

/// Whether a word would be a number in another form.
fn is_like_number(word: &str) -> bool {
    is_code(word) || is_almost_number(word) || word.parse::<f64>().is_ok()
}

/// The middle number; of an even count the mean of the two in the middle.
fn median(numbers: &mut [f64]) -> f64 {
    let (count, middle) = (numbers.len(), numbers.len() / 2);
    let (below, &mut upper, _) = numbers.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp);
    match lower {
        Some(lower) if count.is_multiple_of(2) => lower / 2.0 + upper / 2.0,
        _ => upper,
    }
}
