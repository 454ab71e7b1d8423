//! `report`: a study file as a page.

use std::path::PathBuf;

use clap::Args;

use super::output;
use crate::error::Result;
use crate::report;

/// What `report` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes report.html, which needs neither network nor script, and figures/ with each chart as SVG and its numbers as CSV.

Example:
  chainrule report search.journal --out report")]
pub struct ReportArgs {
    /// Study file of sweeps and searches
    #[arg(value_name = "STUDY")]
    study: PathBuf,
    /// Folder to write to [default: the study file's name with .report]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &ReportArgs) -> Result<()> {
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| args.study.with_extension("report"));
    let page = report::write(&args.study, &out)?;
    output::print(&format!("{}\n", page.display()))
}
