//! Labels and the classes that they name.
//!
//! A label is a number or a word. Equal labels are one class, whatever their spelling: 1, 1.0 and 1e0 are one number.
//! Classes are those of the training labels: numbers in their order, then words in theirs. A label that only another
//! part has belongs to none of them; it counts as an error of every model.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::Path;

use super::text_cell::{is_boolean, is_whole};
use crate::error::{Error, Result};

/// The most classes that a table can have.
pub(super) const MAX_TABLE_CLASSES: usize = 1000;

/// The labels of one part, in the order of its rows.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelColumn {
    /// The code of the label of each row that has one.
    codes: Vec<u32>,
    /// Rows without a label.
    missing: Vec<u32>,
    /// The distinct labels, by code.
    labels: Vec<ClassLabel>,
    codes_by_name: HashMap<String, u32>,
    /// The codes of numbers, by their bits.
    codes_by_number: HashMap<u64, u32>,
}

/// A distinct label.
#[derive(Clone, Debug)]
struct ClassLabel {
    name: String,
    number: Option<f64>,
    /// The first row that has it.
    row: usize,
}

impl LabelColumn {
    /// Adds a number.
    pub(super) fn push_number(&mut self, number: f64) {
        // −0 is 0.
        let number = number + 0.0;
        match self.codes_by_number.get(&number.to_bits()) {
            Some(&code) => self.codes.push(code),
            None => {
                let code = self.push(&number.to_string(), Some(number));
                self.codes_by_number.insert(number.to_bits(), code);
            }
        }
    }

    /// Adds a row without a label.
    pub(super) fn push_missing(&mut self) {
        self.missing.push(self.rows() as u32);
    }

    /// The number of rows, with a label or without.
    pub(super) fn rows(&self) -> usize {
        self.codes.len() + self.missing.len()
    }

    /// The rows without a label.
    pub(super) fn missing(&self) -> &[u32] {
        &self.missing
    }

    /// Adds a word. Whole numbers with leading zeros are words that keep them.
    pub(super) fn push_word(&mut self, word: &str) {
        let number = is_whole(word).then(|| word.parse().ok()).flatten();
        self.push(word, number);
    }

    /// Adds a label and returns its code.
    fn push(&mut self, name: &str, number: Option<f64>) -> u32 {
        let identity = class_identity(name);
        let code = match self.codes_by_name.get(identity.as_ref()) {
            Some(&code) => code,
            None => {
                let code = self.labels.len() as u32;
                self.codes_by_name.insert(identity.into_owned(), code);
                let (name, row) = (name.to_owned(), self.rows());
                self.labels.push(ClassLabel { name, number, row });
                code
            }
        };
        self.codes.push(code);
        code
    }

    /// The number of different labels.
    pub(super) fn distinct(&self) -> usize {
        self.labels.len()
    }

    /// The number of rows with a label.
    pub(super) fn len(&self) -> usize {
        self.codes.len()
    }

    /// Checks that the labels are classes: words, or whole numbers of which there are few.
    ///
    /// # Errors
    /// Says of `what` (the label column) what its labels look like. `place` names a row.
    pub(super) fn check_classes(
        &self,
        path: &Path,
        what: &str,
        place: impl Fn(usize) -> String,
    ) -> Result<()> {
        let count = self.labels.len();
        let numbers = || {
            self.labels
                .iter()
                .filter_map(|label| Some((label, label.number?)))
        };
        let refuse = |label: &ClassLabel, found: String| {
            let expected = "classes: words, or whole numbers that repeat";
            Err(Error::format(path, place(label.row), expected, found))
        };
        if let Some((label, number)) = numbers().find(|(_, x)| x.fract() != 0.0 || !x.is_finite()) {
            let found = format!(
                "{number} in {what}: it looks like a number to predict (regression), which is not supported; \
                 another label column is chosen by --label"
            );
            return refuse(label, found);
        }
        let most = (self.len() / 10).max(20);
        if count > most && numbers().count() == count {
            let label = &self.labels[most];
            let found = format!(
                "{count} different whole numbers in {} rows of {what}, more than {most}: it looks like a number to \
                 predict (regression), which is not supported, or an identifier; another label column is chosen by \
                 --label",
                self.len()
            );
            return refuse(label, found);
        }
        if count > MAX_TABLE_CLASSES {
            let found = format!(
                "{count} different labels in {what}: it looks like an identifier or free text; another label column \
                 is chosen by --label"
            );
            let expected = format!("at most {MAX_TABLE_CLASSES} classes");
            return Err(Error::format(path, "labels", expected, found));
        }
        Ok(())
    }
}

