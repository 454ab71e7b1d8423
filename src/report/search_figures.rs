//! Charts of a search: the value of each trial, its learning curve, and the effect of each setting.

use serde_json::Value;

use super::bars::bars;
use super::chart::{Chart, DotStyle, LineStyle};
use super::figure::{Figure, parameter_axis};
use super::parallel_coordinates::{Coordinates, ParallelAxis, parallel};
use super::scale::Scale;
use super::section::StudySection;
use crate::search::Distribution;
use crate::search::journal::{Trial, TrialState};
use crate::statistics::fanova;
use crate::text::csv;
use crate::text::number::{shown, text};

/// Trials for each setting, below which importances are a guess.
const FEW: usize = 10;

/// All charts for which there are numbers.
pub(super) fn figures(section: &StudySection<'_>) -> Vec<Figure> {
    let mut figures = vec![history(section)];
    figures.extend(curves(section));
    figures.extend(importance(section));
    let parameters = section.parameters();
    figures.extend(parameters.iter().map(|(name, d)| slice(section, name, d)));
    figures.extend(coordinates(section));
    figures
}

/// The trials in the order of their numbers, and the best so far.
fn history(section: &StudySection<'_>) -> Figure {
    let measure = section.objective();
    let objective = measure.title();
    let points: Vec<(f64, f64)> = section
        .complete()
        .map(|(t, value)| (t.number as f64, value))
        .collect();
    let high = points.last().map_or(1.0, |p| p.0.max(1.0));
    let y = measure.axis(points.iter().map(|p| p.1));
    let title = format!("{objective} of each complete trial");
    let mut chart = Chart::new(
        &title,
        (Scale::Linear { low: 0.0, high }, "trial"),
        (y, &objective),
    );
    let mut rows = Vec::new();
    let (mut best, mut steps) = (None, Vec::new());
    for &(number, value) in &points {
        let before = best.unwrap_or(value);
        let now = match section.study.is_better(value, before) {
            true => value,
            false => before,
        };
        steps.extend([(number, before), (number, now)]);
        best = Some(now);
        let note = format!("trial {number}: {}", measure.format(value));
        chart.dot(number, value, DotStyle::Single, &note);
        rows.push([number, value, now].map(|x| x.to_string()));
    }
    steps.extend(best.map(|best| (high, best)));
    chart.line(steps, LineStyle::Best);
    Figure {
        name: section.stem("history"),
        caption: format!("{title}, and the best so far"),
        broad: false,
        svg: chart.svg(),
        csv: csv::table(&["trial", &measure.name(), "best"], rows),
    }
}

/// The values that trials reported after each epoch, if one of them had more than one epoch. Those that were given up
/// end early, in a dot.
fn curves(section: &StudySection<'_>) -> Option<Figure> {
    let measure = section.objective();
    let objective = measure.title();
    let best = section.ranking().first().map(|t| t.id);
    let mut trials: Vec<&Trial> = section
        .trials()
        .filter(|t| t.state().has_result())
        .collect();
    // The best one last, on top of the others.
    trials.sort_by_key(|t| Some(t.id) == best);
    let reports = || trials.iter().flat_map(|t| &t.content.reports);
    let high = reports().map(|(&step, _)| step as f64).fold(0.0, f64::max);
    if high < 2.0 {
        return None;
    }
    let title = format!("{objective} of each trial while it learnt");
    let y = measure.axis(reports().map(|(_, &value)| value));
    let name = match section.plan("repeats").and_then(Value::as_u64) {
        None | Some(1) => "epoch",
        Some(_) => "epochs, one repeat after the other",
    };
    // Other programs count from 0.
    let low = reports().map(|(&step, _)| step as f64).fold(1.0, f64::min);
    let x = Scale::Linear { low, high };
    let mut chart = Chart::new(&title, (x, name), (y, &objective));
    let mut rows = Vec::new();
    for trial in trials {
        let kind = match Some(trial.id) == best {
            true => LineStyle::Best,
            false => LineStyle::Faint,
        };
        let points = || {
            trial
                .content
                .reports
                .iter()
                .map(|(&step, &value)| (step as f64, value))
        };
        chart.line(points(), kind);
        if let (TrialState::Pruned, Some((step, value))) = (trial.state(), points().next_back()) {
            let value_text = measure.format(value);
            let note = format!("trial {}: given up with {value_text}", trial.number);
            chart.dot(step, value, DotStyle::Single, &note);
        }
        rows.extend(points().map(|(step, value)| {
            [
                trial.number.to_string(),
                step.to_string(),
                value.to_string(),
            ]
        }));
    }
    let mut caption = format!("{title}; the best one stands out");
    if section.trials().any(|t| t.state() == TrialState::Pruned) {
        caption += ", and those that were given up end in a dot";
    }
    Some(Figure {
        name: section.stem("curves"),
        caption,
        broad: false,
        svg: chart.svg(),
        csv: csv::table(&["trial", "epoch", &measure.name()], rows),
    })
}

