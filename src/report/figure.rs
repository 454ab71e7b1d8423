//! A chart with its numbers, and what all charts have in common.

use super::scale::Scale;
use crate::search::Distribution;
use crate::text::number::text;

/// A chart and its numbers.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The stem of its files' names.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// Whether it needs the whole width of a page.
    pub broad: bool,
    /// The picture.
    pub svg: String,
    /// The numbers, with a header.
    pub csv: String,
}

/// An axis for a parameter.
pub(super) fn parameter_axis(distribution: &Distribution) -> Scale {
    let range = |low, high, log| match log {
        true => Scale::Log { low, high },
        false => Scale::Linear { low, high },
    };
    match distribution {
        Distribution::Float { low, high, log, .. } => range(*low, *high, *log),
        Distribution::Int { low, high, log, .. } => range(*low as f64, *high as f64, *log),
        Distribution::Categorical { choices } => {
            Scale::Category(choices.iter().map(text).collect())
        }
    }
}

/// A table as the text of a CSV file: a header, and rows with as many cells.
pub(super) fn csv<R>(header: &[&str], rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = String>,
{
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    let written = "writing to memory cannot fail";
    writer.write_record(header).expect(written);
    for row in rows {
        writer.write_record(row).expect(written);
    }
    let bytes = writer.into_inner().expect(written);
    String::from_utf8(bytes).expect("made of text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_commas_is_quoted() {
        let row = ["256,128", "\"a\"", "1"].map(str::to_owned);
        assert_eq!(
            csv(&["widths", "b", "c"], [row]),
            "widths,b,c\n\"256,128\",\"\"\"a\"\"\",1\n"
        );
        let none: [[String; 1]; 0] = [];
        assert_eq!(csv(&["x"], none), "x\n");
    }
}
