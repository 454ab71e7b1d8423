//! The commands and what they take.

use clap::{Parser, Subcommand};

use super::{data, gradcheck, train};

/// A multilayer-perceptron engine written by hand: explicit backpropagation on a laptop CPU.
#[derive(Debug, Parser)]
#[command(name = "chainrule", version, about, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 bad usage or bad input, 130 interrupted.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network; Fashion-MNIST and the study's base configuration by default
    Train(Box<train::TrainArgs>),
    /// Check every gradient of a network against central differences
    Gradcheck(Box<gradcheck::GradcheckArgs>),
    /// Describe, verify or show a data set
    Data {
        /// What to do with it.
        #[command(subcommand)]
        command: data::DataCommand,
    },
}