/// How much of the outcome each setting explains by itself.
fn importance(section: &StudySection<'_>) -> Option<Figure> {
    let parameters = section.parameters();
    let place = |trial: &Trial| -> Option<Vec<f64>> {
        let share = |(name, d): &(&str, &Distribution)| {
            let share = d.share(trial.content.params.get(*name)?.internal);
            Some(share).filter(|share| share.is_finite())
        };
        parameters.iter().map(share).collect()
    };
    let (points, values): (Vec<_>, Vec<_>) = section
        .complete()
        .filter_map(|(t, value)| Some((place(t)?, value)))
        .unzip();
    let shares = fanova::importance(&points, &values).filter(|s| s.len() > 1)?;
    let mut named: Vec<(&str, f64)> = parameters.iter().map(|p| p.0).zip(shares).collect();
    named.sort_by(|a, b| b.1.total_cmp(&a.1));
    let title = format!(
        "share of the variance of {} that each setting explains by itself",
        section.objective().title()
    );
    let mut caption = format!(
        "Importance: the {title} (functional analysis of variance over a random forest); the rest lies in settings acting together. From {} trials",
        points.len()
    );
    if points.len() < FEW * parameters.len() {
        caption += ", which are few: a rough guess";
    }
    let rows = named
        .iter()
        .map(|(name, share)| [(*name).to_owned(), share.to_string()]);
    Some(Figure {
        name: section.stem("importance"),
        caption,
        broad: false,
        svg: bars(&title, &named),
        csv: csv::table(&["setting", "importance"], rows),
    })
}

/// A parameter against the objective, over all trials.
fn slice(section: &StudySection<'_>, name: &str, distribution: &Distribution) -> Figure {
    let measure = section.objective();
    let objective = measure.title();
    let y = measure.axis(section.complete().map(|(_, value)| value));
    let title = format!("{objective} against {name}");
    let trials = from_worst_to_best(section);
    let x = parameter_axis(distribution, internals(&trials, name));
    let mut chart = Chart::new(&title, (x, name), (y, &objective));
    let mut rows = Vec::new();
    for (place, (trial, value)) in trials.iter().enumerate() {
        let (Some(parameter), Some(found)) =
            (trial.content.params.get(name), trial.parameter(name))
        else {
            continue;
        };
        // The best one last, on top of the others.
        let kind = match place + 1 == trials.len() {
            true => DotStyle::Best,
            false => DotStyle::Single,
        };
        let note = format!(
            "trial {}: {name} {}, {}",
            trial.number,
            shown(&found),
            measure.format(*value)
        );
        chart.dot(parameter.internal, *value, kind, &note);
        rows.push((
            trial.number,
            [trial.number.to_string(), text(&found), value.to_string()],
        ));
    }
    rows.sort_by_key(|(number, _)| *number);
    Figure {
        name: section.stem(name),
        caption: format!("{title}, all complete trials; the best one stands out"),
        broad: false,
        svg: chart.svg(),
        csv: csv::table(
            &["trial", name, &measure.name()],
            rows.into_iter().map(|(_, row)| row),
        ),
    }
}

/// All settings and the objective side by side, a line for each trial.
fn coordinates(section: &StudySection<'_>) -> Option<Figure> {
    let parameters = section.parameters();
    let trials = from_worst_to_best(section);
    if parameters.len() < 2 || trials.is_empty() {
        return None;
    }
    let measure = section.objective();
    let objective = measure.title();
    let mut axes: Vec<ParallelAxis<'_>> = parameters
        .iter()
        .map(|(name, d)| ParallelAxis {
            name,
            scale: parameter_axis(d, internals(&trials, name)),
        })
        .collect();
    axes.push(ParallelAxis {
        name: &objective,
        scale: measure.axis(trials.iter().map(|(_, value)| *value)),
    });
    let line = |(place, (trial, value)): (usize, &(&Trial, f64))| {
        let parameter = |(name, _): &(&str, &Distribution)| {
            trial
                .content
                .params
                .get(*name)
                .map_or(f64::NAN, |p| p.internal)
        };
        Coordinates {
            values: parameters.iter().map(parameter).chain([*value]).collect(),
            rank: (place + 1) as f64 / trials.len() as f64,
            note: format!("trial {}: {}", trial.number, measure.format(*value)),
        }
    };
    let lines: Vec<Coordinates> = trials.iter().enumerate().map(line).collect();
    let title = format!("settings and {objective} of each complete trial");
    let rows = trials.iter().map(|(trial, value)| {
        let parameter = |(name, _): &(&str, &Distribution)| {
            trial
                .parameter(name)
                .as_ref()
                .map_or_else(String::new, text)
        };
        std::iter::once(trial.number.to_string())
            .chain(parameters.iter().map(parameter))
            .chain([value.to_string()])
            .collect::<Vec<_>>()
    });
    let name = measure.name();
    let header: Vec<&str> = std::iter::once("trial")
        .chain(parameters.iter().map(|p| p.0))
        .chain([name.as_str()])
        .collect();
    Some(Figure {
        name: section.stem("coordinates"),
        caption: format!(
            "{title}: a line for each, the better the stronger; the best one stands out"
        ),
        broad: true,
        svg: parallel(&title, &axes, &lines),
        csv: csv::table(&header, rows),
    })
}

/// The values of a parameter as numbers.
fn internals(trials: &[(&Trial, f64)], name: &str) -> impl Iterator<Item = f64> {
    let parameter = |(trial, _): &(&Trial, f64)| Some(trial.content.params.get(name)?.internal);
    trials.iter().filter_map(parameter)
}

/// Complete trials, so that the best is drawn last.
fn from_worst_to_best<'a>(section: &StudySection<'a>) -> Vec<(&'a Trial, f64)> {
    let finite = |t: &'a Trial| Some((t, t.value().filter(|x| x.is_finite())?));
    section
        .ranking()
        .into_iter()
        .rev()
        .filter_map(finite)
        .collect()
}
