//! The question and its answer in a few words: what the page begins with.

use super::final_model::FinalModel;
use super::html::{self, escape};
use super::subject::{Subject, words};
use crate::search::journal::{State, Trial};
use crate::search::sweep::{Cell, extremes};
use crate::statistics::wilson;
use crate::text::number::shown;

/// The top of the page.
pub(super) fn answer(subjects: &[Subject<'_>], model: Option<&FinalModel>) -> String {
    let mut out = question(model);
    let searches = subjects.iter().filter(|s| s.series().is_none());
    for subject in searches {
        out += &best(subject);
    }
    out += &model.map_or_else(String::new, test);
    out + &effects(subjects)
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
fn best(subject: &Subject<'_>) -> String {
    let counts = counts(subject);
    let Some(best) = subject.ranking().first().copied() else {
        let text = format!("{}: nothing is complete yet. {counts}", subject.study.name);
        return html::paragraph("", &text);
    };
    format!(
        "<p>Best configuration: <strong>{}</strong>, with a {} of {:.4}. {}</p>\n",
        escape(&settings(subject, best)),
        escape(words(subject.objective())),
        best.value().unwrap_or(f64::NAN),
        escape(&counts)
    )
}

/// A trial's settings in a line.
fn settings(subject: &Subject<'_>, trial: &Trial) -> String {
    let parameters = subject.parameters();
    let written = parameters
        .iter()
        .filter_map(|(name, _)| Some(format!("{name} {}", shown(&trial.parameter(name)?))));
    written.collect::<Vec<_>>().join(", ")
}

fn counts(subject: &Subject<'_>) -> String {
    // A trial that broke off, with its process, is done again by another one.
    let is_redone = |t: &&Trial| {
        let mut trials = subject.trials();
        t.state() == State::Fail
            && trials.any(|other| {
                other.state().has_result() && other.first_attempt() == t.first_attempt()
            })
    };
    let redone = subject.trials().filter(is_redone).count();
    let count = |state| subject.trials().filter(|t| t.state() == state).count();
    let counts = [
        (count(State::Complete), "complete"),
        (count(State::Pruned), "pruned or diverged"),
        (redone, "broken off and done again"),
        (count(State::Fail) - redone, "failed"),
        (count(State::Running), "running"),
        (count(State::Waiting), "waiting"),
    ];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    let counts: Vec<String> = counts.map(|(n, what)| format!("{n} {what}")).collect();
    format!("Trials of {}: {}.", subject.study.name, counts.join(", "))
}

/// What the final model came to on the test set.
fn test(model: &FinalModel) -> String {
    let tested = model
        .summary
        .as_ref()
        .and_then(|s| Some((s, s.test_accuracy?)));
    let Some((summary, accuracy)) = tested else {
        return html::paragraph("", "The final model has not been tested yet.");
    };
    let samples = summary.test_samples as u64;
    let interval = wilson((accuracy * samples as f64).round() as u64, samples);
    format!(
        "<p class=\"result\"><strong>{:.2} %</strong> of the {samples} test samples are classified correctly by the final model, trained and tested once \
         (95 % Wilson interval {:.2} % to {:.2} %).</p>\n",
        100.0 * accuracy,
        100.0 * interval.low,
        100.0 * interval.high
    )
}

/// What each setting did by itself; nothing without series.
fn effects(subjects: &[Subject<'_>]) -> String {
    let rows: Vec<Vec<String>> = subjects.iter().filter_map(effect).collect();
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
        missing(subjects),
        html::paragraph(
            "note",
            "All other settings stay at their base values. “Intervals apart”: the 95 % intervals of the two means do not overlap, so the difference is hardly the seeds' chance."
        )
    )
}

/// How many values have come to nothing yet, if any have.
fn missing(subjects: &[Subject<'_>]) -> String {
    let series = subjects.iter().filter_map(Subject::series);
    let cells: Vec<Cell> = series
        .flat_map(|s| s.cells(s.subject.objective()))
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

fn effect(subject: &Subject<'_>) -> Option<Vec<String>> {
    let series = subject.series()?;
    let cells = series.cells(subject.objective());
    let (best, worst) = extremes(&cells, subject.direction())?;
    let mean = |cell: &Cell| {
        cell.mean
            .map_or_else(|| "diverged".to_owned(), |m| format!("{:.4}", m.mean))
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
        difference.map_or_else(blank, |d| format!("{d:.4}")),
        apart.map_or_else(blank, str::to_owned),
    ])
}
