//! The page: one HTML file with everything in it, without network and script. It is well-formed XML too, which shows
//! that no text breaks out of its element.

use super::commands::command;
use super::figure::Figure;
use super::final_model::FinalModel;
use super::headline::headline;
use super::html::{self, escape};
use super::section::{SeriesSection, StudySection};
use crate::data::Task;
use crate::search::journal::Trial;
use crate::search::shortened_batches;
use crate::search::sweep::{Cell, pooling_note};
use crate::text::number::shown;

/// Trials in the table of the best.
const BEST: usize = 4;

const STYLE: &str = "\
:root{color-scheme:light;--paper:#fff;--ink:#1d2330;--muted:#5a6170;--rule:#e4e7ed;--link:#2563c9}\
@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark;--paper:#14171e;--ink:#e7e9ef;--muted:#a5acba;--rule:#2e3440;--link:#7fb0ff}}\
body{background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif;max-width:76rem;margin:0 auto;padding:1.5rem;overflow-wrap:anywhere}\
h1{font-size:1.6rem;margin:0 0 .6rem}h2{font-size:1.25rem;margin-top:2.4rem;border-top:1px solid var(--rule);padding-top:1.2rem}h3{font-size:1rem;margin:1.6rem 0 .6rem}\
h1,h2,h3,h2+p,.label{break-after:avoid}.question{font-size:1.1rem;color:var(--muted)}.result strong{font-size:1.9rem}.note,.label,footer{color:var(--muted);font-size:.86rem}\
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,28rem),1fr));gap:1.2rem;margin-bottom:1.2rem}\
figure{margin:0 0 1.2rem;break-inside:avoid}.figures figure{margin:0}figcaption{color:var(--muted);font-size:.86rem}svg{width:100%;height:auto;display:block}a{color:var(--link)}\
.broad figure>div{overflow-x:auto}.broad svg{min-width:44rem}\
.wide{overflow-x:auto;margin-bottom:1.2rem;background:linear-gradient(90deg,var(--paper) 1rem,transparent 2rem) local,linear-gradient(270deg,var(--paper) 1rem,transparent 2rem) local,linear-gradient(90deg,var(--rule),transparent 1rem),linear-gradient(270deg,var(--rule),transparent 1rem)}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}\
th,td{text-align:right;padding:.25rem .8rem;border-bottom:1px solid var(--rule);white-space:nowrap}th:first-child,td:first-child{text-align:left;padding-left:0}\
th{color:var(--muted);font-weight:600}tr{break-inside:avoid}\
@media screen and (max-width:40rem){th,td{white-space:normal;overflow-wrap:normal;padding:.25rem .3rem;font-size:.8rem}}\
pre{background:color-mix(in srgb,var(--muted) 10%,transparent);padding:.7rem .9rem;border-radius:.4rem;font-size:.84rem;line-height:1.45;white-space:pre-wrap;overflow-wrap:anywhere}pre.settings{columns:15rem}\
@media print{body{max-width:none;padding:0;font-size:10pt}.wide{overflow:visible;break-inside:avoid}th,td{padding:.15rem .5rem;white-space:normal}table{font-size:.82rem}.broad svg{min-width:0}.figures{grid-template-columns:1fr 1fr}figcaption a{display:none}}";

/// The parts of the page.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// The studies of the file, each with its charts.
    pub(super) studies: Vec<(StudySection<'a>, Vec<Figure>)>,
    /// The final model, if there is one, with its charts.
    pub(super) final_model: Option<(FinalModel, Vec<Figure>)>,
}

impl Page<'_> {
    /// All charts.
    pub(super) fn figures(&self) -> impl Iterator<Item = &Figure> {
        let model = self.final_model.iter().flat_map(|(_, figures)| figures);
        self.studies
            .iter()
            .flat_map(|(_, figures)| figures)
            .chain(model)
    }

    /// The page.
    pub(super) fn html(&self) -> String {
        let sections: Vec<StudySection<'_>> = self.studies.iter().map(|(s, _)| *s).collect();
        let model = self.final_model.as_ref().map(|(model, _)| model);
        let body = format!(
            "{}{}{}{}{}",
            headline(&sections, model),
            self.series(),
            self.searches(),
            self.final_model
                .as_ref()
                .map_or_else(String::new, |(model, figures)| final_model_section(
                    model, figures
                )),
            repeat(&sections, model)
        );
        document(self.title, &body)
    }

    fn series(&self) -> String {
        let mut out = String::new();
        for (section, figures) in &self.studies {
            if let Some(series) = section.series() {
                out += &format!(
                    "<h3>{}</h3>\n{}{}",
                    escape(series.name),
                    html::figures(figures),
                    values(&series)
                );
            }
        }
        match out.as_str() {
            "" => out,
            _ => format!("<h2>One setting at a time</h2>\n{out}"),
        }
    }

    fn searches(&self) -> String {
        let mut out = String::new();
        let searches = self.studies.iter().filter(|(s, _)| s.series().is_none());
        for (section, figures) in searches {
            out += &format!(
                "<h2>All settings at once: {}</h2>\n{}{}",
                escape(&section.study.name),
                best(section),
                html::figures(figures)
            );
        }
        out
    }
}

