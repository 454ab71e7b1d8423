//! One HTML page with everything in it: no network, no script.

use super::chart::escape;
use super::figures::{Figure, Subject};
use crate::analysis::number::shown;
use crate::analysis::student;
use crate::search::journal::State;
use crate::search::ranking;

/// Trials in the table of the best.
const BEST: usize = 4;

const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2330;--muted:#5a6170;--rule:#e4e7ed}\
@media(prefers-color-scheme:dark){:root{--paper:#14171e;--ink:#e7e9ef;--muted:#a5acba;--rule:#2e3440}}\
body{background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif;max-width:76rem;margin:0 auto;padding:1.5rem}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem;border-top:1px solid var(--rule);padding-top:1.2rem}\
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:1.2rem}\
figure{margin:0;break-inside:avoid}figcaption{color:var(--muted);font-size:.86rem}svg{width:100%;height:auto;display:block}\
.wide{overflow-x:auto;margin-bottom:1.2rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}\
th,td{text-align:right;padding:.25rem .8rem;border-bottom:1px solid var(--rule);white-space:nowrap}th:first-child,td:first-child{text-align:left;padding-left:0}\
th{color:var(--muted);font-weight:600}\
@media print{body{max-width:none;padding:0;font-size:11pt}}";

/// The page of some studies of a file.
pub(super) fn page(title: &str, subjects: &[(Subject<'_>, Vec<Figure>)]) -> String {
    let mut body = format!("<h1>{}</h1>\n", escape(title));
    for (subject, figures) in subjects {
        body += &section(*subject, figures);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{}</title><style>{STYLE}</style></head>\n<body>\n{body}</body></html>\n",
        escape(title)
    )
}

fn section(subject: Subject<'_>, figures: &[Figure]) -> String {
    let mut html = format!(
        "<h2>{}</h2>\n<p>{}</p>\n",
        escape(&subject.study.name),
        escape(&answer(subject))
    );
    let table = match subject.series() {
        Some((name, choices)) => series_table(subject, name, choices),
        None => best_table(subject),
    };
    html +=
        &format!("<div class=\"wide\"><table>\n{table}</table></div>\n<div class=\"figures\">\n");
    for figure in figures {
        html += &format!(
            "<figure>\n{}<figcaption>{}</figcaption></figure>\n",
            figure.svg,
            escape(&figure.caption)
        );
    }
    html + "</div>\n"
}

/// What the study has found, in a sentence.
fn answer(subject: Subject<'_>) -> String {
    let count = |state: State| {
        subject
            .storage
            .trials(subject.study)
            .filter(|t| t.state() == state)
            .count()
    };
    let counts = format!(
        "{} trials complete, {} pruned, {} failed.",
        count(State::Complete),
        count(State::Pruned),
        count(State::Fail)
    );
    let Some(best) = ranking(subject.storage, subject.study).first().copied() else {
        return format!("Nothing is complete yet. {counts}");
    };
    let parameters: Vec<String> = subject
        .parameters()
        .iter()
        .filter_map(|(name, _)| Some(format!("{name} {}", shown(&best.parameter(name)?))))
        .collect();
    format!(
        "Best: {} with {} {:.4}. {counts}",
        parameters.join(", "),
        subject.objective(),
        best.value().unwrap_or(f64::NAN)
    )
}

fn row(tag: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells: String = cells
        .into_iter()
        .map(|cell| format!("<{tag}>{}</{tag}>", escape(&cell)))
        .collect();
    format!("<tr>{cells}</tr>\n")
}

fn series_table(subject: Subject<'_>, name: &str, choices: &[serde_json::Value]) -> String {
    let header = [
        name,
        "mean",
        "standard deviation",
        "95 % interval",
        "repeats",
    ];
    let mut html = row("th", header.map(str::to_owned));
    for value in choices {
        let mut trials = subject.storage.trials(subject.study);
        let trial =
            trials.find(|t| t.parameter(name).as_ref() == Some(value) && t.state().has_result());
        let repeats = trial.map_or_else(Vec::new, |t| subject.repeats(t));
        let mean = student::mean(&repeats);
        let blank = || "–".to_owned();
        let cells = [
            shown(value),
            mean.map_or_else(blank, |m| format!("{:.4}", m.mean)),
            mean.and_then(|m| m.deviation)
                .map_or_else(blank, |d| format!("{d:.4}")),
            mean.and_then(|m| m.interval)
                .map_or_else(blank, |i| format!("{:.4} to {:.4}", i.low, i.high)),
            repeats
                .iter()
                .map(|x| format!("{x:.4}"))
                .collect::<Vec<_>>()
                .join(" "),
        ];
        html += &row("td", cells);
    }
    html
}

fn best_table(subject: Subject<'_>) -> String {
    let parameters = subject.parameters();
    let names = parameters.iter().map(|(name, _)| (*name).to_owned());
    let mut html = row(
        "th",
        ["trial".to_owned()]
            .into_iter()
            .chain(names)
            .chain([subject.objective().to_owned()]),
    );
    for trial in ranking(subject.storage, subject.study)
        .into_iter()
        .take(BEST)
    {
        let values = parameters.iter().map(|(name, _)| {
            trial
                .parameter(name)
                .as_ref()
                .map_or_else(|| "–".into(), shown)
        });
        let value = format!("{:.4}", trial.value().unwrap_or(f64::NAN));
        html += &row(
            "td",
            [trial.number.to_string()]
                .into_iter()
                .chain(values)
                .chain([value]),
        );
    }
    html
}
