//! The flags of `train` where each may also be a range or a list of choices.

use std::collections::BTreeMap;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Parser};

use crate::error::{Error, Result};
use crate::search::Space;
use crate::settings::Settings;

/// The value of each given flag, as text.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    /// Values by the flag's name without leading dashes.
    given: BTreeMap<String, String>,
}

/// Flags of `train` that a search does not have.
const OWN: [&str; 1] = ["test"];

/// Parses a text in UTF-8. An error names the flag.
fn utf8_text() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new()
        .try_map(|text| text.into_string().map_err(|_| "expected a text in UTF-8"))
}

fn flags() -> impl Iterator<Item = Arg> {
    let command = Settings::augment_args(Command::new("train"));
    let arguments: Vec<Arg> = command.get_arguments().cloned().collect();
    arguments
        .into_iter()
        .filter(|a| a.get_long().is_some_and(|long| !OWN.contains(&long)))
}

impl Args for Ranges {
    fn augment_args(command: Command) -> Command {
        let plain = |flag: Arg| {
            let long = flag.get_long().unwrap_or_default().to_owned();
            let name = flag
                .get_value_names()
                .map(|names| names.to_vec())
                .unwrap_or_default();
            let mut copy = Arg::new(long.clone())
                .long(long)
                .value_names(name)
                .action(ArgAction::Set)
                .value_parser(utf8_text());
            copy = match flag.get_num_args() {
                // A truth value: it may be left out.
                Some(count) if count.min_values() == 0 => {
                    copy.num_args(0..=1).default_missing_value("true")
                }
                _ => copy.allow_hyphen_values(true),
            };
            if let Some(help) = flag.get_help() {
                copy = copy.help(help.clone());
            }
            if let Some(heading) = flag.get_help_heading() {
                copy = copy.help_heading(heading.to_owned());
            }
            copy
        };
        command.args(flags().map(plain))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Ranges {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut ranges = Ranges::default();
        ranges.update_from_arg_matches(matches)?;
        Ok(ranges)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for flag in flags() {
            let long = flag.get_long().unwrap_or_default();
            if let Some(text) = matches.get_one::<String>(long) {
                self.given.insert(long.to_owned(), text.clone());
            }
        }
        Ok(())
    }
}

/// Single values, parsed as `train` parses them.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Fixed {
    #[command(flatten)]
    settings: Settings,
}

impl Ranges {
    /// Adds ranges and choices to `space`, and returns the single values.
    ///
    /// # Errors
    /// If a value is not valid. The error names its flag.
    pub(super) fn split(&self, space: &mut Space) -> Result<Settings> {
        let mut fixed = Vec::new();
        for (flag, text) in &self.given {
            if !(Space::knows(flag) && space.add(flag, text)?) {
                fixed.push(format!("--{flag}={text}"));
            }
        }
        let parsed = Fixed::try_parse_from(&fixed);
        parsed.map(|fixed| fixed.settings).map_err(|e| {
            let text = e.to_string();
            let first = text.lines().next().unwrap_or_default();
            Error::setting("flags", first.trim_start_matches("error: ").to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    #[command(no_binary_name = true)]
    struct Cli {
        #[command(flatten)]
        ranges: Ranges,
    }

    fn split(line: &[&str]) -> Result<(Space, Settings)> {
        let mut space = Space::default();
        let settings = Cli::try_parse_from(line)
            .unwrap()
            .ranges
            .split(&mut space)?;
        Ok((space, settings))
    }

    #[test]
    fn ranges_and_values_are_told_apart() {
        let (space, settings) = split(&[
            "--lr",
            "1e-4..1e-1:log",
            "--epochs",
            "3",
            "--activation",
            "relu,tanh",
            "--widths",
            "256,128",
            "--batch-norm",
            "--data=here",
            "--seed",
            "4",
        ])
        .unwrap();
        let names: Vec<_> = space.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["activation", "lr"]);
        assert_eq!(
            (settings.train.epochs, settings.train.seed),
            (Some(3), Some(4))
        );
        assert_eq!(
            (settings.model.widths, settings.data.path),
            (Some(vec![256, 128]), Some("here".into()))
        );
        assert_eq!(settings.model.batch_norm, Some(true));
    }

    #[test]
    fn mistakes_are_those_of_train() {
        for (line, word) in [
            (["--epochs", "many"], "many"),
            (["--activation", "rely"], "rely"),
            (["--lr", "2..1"], "lr"),
            (["--seed", "1..3"], "1..3"),
        ] {
            let error = split(&line).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
