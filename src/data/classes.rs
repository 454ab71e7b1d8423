//! Labels as they are read, and the classes that they name.
//!
//! A label is a number or a word. Equal labels are one class, whatever their spelling: 1, 1.0 and 1e0 are one number.
//! Classes are those of the training labels: numbers in their order, then words in theirs. A label that only another
//! part has belongs to none of them; it counts as an error of every model.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use super::MAX_CLASSES;
use super::text_cell::{is_boolean, is_whole, truth_value};

/// A label column of one part, in the order of its rows. Until the task is known, labels are both: names and numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelColumn {
    /// The label of each row that has one.
    cells: LabelCells,
    /// Rows without a label.
    missing: Vec<u32>,
    /// The distinct labels, by code.
    labels: Vec<ClassLabel>,
    codes_by_name: HashMap<String, u32>,
    /// The codes of numbers, by their bits.
    codes_by_number: HashMap<u64, u32>,
    /// The first label that is no number, and its row.
    first_word: Option<(usize, String)>,
}

/// Labels in as little memory as they need.
#[derive(Clone, Debug)]
enum LabelCells {
    /// Codes of at most 256 labels.
    Bytes(Vec<u8>),
    /// Codes.
    Codes(Vec<u32>),
    /// Numbers, if there are more different labels than classes can be; NaN for a word.
    Numbers(Vec<f64>),
}

impl Default for LabelCells {
    fn default() -> Self {
        LabelCells::Codes(Vec::new())
    }
}

impl LabelCells {
    fn len(&self) -> usize {
        match self {
            LabelCells::Bytes(codes) => codes.len(),
            LabelCells::Codes(codes) => codes.len(),
            LabelCells::Numbers(numbers) => numbers.len(),
        }
    }

    /// Adds the code of a label, if labels have codes.
    fn push(&mut self, code: u32) {
        match (&mut *self, u8::try_from(code)) {
            (LabelCells::Bytes(codes), Ok(byte)) => codes.push(byte),
            (LabelCells::Bytes(codes), Err(_)) => {
                let wider = codes.iter().map(|&code| code.into()).chain([code]);
                *self = LabelCells::Codes(wider.collect());
            }
            (LabelCells::Codes(codes), _) => codes.push(code),
            (LabelCells::Numbers(_), _) => {}
        }
    }

    /// The codes; none if there are only numbers.
    fn into_codes(self) -> Vec<u32> {
        match self {
            LabelCells::Bytes(codes) => codes.into_iter().map(u32::from).collect(),
            LabelCells::Codes(codes) => codes,
            LabelCells::Numbers(_) => Vec::new(),
        }
    }
}

/// A distinct label.
#[derive(Clone, Debug)]
struct ClassLabel {
    name: String,
    number: Option<f64>,
    /// The first row that has it.
    row: usize,
}

impl ClassLabel {
    /// Its number: 0 or 1 for a truth value, NaN for another word.
    fn value(&self) -> f64 {
        let truth = || truth_value(&self.name).map(|truth| f64::from(u8::from(truth)));
        self.number.or_else(truth).unwrap_or(f64::NAN)
    }
}

impl LabelColumn {
    /// One of several: each takes a byte a row as long as it has few labels.
    pub(super) fn narrow() -> Self {
        LabelColumn {
            cells: LabelCells::Bytes(Vec::new()),
            ..LabelColumn::default()
        }
    }

    /// One whose labels are needed as numbers alone.
    pub(super) fn of_numbers() -> Self {
        LabelColumn {
            cells: LabelCells::Numbers(Vec::new()),
            ..LabelColumn::default()
        }
    }

