//! `report`: a study or a run as a page.

use std::path::PathBuf;

use clap::Args;

use super::final_model::write_report;
use super::output;
use crate::error::Result;
use crate::report;
use crate::text::printable::printable_path;

/// What `report` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes report.html, which works without network and scripts, and figures/ with each chart as SVG and its numbers as CSV.

Examples:
  chainrule report studies/full                  # the folder of a study
  chainrule report runs/run-0001                 # the folder of a run; --watch adds charts of its layers
  chainrule report search.journal --out report   # a study file of sweep or search")]
pub struct ReportArgs {
    /// Folder of a study or of a run, or a study file of sweep or search
    #[arg(value_name = "STUDY")]
    study: PathBuf,
    /// Folder to write to [default: report/ in the study's or run's folder, or the study file's name with .report]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &ReportArgs) -> Result<()> {
    let beside = || match args.study.is_dir() {
        true => args.study.join(report::REPORT),
        false => args.study.with_extension("report"),
    };
    let out = args.out.clone().unwrap_or_else(beside);
    let page = write_report(&args.study, &out)?;
    output::print(&format!("{}\n", printable_path(&page)))
}
