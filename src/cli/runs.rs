//! `runs`: lists run directories and compares them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::output;
use crate::error::{Error, Result};
use crate::settings::Settings;
use crate::text::table;
use crate::train::{Overview, RunDir};

/// Where `train` puts its runs.
const FOLDER: &str = "runs";
/// What is shown of every run.
const COLUMNS: [&str; 8] = [
    "name",
    "status",
    "epochs",
    "best_epoch",
    "val_accuracy",
    "val_loss",
    "test_accuracy",
    "seconds",
];

/// What `runs` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Settings in which the listed runs differ get a column each. An unfinished run is still running, or
was killed. Seconds are those of training alone, without validation and files.

Examples:
  chainrule runs
  chainrule runs --sort val_accuracy
  chainrule runs runs/run-0001 experiments/wide --json")]
pub struct RunsArgs {
    /// Folders of runs, or runs themselves [default: runs]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Order by a column or by a setting as in model.width; accuracies from high to low, all else from low to high
    #[arg(long, value_name = "COLUMN", default_value = "name")]
    sort: String,
    /// Print one JSON object, and nothing else, on standard output
    #[arg(long)]
    json: bool,
}

/// A folder with what was found in it.
struct Listed {
    path: PathBuf,
    found: Result<Overview>,
    /// Its settings by "section.key".
    settings: BTreeMap<String, String>,
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    runs: Vec<Entry<'a>>,
    differing_settings: Vec<&'a str>,
}

/// A run. What it does not have is null, and so is everything about a folder that cannot be read but its problem.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    name: String,
    run_dir: &'a Path,
    status: &'static str,
    problem: Option<String>,
    epochs: Option<u32>,
    best_epoch: Option<u32>,
    val_accuracy: Option<f64>,
    val_loss: Option<f64>,
    test_accuracy: Option<f64>,
    test_loss: Option<f64>,
    seconds: Option<f64>,
    settings: Option<&'a Settings>,
}

/// Runs the command.
pub(super) fn run(args: &RunsArgs) -> Result<()> {
    let mut listed: Vec<Listed> = find(&args.paths)?.into_iter().map(Listed::new).collect();
    if listed.is_empty() {
        let places: Vec<String> = args.paths.iter().map(|p| p.display().to_string()).collect();
        let places = if places.is_empty() {
            FOLDER.to_owned()
        } else {
            places.join(", ")
        };
        output::note(&format!("no runs in {places}"));
    } else {
        let column = column(&args.sort, &listed)?;
        listed.sort_by(|a, b| a.compare(b, &column).then_with(|| a.path.cmp(&b.path)));
    }
    let differing = differing(&listed);
    if args.json {
        return output::print_json(&Report {
            runs: listed.iter().map(Listed::entry).collect(),
            differing_settings: differing,
        });
    }
    output::print(&in_words(&listed, &differing))
}

/// The folders to list: those given if they are runs, else the folders in them.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let default = [PathBuf::from(FOLDER)];
    let paths = match paths {
        [] if !default[0].exists() => return Ok(Vec::new()),
        [] => &default,
        paths => paths,
    };
    let mut found = Vec::new();
    for path in paths {
        if RunDir::open(path).is_ok() {
            found.push(path.clone());
            continue;
        }
        // Reading the folder is what says that it is missing.
        let entries = fs::read_dir(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotADirectory => {
                Error::format(path, "path", "a run or a folder of runs", "a file")
            }
            _ => Error::io("read", path, e),
        })?;
        for entry in entries {
            let path = entry.map_err(|e| Error::io("read", path, e))?.path();
            if path.is_dir() {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// What a cell holds.
enum Value {
    Text(String),
    Count(u32),
    /// With so many decimals.
    Number(f64, usize),
}

impl Value {
    fn show(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Count(n) => n.to_string(),
            Value::Number(x, decimals) => format!("{x:.decimals$}"),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Value::Text(text) => text.parse().ok(),
            Value::Count(n) => Some(f64::from(*n)),
            Value::Number(x, _) => Some(*x),
        }
    }
}

/// A setting's value with an exponent where it would be long without.
fn shorten(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(x) if text.len() > 8 => format!("{x:e}"),
        _ => text.to_owned(),
    }
}

impl Listed {
    fn new(path: PathBuf) -> Self {
        let found = RunDir::open(&path).and_then(|run| run.overview());
        let settings = found.as_ref().map(|run| run.settings.flat());
        Listed {
            settings: settings.unwrap_or_default(),
            path,
            found,
        }
    }

