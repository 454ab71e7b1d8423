//! A study of the file as a section of the page.

use serde_json::Value;

use super::file_names::stem;
use super::measure::Measure;
use crate::search::journal::{Storage, Study, Trial, TrialState};
use crate::search::sweep::Cell;
use crate::search::{Distribution, ranking};

/// A study of a file.
#[derive(Clone, Copy)]
pub(super) struct StudySection<'a> {
    pub(super) storage: &'a Storage,
    pub(super) study: &'a Study,
}

/// A study that goes through the values of one setting.
#[derive(Clone, Copy)]
pub(super) struct SeriesSection<'a> {
    pub(super) section: StudySection<'a>,
    /// The setting.
    pub(super) name: &'a str,
    choices: &'a [Value],
}

impl SeriesSection<'_> {
    /// Its values, judged by a measure that trials have noted.
    pub(super) fn cells(&self, measure: Measure<'_>) -> Vec<Cell> {
        let StudySection { storage, study } = self.section;
        let values = (self.name, self.choices);
        Cell::all(storage, study, values, &measure.name(), measure.limits())
    }
}

impl<'a> StudySection<'a> {
    /// The studies of a file that have trials.
    pub(super) fn all(storage: &'a Storage) -> Vec<Self> {
        let sections = storage
            .studies()
            .map(|study| StudySection { storage, study });
        sections.filter(|s| s.trials().next().is_some()).collect()
    }

    /// Its trials, by number.
    pub(super) fn trials(&self) -> impl Iterator<Item = &'a Trial> + use<'a> {
        self.storage.trials(self.study)
    }

    /// What its trials are judged by.
    pub(super) fn objective(&self) -> Measure<'a> {
        let names = self.study.system_attrs.get("study:metric_names");
        let name = names.and_then(|n| n.get(0)).and_then(Value::as_str);
        Measure::from_name(name.unwrap_or("value"))
    }

    /// A value of its plan, if the study is ours.
    pub(super) fn plan(&self, key: &str) -> Option<&'a Value> {
        self.study.user_attrs.get("chainrule")?.get(key)
    }

    /// The parameters as the first trial with them has them, in the order of the plan if the study is ours.
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

    /// The series, if it goes through the values of one parameter.
    pub(super) fn series(&self) -> Option<SeriesSection<'a>> {
        let is_grid = self.plan("sampler")? == "grid";
        match self.parameters()[..] {
            [(name, Distribution::Categorical { choices })] if is_grid => Some(SeriesSection {
                section: *self,
                name,
                choices,
            }),
            _ => None,
        }
    }

    /// Complete trials with their values.
    pub(super) fn complete(&self) -> impl Iterator<Item = (&'a Trial, f64)> + use<'a> {
        let complete = self.trials().filter(|t| t.state() == TrialState::Complete);
        complete.filter_map(|t| Some((t, t.value().filter(|x| x.is_finite())?)))
    }

    /// Complete trials, the best first.
    pub(super) fn ranking(&self) -> Vec<&'a Trial> {
        ranking(self.storage, self.study)
    }

    /// The stem of a chart's files.
    pub(super) fn stem(&self, what: &str) -> String {
        stem(&self.study.name, what)
    }
}