    /// Adds a number.
    pub(super) fn push_number(&mut self, number: f64) {
        // −0 is 0.
        let number = number + 0.0;
        if let LabelCells::Numbers(numbers) = &mut self.cells {
            return numbers.push(number);
        }
        match self.codes_by_number.get(&number.to_bits()) {
            Some(&code) => self.cells.push(code),
            None => {
                let code = self.push_name(&number.to_string(), Some(number));
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
        self.len() + self.missing.len()
    }

    /// The rows without a label.
    pub(super) fn missing(&self) -> &[u32] {
        &self.missing
    }

    /// Adds a word. Whole numbers with leading zeros are words that keep them.
    pub(super) fn push_word(&mut self, word: &str) {
        let number = is_whole(word).then(|| word.parse().ok()).flatten();
        if number.is_none() {
            let row = self.rows();
            self.first_word
                .get_or_insert_with(|| (row, word.to_owned()));
        }
        match &mut self.cells {
            LabelCells::Numbers(numbers) => numbers.push(number.unwrap_or(f64::NAN)),
            _ => {
                self.push_name(word, number);
            }
        }
    }

    /// Adds the name of a label and returns its code. If there are too many names, no more are kept.
    fn push_name(&mut self, name: &str, number: Option<f64>) -> u32 {
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
        self.cells.push(code);
        if self.has_too_many_names() {
            self.cells = LabelCells::Numbers(self.numbers());
        }
        code
    }

    /// Whether there are more different labels than classes can be.
    pub(super) fn has_too_many_names(&self) -> bool {
        self.labels.len() > MAX_CLASSES
    }

    /// The number of different labels, as far as they are kept.
    pub(super) fn distinct(&self) -> usize {
        self.labels.len()
    }

    /// The number of rows with a label.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The number of the label at a place among those of the rows that have one.
    pub(super) fn number(&self, place: usize) -> f64 {
        match &self.cells {
            LabelCells::Bytes(codes) => self.labels[usize::from(codes[place])].value(),
            LabelCells::Codes(codes) => self.labels[codes[place] as usize].value(),
            LabelCells::Numbers(numbers) => numbers[place],
        }
    }

    /// The number of each row that has a label: 0 or 1 for a truth value, NaN for another word.
    pub(super) fn numbers(&self) -> Vec<f64> {
        let mut numbers = vec![0.0; self.len()];
        self.write_numbers(numbers.iter_mut());
        numbers
    }

    /// Writes [`LabelColumn::numbers`] to some places.
    pub(super) fn write_numbers<'a>(&self, places: impl Iterator<Item = &'a mut f64>) {
        let values: Vec<f64> = self.labels.iter().map(ClassLabel::value).collect();
        match &self.cells {
            LabelCells::Bytes(codes) => {
                let numbers = codes.iter().map(|&code| values[usize::from(code)]);
                places
                    .zip(numbers)
                    .for_each(|(place, number)| *place = number);
            }
            LabelCells::Codes(codes) => {
                let numbers = codes.iter().map(|&code| values[code as usize]);
                places
                    .zip(numbers)
                    .for_each(|(place, number)| *place = number);
            }
            LabelCells::Numbers(numbers) => {
                places
                    .zip(numbers)
                    .for_each(|(place, &number)| *place = number);
            }
        }
    }

    /// The numbers alone, the rest given back.
    pub(super) fn into_numbers(self) -> Vec<f64> {
        match self.cells {
            LabelCells::Numbers(numbers) => numbers,
            _ => self.numbers(),
        }
    }

    /// The first label that is no number, and its row.
    pub(super) fn first_word(&self) -> Option<&(usize, String)> {
        self.first_word.as_ref()
    }

    /// Checks that all labels are finite numbers.
    ///
    /// # Errors
    /// The row of a label that is none, and the label.
    pub(super) fn check_finite(&self) -> Result<(), (usize, String)> {
        match &self.first_word {
            Some((row, word)) => Err((*row, format!("{word:?}"))),
            None => self.check_each(f64::is_finite),
        }
    }

    /// Checks that all labels are 0 and 1, or truth values.
    ///
    /// # Errors
    /// The row of a label that is none, and the label.
    pub(super) fn check_truth(&self) -> Result<(), (usize, String)> {
        self.check_each(|x| x == 0.0 || x == 1.0)
    }

    /// The first number that is not whole, and its row.
    pub(super) fn first_fraction(&self) -> Option<(usize, f64)> {
        let is_fraction = |x: f64| x.is_finite() && x.fract() != 0.0;
        let of_labels = self.labels.iter().map(|label| (label.row, label.value()));
        let first = of_labels
            .filter(|&(_, x)| is_fraction(x))
            .min_by_key(|&(row, _)| row);
        first.or_else(|| match &self.cells {
            LabelCells::Numbers(numbers) => {
                let place = numbers.iter().position(|&x| is_fraction(x))?;
                Some((self.row_of(place), numbers[place]))
            }
            _ => None,
        })
    }

    /// The first row whose number does not fit, and its label.
    fn check_each(&self, fits: impl Fn(f64) -> bool) -> Result<(), (usize, String)> {
        let wrong = |label: &&ClassLabel| !fits(label.value());
        if let Some(label) = self
            .labels
            .iter()
            .filter(wrong)
            .min_by_key(|label| label.row)
        {
            let found = match label.number {
                Some(number) => number.to_string(),
                None => format!("{:?}", label.name),
            };
            return Err((label.row, found));
        }
        match &self.cells {
            LabelCells::Numbers(numbers) => match numbers.iter().position(|&x| !fits(x)) {
                Some(place) => Err((self.row_of(place), numbers[place].to_string())),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The row of the label at a place among those of the rows that have one.
    fn row_of(&self, place: usize) -> usize {
        let mut row = place;
        for &missing in &self.missing {
            row += usize::from(missing as usize <= row);
        }
        row
    }

    /// The first row that has the last one of `count` different labels.
    pub(super) fn row_of_distinct(&self, count: usize) -> usize {
        self.labels[count - 1].row
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
        let mut order: Vec<usize> = (0..train.labels.len()).collect();
        order.sort_by(|&a, &b| in_order(&train.labels[a], &train.labels[b]));
        let mut classes = vec![0; order.len()];
        for (class, &code) in (0..).zip(&order) {
            classes[code] = class;
        }
        let names = order.iter().map(|&code| train.labels[code].name.clone());
        let names = Classes {
            names: names.collect(),
            unseen: Vec::new(),
        };
        let mut labels = train.cells.into_codes();
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
        let codes = part.cells.clone().into_codes();
        codes.into_iter().map(&mut class_of).collect()
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

    /// More names than classes can be are not kept, but the numbers are.
    #[test]
    fn many_numbers_need_no_names() {
        let mut many = LabelColumn::default();
        let count = MAX_CLASSES + 3;
        (0..count).for_each(|i| many.push_number(i as f64 / 2.0));
        assert!(many.has_too_many_names() && many.distinct() == MAX_CLASSES + 1);
        assert_eq!((many.check_finite(), many.numbers().len()), (Ok(()), count));
        assert_eq!(many.number(count - 1), (count - 1) as f64 / 2.0);
        assert_eq!(many.first_fraction(), Some((1, 0.5)));
    }

    #[test]
    fn rows_are_counted_with_those_that_have_no_label() {
        let mut gaps = LabelColumn::default();
        gaps.push_missing();
        gaps.push_number(1.0);
        gaps.push_missing();
        gaps.push_missing();
        gaps.push_word("maybe");
        assert_eq!(gaps.check_finite(), Err((4, "\"maybe\"".to_owned())));
        assert_eq!(gaps.check_truth(), Err((4, "\"maybe\"".to_owned())));
    }

    fn names(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }
}
