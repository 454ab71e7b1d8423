//! Reports of study files.

use chainrule::report;
use chainrule::search::journal::Record;

use crate::files::{Files, sound};
use crate::memory::{bounded, expanded};
use crate::study::read_twice;
use crate::well_formed::check_report;

/// The input is a study file. Reading it twice gives the same state; each of its records is the same after it was
/// written and parsed again, if its numbers are finite; and its report is well-formed, with every number finite and every mark inside of its
/// picture.
pub fn report(input: &[u8]) -> bool {
    let files = Files::new();
    let path = files.write("study.journal", input);
    if bounded(expanded(input), || sound(read_twice(&path))).is_none() {
        return false;
    }
    for line in String::from_utf8_lossy(input).lines() {
        round_trip(line);
    }
    let out = files.path("report");
    match sound(report::write(&path, &out, None)) {
        Some(_) => {
            check_report(&out);
            true
        }
        None => false,
    }
}

fn round_trip(line: &str) {
    let Ok(record) = Record::parse(line) else {
        return;
    };
    // JSON has no other numbers: this program reads their names, and writes none.
    if line.contains("NaN") || line.contains("Infinity") {
        return;
    }
    let again = Record::parse(&record.to_line()).expect("what was written can be parsed");
    assert_eq!(format!("{again:?}"), format!("{record:?}"));
}
