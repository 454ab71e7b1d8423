//! `runs`: lists run directories and compares them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::{Map, json};

use super::output;
use crate::data::Task;
use crate::error::{Error, Result};
use crate::metrics::{DataPart, Metric, PartMetric};
use crate::settings::{Settings, utf8_path};
use crate::text::printable::printable;
use crate::text::table;
use crate::train::{Overview, RunDir};

/// The default folder of runs.
const FOLDER: &str = "runs";
/// The columns of every run before its metrics.
const FIRST: [&str; 4] = ["name", "status", "epochs", "best_epoch"];
/// The last column of every run.
const LAST: &str = "seconds";

/// The tasks of the runs. Where no run can be read, it is that of pictures.
fn tasks(listed: &[Listed]) -> Vec<Task> {
    let runs = listed.iter().filter_map(|l| l.found.as_ref().ok());
    let tasks: Vec<Task> = runs.map(|run| run.task).collect();
    if tasks.is_empty() {
        return vec![Task::default()];
    }
    tasks
}

/// The metrics of a part that are always measured of such runs, or were in one of them.
fn measured(listed: &[Listed], part: DataPart) -> impl Iterator<Item = PartMetric> {
    let tasks = tasks(listed);
    let of_part = Metric::ALL.into_iter().map(move |metric| metric.of(part));
    let runs = || listed.iter().filter_map(|l| l.found.as_ref().ok());
    of_part.filter(move |&m| {
        tasks.iter().any(|&task| m.metric.is_always_measured(task))
            || runs().any(|run| run.get(m).is_some())
    })
}

/// The columns of every run.
fn columns(listed: &[Listed]) -> Vec<String> {
    let tasks = tasks(listed);
    let is_main = |metric: &Metric| tasks.iter().any(|&task| Metric::main(task) == *metric);
    let main = Metric::ALL.into_iter().filter(is_main);
    let test = main.map(|metric| metric.of(DataPart::Test));
    let metrics = measured(listed, DataPart::Validation).chain(test);
    let metrics = metrics.map(PartMetric::name);
    let first = FIRST.into_iter().map(str::to_owned);
    first.chain(metrics).chain([LAST.to_owned()]).collect()
}

/// What `runs` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Each setting in which the listed runs differ has a column. An unfinished run was killed. Seconds are
training time, without validation and writing files.

Examples:
  chainrule runs
  chainrule runs --sort val_accuracy
  chainrule runs runs/run-0001 experiments/wide --json")]
pub struct RunsArgs {
    /// Runs, or folders of runs [default: runs]
    #[arg(value_name = "PATH", value_parser = utf8_path())]
    paths: Vec<PathBuf>,
    /// Order by a column or by a setting as in model.width; metrics from best to worst, all else from low to high
    #[arg(long, value_name = "COLUMN", default_value = "name")]
    sort: String,
    /// Print one JSON object, and nothing else, on standard output
    #[arg(long)]
    json: bool,
}

/// A folder, with its run or the error of reading it.
struct Listed {
    path: PathBuf,
    found: Result<Overview>,
    /// Its settings by "section.key".
    settings: BTreeMap<String, String>,
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct RunsReport<'a> {
    runs: Vec<RunEntry<'a>>,
    differing_settings: Vec<&'a str>,
}

