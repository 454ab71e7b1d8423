//! The charts of a study, each with its numbers.

use serde_json::Value;

use super::chart::{Chart, Dot, Line};
use super::scale::Scale;
use crate::analysis::number::text;
use crate::analysis::student;
use crate::search::Distribution;
use crate::search::journal::{State, Storage, Study, Trial};
use crate::search::ranking;

/// A chart and its numbers.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The stem of its files' names.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// The picture.
    pub svg: String,
    /// The numbers, with a header.
    pub csv: String,
}

/// What a study is about, as far as its charts go.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Where its trials are.
    pub storage: &'a Storage,
    /// The study.
    pub study: &'a Study,
}

impl<'a> Subject<'a> {
    /// The objective's name.
    pub fn objective(&self) -> &'a str {
        let names = self.study.system_attrs.get("study:metric_names");
        names
            .and_then(|n| n.get(0))
            .and_then(Value::as_str)
            .unwrap_or("value")
    }

    /// The parameters by name, as the first trial with them has them.
    pub fn parameters(&self) -> Vec<(&'a str, &'a Distribution)> {
        let mut parameters: Vec<(&str, &Distribution)> = Vec::new();
        for trial in self.storage.trials(self.study) {
            for (name, parameter) in &trial.content.params {
                if !parameters.iter().any(|(known, _)| known == name) {
                    parameters.push((name, &parameter.distribution));
                }
            }
        }
        parameters
    }

    /// The single parameter whose choices are gone through, if the study is such a series.
    pub fn series(&self) -> Option<(&'a str, &'a [Value])> {
        let is_grid = self.study.user_attrs.get("chainrule")?.get("sampler")? == "grid";
        match self.parameters()[..] {
            [(name, Distribution::Categorical { choices })] if is_grid => Some((name, choices)),
            _ => None,
        }
    }

    /// The repeats of a trial; its value, if it had only one run.
    pub fn repeats(&self, trial: &Trial) -> Vec<f64> {
        let noted = trial
            .content
            .user_attrs
            .get(self.objective())
            .and_then(Value::as_array);
        let repeats: Vec<f64> = noted
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect();
        if repeats.is_empty() {
            trial.value().into_iter().collect()
        } else {
            repeats
        }
    }

    fn complete(&self) -> impl Iterator<Item = (&'a Trial, f64)> {
        let complete = self
            .storage
            .trials(self.study)
            .filter(|t| t.state() == State::Complete);
        complete.filter_map(|t| Some((t, t.value().filter(|x| x.is_finite())?)))
    }

    /// All charts.
    pub fn figures(&self) -> Vec<Figure> {
        match self.series() {
            Some((name, choices)) => vec![self.series_figure(name, choices)],
            None => {
                let slices = self
                    .parameters()
                    .into_iter()
                    .map(|(name, distribution)| self.slice(name, distribution));
                std::iter::once(self.history()).chain(slices).collect()
            }
        }
    }

    /// Each value of a series: its repeats, their mean and its interval.
    fn series_figure(&self, name: &str, choices: &[Value]) -> Figure {
        let objective = self.objective();
        let cells: Vec<(String, Vec<f64>)> = choices
            .iter()
            .map(|value| {
                let trial = self
                    .complete()
                    .find(|(t, _)| t.parameter(name).as_ref() == Some(value));
                (
                    text(value),
                    trial.map_or_else(Vec::new, |(t, _)| self.repeats(t)),
                )
            })
            .collect();
        let y = Scale::around(
            cells
                .iter()
                .flat_map(|(_, repeats)| repeats.iter().copied()),
            0.01,
        );
        let x = Scale::Category(cells.iter().map(|(label, _)| label.clone()).collect());
        let title = format!("{objective} against {name}");
        let mut chart = Chart::new(&title, (x, name), (y, objective));
        let mut csv = format!("{name},repeat,{objective}\n");
        let means: Vec<_> = cells
            .iter()
            .map(|(_, repeats)| student::mean(repeats))
            .collect();
        chart.line(
            means
                .iter()
                .enumerate()
                .filter_map(|(i, m)| Some((i as f64, m.as_ref()?.mean))),
            Line::Faint,
        );
        for (i, ((label, repeats), mean)) in cells.iter().zip(&means).enumerate() {
            for (repeat, &value) in repeats.iter().enumerate() {
                chart.dot(
                    i as f64,
                    value,
                    Dot::Single,
                    &format!("{label}, repeat {repeat}: {value:.4}"),
                );
                csv += &format!("{label},{repeat},{value}\n");
            }
            if let Some(mean) = mean {
                if let Some(interval) = mean.interval {
                    chart.interval(i as f64, interval.low, interval.high);
                }
                chart.dot(
                    i as f64,
                    mean.mean,
                    Dot::Mean,
                    &format!("{label}: mean {:.4}", mean.mean),
                );
            }
        }
        let caption = format!(
            "{objective} against {name}: every repeat, their mean, and its 95 % t interval"
        );
        Figure {
            name: format!("{}-series", self.study.name),
            caption,
            svg: chart.svg(),
            csv,
        }
    }

    /// The trials in the order of their numbers, and the best so far.
    fn history(&self) -> Figure {
        let objective = self.objective();
        let points: Vec<(f64, f64)> = self
            .complete()
            .map(|(t, value)| (t.number as f64, value))
            .collect();
        let last = points.last().map_or(1.0, |p| p.0.max(1.0));
        let y = Scale::around(points.iter().map(|p| p.1), 0.01);
        let title = format!("{objective} of each trial");
        let mut chart = Chart::new(
            &title,
            (
                Scale::Linear {
                    low: 0.0,
                    high: last,
                },
                "trial",
            ),
            (y, objective),
        );
        let mut csv = format!("trial,{objective},best\n");
        let (mut best, mut steps) = (None, Vec::new());
        for &(number, value) in &points {
            let before = best.unwrap_or(value);
            let now = if self.study.is_better(value, before) {
                value
            } else {
                before
            };
            steps.extend([(number, before), (number, now)]);
            best = Some(now);
            chart.dot(
                number,
                value,
                Dot::Single,
                &format!("trial {number}: {value:.4}"),
            );
            csv += &format!("{number},{value},{now}\n");
        }
        steps.extend(best.map(|best| (last, best)));
        chart.line(steps, Line::Best);
        let caption = format!("{objective} of each trial, and the best so far");
        Figure {
            name: format!("{}-history", self.study.name),
            caption,
            svg: chart.svg(),
            csv,
        }
    }

    /// A parameter against the objective, over all trials.
    fn slice(&self, name: &str, distribution: &Distribution) -> Figure {
        let objective = self.objective();
        let x = match distribution {
            Distribution::Float { low, high, log, .. } => range(*low, *high, *log),
            Distribution::Int { low, high, log, .. } => range(*low as f64, *high as f64, *log),
            Distribution::Categorical { choices } => {
                Scale::Category(choices.iter().map(text).collect())
            }
        };
        let y = Scale::around(self.complete().map(|(_, value)| value), 0.01);
        let title = format!("{objective} against {name}");
        let mut chart = Chart::new(&title, (x, name), (y, objective));
        let mut csv = format!("trial,{name},{objective}\n");
        let best = ranking(self.storage, self.study).first().map(|t| t.id);
        // The best one last, on top of the others.
        let mut trials: Vec<_> = self.complete().collect();
        trials.sort_by_key(|(t, _)| Some(t.id) == best);
        for (trial, value) in trials {
            let Some(parameter) = trial.content.params.get(name) else {
                continue;
            };
            let label = trial
                .parameter(name)
                .as_ref()
                .map_or_else(String::new, text);
            let kind = if Some(trial.id) == best {
                Dot::Best
            } else {
                Dot::Single
            };
            chart.dot(
                parameter.internal,
                value,
                kind,
                &format!("trial {}: {name} {label}, {value:.4}", trial.number),
            );
            csv += &format!("{},{label},{value}\n", trial.number);
        }
        let caption = format!("{objective} against {name}, all trials; the best one stands out");
        Figure {
            name: format!("{}-{name}", self.study.name),
            caption,
            svg: chart.svg(),
            csv,
        }
    }
}

fn range(low: f64, high: f64, log: bool) -> Scale {
    if log {
        Scale::Log { low, high }
    } else {
        Scale::Linear { low, high }
    }
}
