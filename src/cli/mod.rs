//! The command line: one file or folder per command. Settings come from defaults, then `--config FILE.toml`, then
//! flags.

mod analyze;
mod args;
mod bench;
mod completions;
mod data;
mod doctor;
mod eval;
mod evaluated;
mod explain;
mod final_model;
mod folds;
mod gradcheck;
mod interrupt;
mod lr_find;
mod model;
mod output;
mod predict;
mod progress;
mod ranges;
mod report;
mod runs;
mod search;
mod search_common;
mod search_progress;
mod study;
mod sweep;
mod train;
mod verify;

use std::process::ExitCode;

use clap::Parser;

pub use args::{Cli, Command};

use crate::error::Result;
use crate::simd::InstructionSet;

/// Parses the arguments, runs the command, and returns an exit code: 0 done, 1 failed, 2 bad usage or bad input,
/// 130 interrupted.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let code = ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
            output::usage(e);
            return code;
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if output::is_closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            output::error(&e);
            ExitCode::from(e.exit_code())
        }
    }
}

fn run(command: Command) -> Result<()> {
    InstructionSet::chosen()?;
    match command {
        Command::Train(args) => train::run(*args),
        Command::Eval(args) => eval::run(&args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Study(args) => study::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::LrFind(args) => lr_find::run(&args),
        Command::Data { command } => data::run(command),
        Command::Explain(args) => explain::run(&args),
        Command::Gradcheck(args) => gradcheck::run(*args),
        Command::Bench(args) => bench::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}
