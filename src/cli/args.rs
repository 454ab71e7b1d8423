//! The commands and what they take.

use clap::{Parser, Subcommand};

use super::{
    analyze, bench, completions, data, doctor, eval, explain, gradcheck, lr_find, predict, report,
    runs, search, study, sweep, train, verify,
};

/// Train multilayer perceptrons, fast on a CPU, with backpropagation written by hand and every gradient checked.
#[derive(Debug, Parser)]
#[command(name = "chainrule", version, about, max_term_width = 100)]
#[command(
    after_help = "Environment: CHAINRULE_DATA names the default data set; CHAINRULE_KERNEL=portable|avx2|avx512|neon forces an instruction set; RAYON_NUM_THREADS sets the default of --threads; NO_COLOR turns colours off.\n\nExit codes: 0 done, 1 failed, 2 bad usage or bad input, 130 interrupted."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network; without flags 784-500-10 on Fashion-MNIST
    Train(Box<train::TrainArgs>),
    /// Evaluate a model on labelled data: accuracy, loss, scores per class, confusion matrix
    Eval(eval::EvalArgs),
    /// Show which classes a model confuses, alone or beside another model's predictions
    Analyze(analyze::AnalyzeArgs),
    /// Say the classes, numbers or labels of a file's rows, or of PNG images
    Predict(predict::PredictArgs),
    /// Run the whole study: vary six settings one at a time, search all of them, train a final model, write a report
    Study(Box<study::StudyArgs>),
    /// Vary one setting at a time, with repeats
    Sweep(Box<sweep::SweepArgs>),
    /// Search for good settings: give ranges instead of values; several processes can share one study file
    Search(Box<search::SearchArgs>),
    /// Write a report of a study or a run as a web page with charts and tables
    Report(report::ReportArgs),
    /// List and compare runs
    Runs(runs::RunsArgs),
    /// Train a run again, and say whether every weight has the same bits
    Verify(verify::VerifyArgs),
    /// Say what is wrong with a run, by which figures, and which flag to try
    Doctor(doctor::DoctorArgs),
    /// Find a learning rate: one short training in which the rate rises from batch to batch
    LrFind(Box<lr_find::LrFindArgs>),
    /// Show every number of a training step, with the sum that made it
    Explain(Box<explain::ExplainArgs>),
    /// Check every gradient of a network against central differences
    Gradcheck(Box<gradcheck::GradcheckArgs>),
    /// Measure this machine's peak, and the share of it that matrix products and training steps reach
    Bench(bench::BenchArgs),
    /// Describe, verify or show a data set
    Data {
        /// What to do with it.
        #[command(subcommand)]
        command: data::DataCommand,
    },
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    /// Every number behind a flag of any command is accepted, or refused by the flag's name.
    #[test]
    fn numbers_are_refused_by_their_flag() {
        let numbers = [
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
            TypeId::of::<f64>(),
        ];
        let mut cases = 0;
        let program = Cli::command();
        for command in program.get_subcommands() {
            let is_number = |arg: &&clap::Arg| {
                let kind = arg.get_value_parser().type_id();
                numbers.iter().any(|number| kind == *number)
            };
            for arg in command.get_arguments().filter(is_number) {
                let flag = format!("--{}", arg.get_long().unwrap());
                for text in [
                    "-1",
                    "0",
                    "-0",
                    "nan",
                    "inf",
                    "-inf",
                    "65536",
                    "4294967296",
                    "18446744073709551616",
                ] {
                    let line = ["chainrule", command.get_name(), &flag, text];
                    let Err(error) = program.clone().try_get_matches_from(line) else {
                        continue;
                    };
                    cases += 1;
                    let value = format!("invalid value '{text}' for '{flag} ");
                    let named = error.to_string().contains(&value);
                    assert!(
                        named || error.kind() == ErrorKind::MissingRequiredArgument,
                        "{line:?}: {error}"
                    );
                    assert_eq!(error.exit_code(), 2);
                }
            }
        }
        assert!(cases > 200, "{cases}");
    }
}
