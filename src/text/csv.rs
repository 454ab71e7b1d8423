//! Tables as CSV that a spreadsheet opens without doing anything.

use super::printable::printable;

/// How formulas begin, with the wide forms of the same signs.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// A table as the text of a CSV file: a header, and rows with as many cells.
pub fn table<R>(header: &[&str], rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = String>,
{
    let mut writer = ::csv::WriterBuilder::new().from_writer(Vec::new());
    let written = "writing to memory cannot fail";
    let names = header.iter().map(|name| cell(name));
    writer.write_record(names).expect(written);
    for row in rows {
        writer
            .write_record(row.into_iter().map(|text| cell(&text)))
            .expect(written);
    }
    let bytes = writer.into_inner().expect(written);
    String::from_utf8(bytes).expect("made of text")
}

/// What stands in a cell. Control characters are escaped as on a terminal. Spreadsheets calculate what begins like a
/// formula, and its functions can start programs or send cells away: such text gets an apostrophe in front of it.
/// Numbers stay numbers.
fn cell(text: &str) -> String {
    let text = printable(text);
    let is_formula = text.starts_with(FORMULA) && text.parse::<f64>().is_err();
    match is_formula {
        true => format!("'{text}"),
        false => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_commas_is_quoted() {
        let row = ["256,128", "\"a\"", "1"].map(str::to_owned);
        assert_eq!(
            table(&["widths", "b", "c"], [row]),
            "widths,b,c\n\"256,128\",\"\"\"a\"\"\",1\n"
        );
        let none: [[String; 1]; 0] = [];
        assert_eq!(table(&["x"], none), "x\n");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (text, expected) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1+1", "'+1+1"),
            ("-A1", "'-A1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1+1", "'＝1+1"),
            ("-", "'-"),
            ("\t=1", "\\t=1"),
            ("\r=1", "\\r=1"),
            ("\n=1", "\\n=1"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{feff}=1", "\\u{feff}=1"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(cell(text), expected);
        }
        assert_eq!(table(&["=1"], [["@a".to_owned()]]), "'=1\n'@a\n");
    }

    #[test]
    fn numbers_stay_numbers() {
        for number in ["-1.5", "-1e-320", "+5", "-inf", "-1"] {
            assert_eq!(cell(number), number);
        }
    }
}
