//! Telling a header from data.

use std::collections::HashSet;

use super::csv_dialect::Dialect;
use super::csv_row::CsvRow;
use super::text_cell::is_usually_missing;

/// Names of a label column.
const LABEL_NAMES: [&str; 3] = ["label", "class", "target"];

/// How much a name above a column of numbers speaks for a header.
const STRONG: i32 = 3;

/// Whether the first of these rows names the columns. The name of a label column decides; else each column has a vote.
pub(super) fn has_header(rows: &[CsvRow], dialect: &Dialect) -> bool {
    let Some((first, below)) = rows.split_first() else {
        return false;
    };
    let columns =
        || (0..first.len()).map(|column| HeaderColumn::new(first, below, column, dialect));
    if columns().any(|column| column.is_label_name()) {
        return true;
    }
    let numbering = Numbering::of(first, below, dialect);
    let votes: i32 = columns().map(|column| column.vote(numbering)).sum();
    match votes {
        0 => {
            // Few rows of words. The last column may hold class names, so it does not decide.
            let mut features = columns().take(first.len().saturating_sub(1));
            features.any(|column| column.is_word())
        }
        votes => votes > 0,
    }
}

/// What the numbers of a first row look like as names.
#[derive(Clone, Copy, PartialEq)]
enum Numbering {
    /// They count: 0, 1, 2, … or 2019, 2020, …
    Counts,
    /// There are two, which may count by chance.
    MayCount,
    Ordinary,
}

impl Numbering {
    fn of(first: &CsvRow, below: &[CsvRow], dialect: &Dialect) -> Self {
        let names: Vec<(usize, f64)> = (0..first.len())
            .filter_map(|column| Some((column, dialect.number(first.cell(column))?)))
            .collect();
        let columns = || names.iter().map(|&(column, _)| column);
        let count_too = |row: &CsvRow| {
            let cells = columns().map(|column| dialect.number(row.get(column)?));
            let values: Option<Vec<f64>> = cells.collect();
            values.is_some_and(|values| counts(&values))
        };
        let values: Vec<f64> = names.iter().map(|&(_, value)| value).collect();
        if below.is_empty() || !counts(&values) || below.iter().any(count_too) {
            return Numbering::Ordinary;
        }
        let found_below = |column: &usize| {
            let name = first.cell(*column);
            below.iter().any(|row| row.get(*column) == Some(name))
        };
        match names.len() {
            2 => Numbering::MayCount,
            n if 2 * columns().filter(found_below).count() >= n => Numbering::Ordinary,
            _ => Numbering::Counts,
        }
    }
}

/// Whether numbers increase by one, or, if there are many, by another constant.
fn counts(values: &[f64]) -> bool {
    const MANY: usize = 6;
    let [first, second, ..] = *values else {
        return false;
    };
    let step = second - first;
    let is_constant = |pair: &[f64]| (pair[1] - pair[0] - step).abs() <= 1e-6 * step;
    let is_step = match values.len() < MANY {
        true => step == 1.0 && first >= 0.0 && first.fract() == 0.0,
        false => step > 0.0 && step.is_finite(),
    };
    is_step && values.windows(2).all(is_constant)
}

/// A name, or a value, with what is below it.
struct HeaderColumn<'a> {
    name: &'a str,
    is_number: bool,
    /// The cells below that are not missing.
    below: Vec<&'a str>,
    numbers_below: usize,
}

impl<'a> HeaderColumn<'a> {
    fn new(first: &'a CsvRow, below: &'a [CsvRow], column: usize, dialect: &Dialect) -> Self {
        let cells = below.iter().filter_map(|row| row.get(column));
        let below: Vec<&str> = cells.filter(|cell| !is_usually_missing(cell)).collect();
        let is_number = |cell: &str| dialect.number(cell).is_some();
        let name = first.cell(column);
        HeaderColumn {
            name,
            is_number: is_number(name),
            numbers_below: below.iter().filter(|cell| is_number(cell)).count(),
            below,
        }
    }

    fn is_label_name(&self) -> bool {
        let mut names = LABEL_NAMES.iter();
        names.any(|name| name.eq_ignore_ascii_case(self.name)) && !self.below.contains(&self.name)
    }

    fn is_word(&self) -> bool {
        !self.is_number && !is_usually_missing(self.name)
    }

