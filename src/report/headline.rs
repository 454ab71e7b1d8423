//! The start of the page: the question, and its answer in a few words.

use super::final_model::FinalModel;
use super::html::{self, escape};
use super::section::StudySection;
use crate::data::Task;
use crate::metrics::{DataPart, Metric, format_percent};
use crate::search::journal::{Trial, TrialState};
use crate::search::sweep::{Cell, extremes};
use crate::statistics::Interval;
use crate::text::number::shown;
use crate::train::Summary;

/// The top of the page.
pub(super) fn headline(sections: &[StudySection<'_>], model: Option<&FinalModel>) -> String {
    let mut out = match sections {
        [] => String::new(),
        _ => question(model),
    };
    let searches = sections.iter().filter(|s| s.series().is_none());
    for section in searches {
        out += &best(section);
    }
    out += &model.map_or_else(String::new, test);
    out + &effects(sections)
}

fn question(model: Option<&FinalModel>) -> String {
    let data = model.and_then(|l| l.summary.as_ref());
    let data = data.map_or_else(String::new, |s| format!(" on {}", s.data));
    html::paragraph(
        "question",
        &format!("Which settings train the best network{data}, and what does each of them do?"),
    )
}

/// The best trial of a search.
fn best(section: &StudySection<'_>) -> String {
    let counts = counts(section);
    let Some(best) = section.ranking().first().copied() else {
        let text = format!("{}: nothing is complete yet. {counts}", section.study.name);
        return html::paragraph("", &text);
    };
    format!(
        "<p>Best configuration: <strong>{}</strong>, with a {} of {}. {}</p>\n",
        escape(&settings(section, best)),
        escape(&section.objective().title()),
        section.objective().format(best.value().unwrap_or(f64::NAN)),
        escape(&counts)
    )
}

/// A trial's settings in a line.
fn settings(section: &StudySection<'_>, trial: &Trial) -> String {
    let parameters = section.parameters();
    let written = parameters
        .iter()
        .filter_map(|(name, _)| Some(format!("{name} {}", shown(&trial.parameter(name)?))));
    written.collect::<Vec<_>>().join(", ")
}

fn counts(section: &StudySection<'_>) -> String {
    // A trial that broke off, with its process, is done again by another one.
    let is_redone = |t: &&Trial| {
        let mut trials = section.trials();
        t.state() == TrialState::Fail
            && trials.any(|other| {
                other.state().has_result() && other.first_attempt() == t.first_attempt()
            })
    };
    let redone = section.trials().filter(is_redone).count();
    let count = |state| section.trials().filter(|t| t.state() == state).count();
    let counts = [
        (count(TrialState::Complete), "complete"),
        (count(TrialState::Pruned), "pruned or diverged"),
        (redone, "broken off and done again"),
        (count(TrialState::Fail) - redone, "failed"),
        (count(TrialState::Running), "running"),
        (count(TrialState::Waiting), "waiting"),
    ];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    let counts: Vec<String> = counts.map(|(n, what)| format!("{n} {what}")).collect();
    format!("Trials of {}: {}.", section.study.name, counts.join(", "))
}

/// The result of the final model on the test set.
fn test(model: &FinalModel) -> String {
    let result = model.summary.as_ref().and_then(|summary| {
        let main = Metric::main(summary.task);
        let value = summary.get(main.of(DataPart::Test))?;
        Some(match summary.task {
            Task::Classification => share(value, summary),
            Task::Regression | Task::Multilabel => in_metrics(main, value, summary),
        })
    });
    result.unwrap_or_else(|| {
        let why = match &model.summary {
            None => "has not been tested yet",
            Some(Summary {
                best_epoch: None, ..
            }) => "was not tested, because its training diverged in the first epoch",
            Some(_) => "was not tested, because the data have no test part",
        };
        html::paragraph("", &format!("The final model {why}."))
    })
}

/// The share of the test samples that are classified correctly.
fn share(share: f64, summary: &Summary) -> String {
    let interval = summary.test_interval(Metric::Accuracy);
    let interval = interval.map_or_else(String::new, |Interval { low, high }| {
        let [low, high] = [low, high].map(format_percent);
        format!(" (95 % Wilson interval {low} to {high})")
    });
    format!(
        "<p class=\"result\"><strong>{}</strong> of the {} test samples are classified correctly by the final \
         model, trained and tested once{interval}.</p>\n",
        format_percent(share),
        summary.test_samples,
    )
}

/// The main metric, then the others.
fn in_metrics(main: Metric, value: f64, summary: &Summary) -> String {
    let others = Metric::of_task(summary.task).iter().filter(|&&m| m != main);
    let other = |metric: &Metric| {
        let value = summary.get(metric.of(DataPart::Test))?;
        Some(format!("{} {}", metric.title(), metric.format(value)))
    };
    let others: Vec<String> = others.filter_map(other).collect();
    let over = match summary.task {
        Task::Regression => "; in the target's own units, of several targets the mean",
        _ => "",
    };
    format!(
        "<p class=\"result\"><strong>{} {}</strong> on the {} test samples is what the final model comes to, trained \
         and tested once ({}{over}).</p>\n",
        escape(main.title()),
        main.format(value),
        summary.test_samples,
        escape(&others.join(", ")),
    )
}

/// The effect of each setting by itself; nothing without series.
fn effects(sections: &[StudySection<'_>]) -> String {
    let rows: Vec<Vec<String>> = sections.iter().filter_map(effect).collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = [
        "setting",
        "best value",
        "mean",
        "worst value",
        "mean",
        "difference",
        "intervals apart",
    ];
    format!(
        "<h3>What each setting did by itself</h3>\n{}{}{}",
        html::table(&header, rows),
        missing(sections),
        html::paragraph(
            "note",
            "All other settings stay at their base values. “Intervals apart”: the 95 % intervals of the two means do not overlap, so the difference is hardly the seeds' chance."
        )
    )
}

/// How many values have no result yet, if any.
fn missing(sections: &[StudySection<'_>]) -> String {
    let series = sections.iter().filter_map(StudySection::series);
    let cells: Vec<Cell> = series
        .flat_map(|s| s.cells(s.section.objective()))
        .collect();
    match cells
        .iter()
        .filter(|c| c.mean.is_none() && !c.diverged)
        .count()
    {
        0 => String::new(),
        n => {
            let text = format!(
                "Not finished: {n} of {} values have no result yet.",
                cells.len()
            );
            html::paragraph("", &text)
        }
    }
}

fn effect(section: &StudySection<'_>) -> Option<Vec<String>> {
    let series = section.series()?;
    let measure = section.objective();
    let cells = series.cells(measure);
    let (best, worst) = extremes(&cells, section.study.direction())?;
    let mean = |cell: &Cell| {
        cell.mean
            .map_or_else(|| "diverged".to_owned(), |m| measure.format(m.mean))
    };
    let difference = best
        .mean
        .zip(worst.mean)
        .map(|(a, b)| (a.mean - b.mean).abs());
    let interval = |cell: &Cell| cell.mean.and_then(|m| m.interval);
    let apart = interval(best).zip(interval(worst)).map(|(a, b)| {
        if a.low > b.high || b.low > a.high {
            "yes"
        } else {
            "no"
        }
    });
    let blank = || "–".to_owned();
    Some(vec![
        series.name.to_owned(),
        shown(&best.value),
        mean(best),
        shown(&worst.value),
        mean(worst),
        difference.map_or_else(blank, |d| measure.format(d)),
        apart.map_or_else(blank, str::to_owned),
    ])
}
