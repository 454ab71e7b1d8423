//! `doctor`: what is wrong with a run, and which flag to try.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::output;
use crate::doctor::{Diagnosis, Finding, LookedAt, examine};
use crate::error::Result;
use crate::settings::utf8_path;
use crate::text::printable::printable_path;
use crate::text::table::align;
use crate::train::{FoldsDir, RunDir};

/// What `doctor` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Looks for: diverged, rate_too_high, rate_too_low, dead_units, vanishing_gradients, exploding_gradients, overfitting,
underfitting, constant_features, rare_classes. Each is found by a figure beyond a limit; all figures are shown. Dead
units, gradients by depth and the size of the updates need a run that was trained with --watch. The data are read
again for the last two, if they are still where they were. The exit code is 0, whether something was found or not.

Examples:
  chainrule train --watch && chainrule doctor runs/run-0001
  chainrule doctor runs/run-0001 --json")]
pub struct DoctorArgs {
    /// Folder of a run, or of the runs of --folds
    #[arg(value_name = "RUN", value_parser = utf8_path())]
    run: PathBuf,
    /// Print only one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// The object that `--json` prints: of a run, or of the run of each fold.
#[derive(Debug, Serialize)]
struct DoctorReport {
    runs: Vec<DiagnosedRun>,
}

/// A run that was examined.
#[derive(Debug, Serialize)]
struct DiagnosedRun {
    run_dir: PathBuf,
    #[serde(flatten)]
    diagnosis: Diagnosis,
}

/// Runs the command.
pub(super) fn run(args: &DoctorArgs) -> Result<()> {
    let folders = match FoldsDir::open(&args.run) {
        Some(folds) => folds.run_dirs(),
        None => vec![args.run.clone()],
    };
    let mut report = DoctorReport { runs: Vec::new() };
    for run_dir in folders {
        let diagnosis = examine(&RunDir::open(&run_dir)?)?;
        report.runs.push(DiagnosedRun { run_dir, diagnosis });
    }
    match args.json {
        true => output::print_json(&report),
        false => {
            let texts = report.runs.iter().map(DiagnosedRun::in_words);
            output::print(&texts.collect::<Vec<_>>().join("\n"))
        }
    }
}

impl DiagnosedRun {
    fn in_words(&self) -> String {
        let Diagnosis {
            findings,
            looked_at,
            not_judged,
        } = &self.diagnosis;
        let run = printable_path(&self.run_dir);
        let mut text = match findings.len() {
            0 => format!("{run}: nothing found\n"),
            1 => format!("{run}: 1 finding\n"),
            count => format!("{run}: {count} findings\n"),
        };
        for finding in findings {
            text += &finding_in_words(finding);
        }
        if !looked_at.is_empty() {
            let header = ["", "figure", "value", "", "limit"]
                .map(str::to_owned)
                .to_vec();
            let row = |by: &LookedAt| {
                let is_found = findings.iter().any(|finding| finding.by == *by);
                vec![
                    if is_found { "!" } else { " " }.to_owned(),
                    by.figure.to_owned(),
                    shown(by.value),
                    if by.is_above { "at most" } else { "at least" }.to_owned(),
                    shown(by.limit),
                ]
            };
            let rows: Vec<_> = [header]
                .into_iter()
                .chain(looked_at.iter().map(row))
                .collect();
            text += &format!("\nlooked at\n{}", align(&rows, 2));
        }
        if !not_judged.is_empty() {
            let rows: Vec<_> = not_judged
                .iter()
                .map(|rule| vec![String::new(), rule.figure.to_owned(), rule.why.clone()])
                .collect();
            text += &format!("\nnot judged\n{}", align(&rows, 3));
        }
        text
    }
}

fn finding_in_words(finding: &Finding) -> String {
    let by = &finding.by;
    let place = by
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!(" ({place})"));
    let side = if by.is_above { "above" } else { "below" };
    format!(
        "\n{}: {}\n  by:   {} is {}{place}, {side} {}\n  try:  {}\n",
        by.name,
        finding.meaning,
        by.figure,
        shown(by.value),
        shown(by.limit),
        finding.advice
    )
}

/// A figure with three digits.
fn shown(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        x if (0.01..1e4).contains(&x.abs()) => {
            let digits = 2 - libm::floor(libm::log10(x.abs())) as i32;
            let text = format!("{x:.*}", digits.max(0) as usize);
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
        x => format!("{x:.1e}"),
    }
}
