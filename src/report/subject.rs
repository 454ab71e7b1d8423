//! A study as the page sees it, and what all charts have in common.

use serde_json::Value;

use super::scale::Scale;
use crate::search::journal::{Direction, State, Storage, Study, Trial};
use crate::search::sweep::Cell;
use crate::search::{Distribution, ranking};
use crate::text::number::text;

/// A chart and its numbers.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The stem of its files' names.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// Whether it needs the whole breadth of a page.
    pub broad: bool,
    /// The picture.
    pub svg: String,
    /// The numbers, with a header.
    pub csv: String,
}

/// A study of a file.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) storage: &'a Storage,
    pub(super) study: &'a Study,
}

/// A study that goes through the values of one setting.
#[derive(Clone, Copy)]
pub(super) struct Series<'a> {
    pub(super) subject: Subject<'a>,
    /// The setting.
    pub(super) name: &'a str,
    choices: &'a [Value],
}

impl Series<'_> {
    /// Its values, by a figure that trials note.
    pub(super) fn cells(&self, metric: &str) -> Vec<Cell> {
        let Subject { storage, study } = self.subject;
        let cell = |value| Cell::of(storage, study, (self.name, value), metric);
        self.choices.iter().map(cell).collect()
    }
}

impl<'a> Subject<'a> {
    /// The studies of a file that have trials.
    pub(super) fn all(storage: &'a Storage) -> Vec<Self> {
        let subjects = storage.studies().map(|study| Subject { storage, study });
        subjects.filter(|s| s.trials().next().is_some()).collect()
    }

    /// Its trials, by number.
    pub(super) fn trials(&self) -> impl Iterator<Item = &'a Trial> + use<'a> {
        self.storage.trials(self.study)
    }

    /// The objective's name in the file.
    pub(super) fn objective(&self) -> &'a str {
        let names = self.study.system_attrs.get("study:metric_names");
        names
            .and_then(|n| n.get(0))
            .and_then(Value::as_str)
            .unwrap_or("value")
    }

    /// Which values of it are better.
    pub(super) fn direction(&self) -> Direction {
        let first = self.study.directions.first();
        first.copied().unwrap_or(Direction::Minimize)
    }

    /// What its plan says, if it is one of ours.
    pub(super) fn plan(&self, key: &str) -> Option<&'a Value> {
        self.study.user_attrs.get("chainrule")?.get(key)
    }

    /// The parameters, as the first trial with them has them, in the order of the plan if it is one of ours.
    pub(super) fn parameters(&self) -> Vec<(&'a str, &'a Distribution)> {
        let mut parameters: Vec<(&str, &Distribution)> = Vec::new();
        for trial in self.trials() {
            for (name, parameter) in &trial.content.params {
                if !parameters.iter().any(|(known, _)| known == name) {
                    parameters.push((name, &parameter.distribution));
                }
            }
        }
        let planned = self.plan("space").and_then(Value::as_object);
        let place = |name: &str| planned.and_then(|p| p.keys().position(|known| known == name));
        parameters.sort_by_key(|(name, _)| place(name));
        parameters
    }

    /// If it is a series of the values of one parameter.
    pub(super) fn series(&self) -> Option<Series<'a>> {
        let is_grid = self.plan("sampler")? == "grid";
        match self.parameters()[..] {
            [(name, Distribution::Categorical { choices })] if is_grid => Some(Series {
                subject: *self,
                name,
                choices,
            }),
            _ => None,
        }
    }

    /// Complete trials with their values.
    pub(super) fn complete(&self) -> impl Iterator<Item = (&'a Trial, f64)> + use<'a> {
        let complete = self.trials().filter(|t| t.state() == State::Complete);
        complete.filter_map(|t| Some((t, t.value().filter(|x| x.is_finite())?)))
    }

    /// Complete trials, the best first.
    pub(super) fn ranking(&self) -> Vec<&'a Trial> {
        ranking(self.storage, self.study)
    }

    /// The stem of a chart's files. Names that other programs gave may hold anything; what a file's name should not hold is replaced, and then the study's number
    /// keeps names apart.
    pub(super) fn stem(&self, what: &str) -> String {
        let name = format!("{}-{what}", self.study.name);
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        match name.chars().all(fits) && !name.starts_with('.') {
            true => name,
            false => format!(
                "{}-{}",
                name.replace(|c| !fits(c) || c == '.', "_"),
                self.study.id
            ),
        }
    }
}

/// A figure's name in words.
pub(super) fn words(metric: &str) -> &str {
    match metric {
        "val_accuracy" => "validation accuracy",
        "val_loss" => "validation loss",
        other => other,
    }
}

/// An axis for a parameter.
pub(super) fn axis(distribution: &Distribution) -> Scale {
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

/// Numbers as a file: a header and rows of as many cells.
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