/// Class names, and the labels of other parts that are none of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Classes {
    /// The names of the classes, by number.
    pub(super) names: Vec<String>,
    /// Labels that the training part does not have. Their numbers follow.
    pub(super) unseen: Vec<String>,
}

impl Classes {
    /// The classes of the training labels, and the class of each of its rows.
    pub(super) fn of(train: LabelColumn) -> (Self, Vec<u32>) {
        let mut in_use = vec![false; train.labels.len()];
        train
            .codes
            .iter()
            .for_each(|&code| in_use[code as usize] = true);
        let mut order: Vec<usize> = (0..in_use.len()).filter(|&code| in_use[code]).collect();
        order.sort_by(|&a, &b| in_order(&train.labels[a], &train.labels[b]));
        let mut classes = vec![0; in_use.len()];
        for (class, &code) in (0..).zip(&order) {
            classes[code] = class;
        }
        let names = order.iter().map(|&code| train.labels[code].name.clone());
        let names = Classes {
            names: names.collect(),
            unseen: Vec::new(),
        };
        let mut labels = train.codes;
        for label in &mut labels {
            *label = classes[*label as usize];
        }
        (names, labels)
    }

    /// The class of each row of another part. Labels that are no class are added to the unseen ones.
    pub(super) fn number(&mut self, part: LabelColumn) -> Vec<u32> {
        let known = self.names.iter().chain(&self.unseen).zip(0..);
        let mut numbers: HashMap<String, u32> = known
            .map(|(name, class)| (class_identity(name).into_owned(), class))
            .collect();
        let mut classes = vec![None; part.labels.len()];
        let mut class_of = |code: u32| {
            *classes[code as usize].get_or_insert_with(|| {
                let name = &part.labels[code as usize].name;
                let next = numbers.len() as u32;
                *numbers
                    .entry(class_identity(name).into_owned())
                    .or_insert_with(|| {
                        self.unseen.push(name.clone());
                        next
                    })
            })
        };
        part.codes.iter().map(|&code| class_of(code)).collect()
    }
}

/// Numbers by value, then words by their text.
fn in_order(a: &ClassLabel, b: &ClassLabel) -> Ordering {
    let by_text = || a.name.cmp(&b.name);
    match (a.number, b.number) {
        (Some(x), Some(y)) => x.total_cmp(&y).then_with(by_text),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => by_text(),
    }
}

/// For each of the `names` that a file gives its classes, the class of `own` that it means. Names are matched, so that
/// a file in which one does not occur is read as it was meant. Where only one side has names, classes keep their
/// numbers.
pub(crate) fn match_names(own: &[String], names: &[String]) -> Vec<Option<usize>> {
    let places: HashMap<Cow<'_, str>, usize> = own
        .iter()
        .map(|name| class_identity(name))
        .zip(0..)
        .collect();
    let some_whole = |names: &[String]| names.iter().any(|name| is_whole(name));
    let is_numbered = (0..)
        .zip(own)
        .all(|(i, name): (usize, _)| *name == i.to_string());
    let by_place = is_numbered && !some_whole(names);
    let by_number = !some_whole(own) && names.iter().all(|name| is_whole(name));
    let class_of = |(place, name): (usize, &String)| match (by_place, by_number) {
        (true, _) => Some(place).filter(|&place| place < own.len()),
        (_, true) => name.parse().ok().filter(|&number| number < own.len()),
        _ => places.get(&class_identity(name)).copied(),
    };
    names.iter().enumerate().map(class_of).collect()
}

/// What the user should know of names that were matched by number.
pub(crate) fn number_notice(
    own: &[String],
    names: &[String],
    classes: &[Option<usize>],
) -> Option<String> {
    const SHOWN: usize = 3;
    let other_name = |(name, class): (&String, &Option<usize>)| {
        let class = &own[(*class)?];
        (!class.eq_ignore_ascii_case(name)).then(|| format!("{name} is {class}"))
    };
    let pairs: Vec<String> = names
        .iter()
        .zip(classes)
        .filter_map(other_name)
        .take(SHOWN)
        .collect();
    let notice = "labels are matched by number, since one side has numbers and the other has names";
    (!pairs.is_empty()).then(|| format!("{notice}: {}", pairs.join(", ")))
}