    fn status(&self) -> &'static str {
        self.found
            .as_ref()
            .map_or("broken", |run| run.status.name())
    }

    fn value(&self, column: &str) -> Option<Value> {
        let number = |x: Option<f64>, decimals| x.map(|x| Value::Number(x, decimals));
        match (column, &self.found) {
            ("name", _) => Some(Value::Text(self.path.display().to_string())),
            ("status", _) => Some(Value::Text(self.status().to_owned())),
            (_, Err(_)) => None,
            ("epochs", Ok(run)) => Some(Value::Count(run.epochs)),
            ("best_epoch", Ok(run)) => run.best_epoch.map(Value::Count),
            ("val_accuracy", Ok(run)) => number(run.val_accuracy, 4),
            ("val_loss", Ok(run)) => number(run.val_loss, 4),
            ("test_accuracy", Ok(run)) => number(run.test_accuracy, 4),
            ("seconds", Ok(run)) => number(Some(run.seconds), 2),
            (key, Ok(_)) => {
                let text = self.settings.get(key)?.trim_matches('"');
                Some(Value::Text(shorten(text)))
            }
        }
    }

    /// The order in a column: absent values last, numbers by size.
    fn compare(&self, other: &Self, column: &str) -> Ordering {
        let (Some(a), Some(b)) = (self.value(column), other.value(column)) else {
            let absent = |run: &Self| run.value(column).is_none();
            return absent(self).cmp(&absent(other));
        };
        let order = match (a.number(), b.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => a.show().cmp(&b.show()),
        };
        if column.ends_with("_accuracy") {
            order.reverse()
        } else {
            order
        }
    }

    fn entry(&self) -> Entry<'_> {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let run = self.found.as_ref().ok();
        Entry {
            name,
            run_dir: &self.path,
            status: self.status(),
            problem: self.found.as_ref().err().map(ToString::to_string),
            epochs: run.map(|run| run.epochs),
            best_epoch: run.and_then(|run| run.best_epoch),
            val_accuracy: run.and_then(|run| run.val_accuracy),
            val_loss: run.and_then(|run| run.val_loss),
            test_accuracy: run.and_then(|run| run.test_accuracy),
            test_loss: run.and_then(|run| run.test_loss),
            seconds: run.map(|run| run.seconds),
            settings: run.map(|run| &run.settings),
        }
    }
}

/// The column that the user means: one of every run's, or a setting by its key with or without section.
fn column(name: &str, listed: &[Listed]) -> Result<String> {
    let name = name.replace('-', "_");
    if COLUMNS.contains(&name.as_str()) {
        return Ok(name);
    }
    let keys: BTreeSet<&String> = listed.iter().flat_map(|l| l.settings.keys()).collect();
    let meant: Vec<&&String> = keys
        .iter()
        .filter(|key| **key == &name || last_part(key) == name)
        .collect();
    match meant[..] {
        [key] => Ok(key.to_string()),
        [] => {
            let columns = COLUMNS.join(", ");
            let message = format!("expected {columns} or a setting of the runs, found {name}");
            Err(Error::setting("sort", message))
        }
        [a, b, ..] => {
            let message = format!("expected one setting, found {name}, which may be {a} or {b}");
            Err(Error::setting("sort", message))
        }
    }
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// The settings that are not the same in all runs.
fn differing(listed: &[Listed]) -> Vec<&str> {
    let readable: Vec<&Listed> = listed.iter().filter(|l| l.found.is_ok()).collect();
    let keys: BTreeSet<&String> = readable.iter().flat_map(|l| l.settings.keys()).collect();
    let differs = |key: &&&String| {
        let mut values = readable.iter().map(|l| l.settings.get(key.as_str()));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    keys.iter()
        .filter(differs)
        .map(|key| key.as_str())
        .collect()
}

fn in_words(listed: &[Listed], differing: &[&str]) -> String {
    if listed.is_empty() {
        return String::new();
    }
    // A setting goes by its key alone where that is not ambiguous.
    let header = |key: &&str| {
        let short = last_part(key);
        let others = COLUMNS
            .iter()
            .chain(differing)
            .map(|other| last_part(other));
        if others.filter(|other| *other == short).count() > 1 {
            (*key).to_owned()
        } else {
            short.to_owned()
        }
    };
    let fixed = COLUMNS.iter().map(|&column| column.to_owned());
    let mut rows = vec![fixed.chain(differing.iter().map(header)).collect()];
    rows.extend(listed.iter().map(|run| {
        let columns = COLUMNS.iter().chain(differing);
        let cell = |column: &&str| run.value(column).map_or("-".into(), |value| value.show());
        columns.map(cell).collect::<Vec<String>>()
    }));
    let mut text = table::align(&rows, 2);
    let mut problems = listed
        .iter()
        .filter_map(|l| l.found.as_ref().err())
        .peekable();
    if problems.peek().is_some() {
        text.push('\n');
    }
    for problem in problems {
        text += &format!("{problem}\n");
    }
    text
}