    /// How much the column speaks for a header, or, below zero, against one.
    fn vote(&self, numbering: Numbering) -> i32 {
        let mostly_numbers = 2 * self.numbers_below > self.below.len();
        let repeats = self.below.contains(&self.name);
        if is_usually_missing(self.name) {
            0
        } else if self.is_number {
            match numbering {
                Numbering::Counts => 1,
                Numbering::MayCount => 0,
                Numbering::Ordinary if mostly_numbers || repeats || self.below.is_empty() => -1,
                Numbering::Ordinary => 0,
            }
        } else if repeats {
            -1
        } else if mostly_numbers {
            STRONG
        } else if self.below.is_empty() || self.has_repeats() {
            1
        } else {
            0
        }
    }

    /// Whether a cell below occurs again.
    fn has_repeats(&self) -> bool {
        let mut seen = HashSet::new();
        !self.below.iter().all(|cell| seen.insert(cell))
    }
}

#[cfg(test)]
mod tests {
    use super::super::csv_dialect::DialectOptions;
    use super::super::csv_rows::RowReader;
    use super::super::open::InputFile;

    fn verdict(text: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let source = InputFile::open(&path).unwrap();
        let reader = RowReader::new(source, &DialectOptions::default()).unwrap();
        reader.has_header()
    }

    #[test]
    fn headers() {
        for text in [
            "a,b,label\n1,2,0\n3,4,1\n",
            "a,b,label\n",
            // Names that are numbers.
            "0,1,2,3,species\n-2.3,1.6,-5.7,1.1,cedar\n0.2,-3.4,3.6,-2.4,birch\n",
            "0,1,2,3\n-2.3,1.6,-5.7,1\n0.2,-3.4,3.6,0\n",
            "1,2,3,4,5\n5,3,1,0,a\n4,3,1,0,a\n6,2,4,1,b\n",
            ",0,1,2,kind\n0,5.1,3.5,1.4,a\n1,4.9,3.0,1.4,a\n",
            "country,2019,2020,2021\nA,1.5,2.5,1\nB,1.2,2.2,0\n",
            "400,402.5,405,407.5,410,412.5,kind\n.1,.2,.2,.1,.1,.1,a\n.1,.2,.3,.1,.1,.1,a\n",
            "0,1,label\n5,6,cat\n7,8,ant\n",
            "5,1,7,9,label\n5,6,1,2,cat\n7,8,3,4,ant\n",
            "0,1,kind\n5,6,1\n",
            "0,1,species\n5.1,3.5,setosa\n4.9,3.0,setosa\n",
            // Words above words.
            "buying,doors,class\nhigh,two,good\nlow,two,bad\nhigh,four,good\n",
            "review,sentiment\nI like it,pos\nNever again,neg\nIt works,pos\n",
            "colour,shape\nred,round\n",
            "a,b,kind\n1,?,x\n,2,y\nNA,3,x\n",
            // As scikit-learn writes its data sets.
            "150,4,setosa,versicolor,virginica\n5.1,3.5,1.4,0.2,0\n4.9,3,1.4,0.2,0\n",
            // A name that a value repeats, among others that are none.
            "cat,dog,kind\n1,2,cat\n3,4,kind\n",
        ] {
            assert!(verdict(text), "{text}");
        }
    }

    #[test]
    fn data_from_the_first_row() {
        for text in [
            "1,2,0\n3,4,1\n",
            "1,2\n3,4\n",
            "1,2,3,4\n5,6,7,8\n",
            "1,2,3,4,5,6\n",
            "1,2,3,4,5,6\n1,2,x,4,5,6\n",
            "1,2,3\n1,1,2\n3,2,3\n2,2,1\n",
            "1,2\n5,9\n2,2\n",
            "5.1,3.5,setosa\n4.9,3.0,setosa\n6.1,2.9,virginica\n",
            "5.1,3.5,setosa\n",
            "5,6,y\n7,8,n\n",
            "1,cat\n2,dog\n3,0\n",
            "1,2,a\n5,9,b\n3,3,a\n",
            "1,,0\n3,4,1\n",
            "?,2,0\n3,4,1\n",
            // Words from the first row on, as in car evaluation and mushroom.
            "vhigh,vhigh,2,2,small,low,unacc\nvhigh,vhigh,2,2,small,med,unacc\nvhigh,vhigh,2,2,small,high,unacc\n\
             vhigh,vhigh,2,4,small,low,unacc\nvhigh,vhigh,2,more,big,high,acc\n",
            "p,x,s,n,t\ne,x,s,y,t\ne,b,s,w,t\np,x,y,w,t\n",
            "I like it,pos\nNever again,neg\nIt works,pos\n",
            // A missing value as a word of its own.
            "1,unknown,3,4\n2,5,6,7\n3,unknown,7,8\n",
            "",
        ] {
            assert!(!verdict(text), "{text}");
        }
    }
}