/// A run. Values that it does not have are null. If a folder cannot be read, only its problem is not null.
#[derive(Debug, Serialize)]
struct RunEntry<'a> {
    name: String,
    run_dir: &'a Path,
    status: &'static str,
    problem: Option<String>,
    epochs: Option<u32>,
    best_epoch: Option<u32>,
    /// Metrics of the validation and the test part by name.
    #[serde(flatten)]
    metrics: Map<String, serde_json::Value>,
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
        let parts = [DataPart::Validation, DataPart::Test].into_iter();
        let metrics: Vec<PartMetric> = parts.flat_map(|part| measured(&listed, part)).collect();
        return output::print_json(&RunsReport {
            runs: listed.iter().map(|run| run.entry(&metrics)).collect(),
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
        // A missing folder is an error of `read_dir`.
        let entries = fs::read_dir(path).map_err(|e| match path.is_file() {
            true => Error::format(path, "path", "a run or a folder of runs", "a file"),
            false => Error::io("read", path, e),
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

/// The value of a cell.
enum RunCell {
    Text(String),
    Count(u32),
    Seconds(f64),
    Metric(PartMetric, f64),
}

impl RunCell {
    fn show(&self) -> String {
        match self {
            RunCell::Text(text) => text.clone(),
            RunCell::Count(n) => n.to_string(),
            RunCell::Seconds(x) => format!("{x:.2}"),
            RunCell::Metric(of_part, x) => of_part.metric.format(*x),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            RunCell::Text(text) => text.parse().ok(),
            RunCell::Count(n) => Some(f64::from(*n)),
            RunCell::Seconds(x) | RunCell::Metric(_, x) => Some(*x),
        }
    }

    /// The order in a table: text by letters, numbers by size, metrics from the best to the worst.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (RunCell::Metric(of_part, a), RunCell::Metric(_, b)) => {
                let direction = of_part.metric.direction();
                direction.cost(*a).total_cmp(&direction.cost(*b))
            }
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                _ => self.show().cmp(&other.show()),
            },
        }
    }
}

/// A setting's value. A long number is written with an exponent.
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

    fn cell(&self, column: &str) -> Option<RunCell> {
        let run = match (column, &self.found) {
            ("name", _) => return Some(RunCell::Text(self.path.display().to_string())),
            ("status", _) => return Some(RunCell::Text(self.status().to_owned())),
            (_, found) => found.as_ref().ok()?,
        };
        if let Some(of_part) = PartMetric::from_name(column) {
            return run.get(of_part).map(|x| RunCell::Metric(of_part, x));
        }
        match column {
            "epochs" => Some(RunCell::Count(run.epochs)),
            "best_epoch" => run.best_epoch.map(RunCell::Count),
            "seconds" => Some(RunCell::Seconds(run.seconds)),
            key => {
                let text = self.settings.get(key)?.trim_matches('"');
                Some(RunCell::Text(shorten(text)))
            }
        }
    }

    /// The order in a column: absent values last.
    fn compare(&self, other: &Self, column: &str) -> Ordering {
        match (self.cell(column), other.cell(column)) {
            (Some(a), Some(b)) => a.compare(&b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        }
    }

    fn entry(&self, metrics: &[PartMetric]) -> RunEntry<'_> {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let run = self.found.as_ref().ok();
        let value = |&of_part: &PartMetric| {
            let value = run.and_then(|run| run.get(of_part));
            (of_part.name(), json!(value))
        };
        RunEntry {
            name,
            run_dir: &self.path,
            status: self.status(),
            problem: self.found.as_ref().err().map(ToString::to_string),
            epochs: run.map(|run| run.epochs),
            best_epoch: run.and_then(|run| run.best_epoch),
            metrics: metrics.iter().map(value).collect(),
            seconds: run.map(|run| run.seconds),
            settings: run.map(|run| &run.settings),
        }
    }
}

/// The full name of a column: one of [`columns`], or a setting that is given by its key with or without section.
fn column(name: &str, listed: &[Listed]) -> Result<String> {
    let name = name.replace('-', "_");
    if columns(listed).contains(&name) {
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
            let columns = columns(listed).join(", ");
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
    let mut columns = columns(listed);
    columns.extend(differing.iter().map(|&key| key.to_owned()));
    // A setting is shown by its key without the section if no other column has that key.
    let header = |column: &String| {
        let short = last_part(column);
        let same = columns.iter().filter(|other| last_part(other) == short);
        match same.count() {
            1 => short.to_owned(),
            _ => column.clone(),
        }
    };
    let mut rows = vec![columns.iter().map(header).collect()];
    rows.extend(listed.iter().map(|run| {
        let cell = |column: &String| run.cell(column).map_or("-".into(), |cell| cell.show());
        columns.iter().map(cell).collect::<Vec<String>>()
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
        text += &format!("{}\n", printable(&problem.to_string()));
    }
    text
}