/// A whole page with a title.
pub(super) fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/><title>{title}</title><style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{body}<footer>chainrule {}</footer>\n</body></html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The values of a series.
fn values(series: &SeriesSection<'_>) -> String {
    let measure = series.section.objective();
    let header = [
        series.name,
        "mean",
        "standard deviation",
        "95 % interval",
        "repeats",
    ];
    let blank = || "–".to_owned();
    let row = |cell: &Cell| {
        let repeats: Vec<String> = cell.repeats.iter().map(|&x| measure.format(x)).collect();
        let mean = cell.mean;
        vec![
            shown(&cell.value),
            mean.map_or_else(blank, |m| measure.format(m.mean)),
            mean.and_then(|m| m.deviation)
                .map_or_else(blank, |d| measure.format(d)),
            mean.and_then(|m| m.interval).map_or_else(blank, |i| {
                format!("{} to {}", measure.format(i.low), measure.format(i.high))
            }),
            match cell.diverged {
                true => "diverged".into(),
                false => repeats.join(" "),
            },
        ]
    };
    let cells = series.cells(measure);
    let table = html::table(&header, cells.iter().map(row));
    let pooled = pooling_note(&cells, |deviation| measure.format(deviation));
    let notes = [pooled, shortened(&series.section)];
    let notes = notes.iter().flatten();
    format!(
        "{}{table}{}",
        html::paragraph("label", &html::sentence(&measure.title())),
        notes
            .map(|note| html::paragraph("note", note))
            .collect::<String>()
    )
}

/// What became of batches that were larger than the training part.
fn shortened(section: &StudySection<'_>) -> Option<String> {
    shortened_batches(section.storage, section.study)
}

/// The best trials of a search, with the seeds of their runs.
fn best(section: &StudySection<'_>) -> String {
    let parameters = section.parameters();
    let names = parameters.iter().map(|(name, _)| *name);
    let measure = section.objective();
    let title = measure.title();
    let header: Vec<&str> = ["trial"]
        .into_iter()
        .chain(names)
        .chain([title.as_str(), "seed"])
        .collect();
    let row = |trial: &&Trial| {
        let values = parameters.iter().map(|(name, _)| {
            trial
                .parameter(name)
                .as_ref()
                .map_or_else(|| "–".into(), shown)
        });
        let seeds = trial
            .content
            .user_attrs
            .get("seeds")
            .and_then(|s| s.as_array());
        let seeds: Vec<String> = seeds
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        let value = measure.format(trial.value().unwrap_or(f64::NAN));
        [trial.number.to_string()]
            .into_iter()
            .chain(values)
            .chain([value, seeds.join(" ")])
            .collect()
    };
    let note = shortened(section).map(|note| html::paragraph("note", &note));
    html::table(&header, section.ranking().iter().take(BEST).map(row)) + &note.unwrap_or_default()
}

fn final_model_section(model: &FinalModel, figures: &[Figure]) -> String {
    let mut out = "<h2>The final model</h2>\n".to_owned();
    if let Some(summary) = &model.summary {
        let best = summary.best_epoch.map_or_else(String::new, |epoch| {
            format!("; the weights are those of epoch {epoch}")
        });
        let text = format!(
            "{}: {} parameters, {} epochs{best}.",
            summary.network, summary.parameters, summary.epochs_run
        );
        out += &html::paragraph("", &text);
    }
    out += &html::figures(figures);
    match &model.tested {
        Some(Ok(tested)) => out += &tested.details(),
        Some(Err(why)) => {
            let task = model
                .summary
                .as_ref()
                .map_or_else(Task::default, |s| s.task);
            let what = match task {
                Task::Classification => "What it takes for what",
                Task::Regression | Task::Multilabel => "What it says of the test set",
            };
            out += &html::paragraph("", &format!("{what} cannot be shown: {why}."));
        }
        None => {}
    }
    out
}

fn repeat(sections: &[StudySection<'_>], model: Option<&FinalModel>) -> String {
    let commands: Vec<String> = sections.iter().filter_map(command).collect();
    let mut out = "<h2>To repeat it</h2>\n".to_owned();
    if !commands.is_empty() {
        out += &html::paragraph(
            "",
            "The same seed gives the same numbers, on any number of threads. The seeds of all runs follow from these, and are in the CSV files:",
        );
        out += &html::lines("", commands.iter().map(String::as_str));
    }
    if let Some(model) = model {
        out += &html::paragraph(
            "",
            "The final model, by chainrule train --config FILE with these settings:",
        );
        out += &html::lines("settings", model.settings.trim().lines());
    }
    out
}