/// What two names of the same class have in common: True and TRUE are the same.
pub(crate) fn class_identity(name: &str) -> Cow<'_, str> {
    match is_boolean(name) {
        true => name.to_ascii_lowercase().into(),
        false => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(cells: &[&str]) -> LabelColumn {
        let mut column = LabelColumn::default();
        for cell in cells {
            match cell.parse() {
                Ok(number) if !cell.starts_with('0') || *cell == "0" => column.push_number(number),
                _ => column.push_word(cell),
            }
        }
        column
    }

    fn classes(cells: &[&str]) -> (Vec<String>, Vec<u32>) {
        let (classes, labels) = Classes::of(column(cells));
        (classes.names, labels)
    }

    #[test]
    fn numbers_come_in_their_order_and_words_in_theirs() {
        assert_eq!(
            classes(&["10", "-1", "9", "10"]),
            (names("-1 9 10"), vec![2, 0, 1, 2])
        );
        assert_eq!(classes(&["b", "a", "b"]), (names("a b"), vec![1, 0, 1]));
        assert_eq!(
            classes(&["b", "7", "-0", "0"]),
            (names("0 7 b"), vec![2, 1, 0, 0])
        );
        assert_eq!(classes(&["1.0", "1", "2e0"]), (names("1 2"), vec![0, 0, 1]));
    }

    #[test]
    fn leading_zeros_are_kept_apart() {
        assert_eq!(
            classes(&["10", "02", "2", "2"]),
            (names("02 2 10"), vec![2, 0, 1, 1])
        );
    }

    #[test]
    fn a_truth_value_is_the_same_in_any_case() {
        assert_eq!(
            classes(&["True", "FALSE", "true"]),
            (names("FALSE True"), vec![1, 0, 1])
        );
        assert_eq!(classes(&["Cat", "cat"]).0, names("Cat cat"));
    }

    #[test]
    fn labels_of_other_parts_follow() {
        let (mut classes, _) = Classes::of(column(&["b", "a"]));
        assert_eq!(
            classes.number(column(&["c", "a", "d", "c", "b"])),
            [2, 0, 3, 2, 1]
        );
        assert_eq!(classes.number(column(&["d", "e"])), [3, 4]);
        assert_eq!(classes.unseen, ["c", "d", "e"]);
    }

    fn refused(cells: &[&str]) -> Option<String> {
        let check = column(cells).check_classes(Path::new("t.csv"), "column y", |r| r.to_string());
        check.err().map(|error| error.to_string())
    }

    #[test]
    fn names_are_matched_by_number_only_where_one_side_has_none() {
        let matched = |own: &str, found: &str| match_names(&names(own), &names(found));
        assert_eq!(matched("ant bee", "0 1 2"), [Some(0), Some(1), None]);
        assert_eq!(matched("0 1", "ant bee cat"), [Some(0), Some(1), None]);
        assert_eq!(matched("1 2 other", "1 2"), [Some(0), Some(1)]);
        assert_eq!(matched("0 1", "1 other"), [Some(1), None]);
        assert_eq!(matched("ant bee", "-1 1"), [None, Some(1)]);
        let notice = |own: &str, found: &str| {
            number_notice(&names(own), &names(found), &matched(own, found))
        };
        assert!(
            notice("ant bee", "0 1")
                .unwrap()
                .ends_with("0 is ant, 1 is bee")
        );
        assert_eq!(notice("True False", "true other"), None);
    }

    #[test]
    fn numbers_that_are_no_classes_are_refused() {
        let error = refused(&["1", "2", "2.5"]).unwrap();
        assert!(
            error.contains("t.csv: 2: ") && error.contains("regression"),
            "{error}"
        );
        let many: Vec<String> = (0..21).map(|i| i.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let error = refused(&many).unwrap();
        assert!(
            error.contains("21 different") && error.contains("more than 20"),
            "{error}"
        );
        assert_eq!(refused(&many[..20]), None);
        let words: Vec<String> = (0..1001).map(|i| format!("w{i}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert!(refused(&words).unwrap().contains("at most 1000"));
        assert_eq!(refused(&words[..1000]), None);
    }

    fn names(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }
}
