//! What `search`, `sweep` and `study` have in common: their flags and settings, and the search itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::ranges::Ranges;
use super::search_progress::SearchProgress;
use crate::data::{self, Dataset, Fitted, LoadOptions, Task};
use crate::error::{Error, Result};
use crate::metrics::ValidationMetric;
use crate::search::{Finish, Search, Space, StudyTask};
use crate::settings::{
    Config, DataSettings, ModelSettings, OptimizerSettings, ScheduleSettings, Settings,
    TrainSettings, read_file, setting_error,
};
use crate::threads::thread_count;

/// The default of `--foreign-timeout`.
const FOREIGN_TIMEOUT: &str = "10m";

/// The flags that all three commands have.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// The metric of the validation part to search for [default: val_accuracy; for numbers val_rmse, for several labels
    /// val_f1_micro]
    #[arg(long, value_name = "NAME")]
    objective: Option<ValidationMetric>,
    /// Read settings from a TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print only one JSON object, at the end, on standard output
    #[arg(long)]
    pub(super) json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Go on without a running trial of another program, such as Optuna, after this time without news of it
    #[arg(long, value_name = "TIME", default_value = FOREIGN_TIMEOUT, value_parser = humantime::parse_duration)]
    pub(super) foreign_timeout: Duration,
    #[command(flatten)]
    ranges: Ranges,
}

impl Common {
    /// The metric to search for, where models have this task.
    pub(super) fn objective(&self, task: Task) -> ValidationMetric {
        self.objective.unwrap_or(ValidationMetric::main(task))
    }

    /// The settings around which others vary.
    ///
    /// # Errors
    /// If a flag is a range.
    pub(super) fn fixed(&self) -> Result<Settings> {
        let mut space = Space::default();
        let flags = self.ranges.split(&mut space)?;
        if let Some((name, _)) = space.iter().next() {
            let message = format!(
                "expected a single value around which to vary the others; to vary it: sweep {name} --values …"
            );
            return Err(Error::setting(name, message));
        }
        let lower = self
            .config
            .as_deref()
            .map(Settings::from_file)
            .transpose()?;
        Ok(flags.over(&lower.unwrap_or_default()))
    }

    /// The settings that are single values. Ranges and choices, from flags or from the section `[space]` of the file,
    /// are added to `space`.
    pub(super) fn searched(&self, space: &mut Space) -> Result<Settings> {
        let flags = self.ranges.split(space)?;
        let lower = match &self.config {
            Some(file) => from_file(file, space)?,
            None => Settings::default(),
        };
        Ok(flags.over(&lower))
    }
}

/// A file of settings with an optional section `[space]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SearchFile {
    data: DataSettings,
    model: ModelSettings,
    train: TrainSettings,
    optimizer: OptimizerSettings,
    schedule: ScheduleSettings,
    /// Ranges and choices by setting.
    space: BTreeMap<String, String>,
}

/// The settings of a file. The ranges of its section `[space]` are added to `space`, but a flag wins over the file.
fn from_file(path: &Path, space: &mut Space) -> Result<Settings> {
    let file: SearchFile = read_file(path)?;
    for (name, text) in file.space {
        let by_flag = space
            .iter()
            .any(|(known, _)| known == name.replace('-', "_"));
        if !by_flag && !space.add(&name, &text)? {
            let expected = "a range or choices (a single value belongs into its own section)";
            return Err(Error::format(path, format!("space.{name}"), expected, text));
        }
    }
    Ok(Settings {
        data: file.data,
        model: file.model,
        train: file.train,
        optimizer: file.optimizer,
        schedule: file.schedule,
    })
}

/// The settings that all runs share. Seed and threads belong to the whole search and are kept apart.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) settings: Settings,
    pub(super) seed: u64,
    pub(super) threads: usize,
}

impl Base {
    pub(super) fn new(mut settings: Settings) -> Result<Self> {
        let seed = settings.train.seed.take().unwrap_or(0);
        let threads = thread_count(settings.train.threads.take())?;
        Ok(Base {
            settings,
            seed,
            threads,
        })
    }

    /// Refuses to watch runs of which none is kept: nobody could read what was written down.
    pub(super) fn expect_unwatched(&self) -> Result<()> {
        match self.settings.train.watch {
            Some(true) => {
                let message = "expected false, found true: no run is kept; for one of them: chainrule train --watch";
                Err(setting_error("train.watch", message))
            }
            _ => Ok(()),
        }
    }

    /// The task, as far as the settings say it.
    pub(super) fn task(&self) -> Task {
        self.settings.data.task.unwrap_or_default()
    }

    /// Loads the data set, with its test part if `test`. Trials never use the test part.
    ///
    /// # Errors
    /// If it cannot be loaded, or a column cannot be a feature.
    pub(super) fn load(&self, test: bool) -> Result<Arc<Dataset>> {
        let options = LoadOptions {
            test,
            ..self.settings.data.load_options()?
        };
        let data = Arc::new(data::load(&options)?);
        let split = Config::new(&self.settings)?.split(&data);
        let notices = Fitted::new(data.clone(), &split.train, None)?
            .notices()
            .to_vec();
        Ok(with_notices(data, notices))
    }
}

/// The data set with more to know about it.
pub(super) fn with_notices(
    data: Arc<Dataset>,
    notices: impl IntoIterator<Item = String>,
) -> Arc<Dataset> {
    let mut data = Arc::unwrap_or_clone(data);
    data.notices.extend(notices);
    Arc::new(data)
}

/// The tasks of a command, and the data and options to run them with.
pub(super) struct Work<'a> {
    pub(super) tasks: &'a [StudyTask<'a>],
    pub(super) journal: &'a Path,
    pub(super) data: Arc<Dataset>,
    pub(super) threads: usize,
    pub(super) foreign_timeout: Duration,
    pub(super) quiet: bool,
    /// The cost of the work after the trials, for the estimate of the time left.
    pub(super) afterwards: f64,
    pub(super) interrupt: Arc<AtomicBool>,
}

impl Work<'_> {
    /// Runs the tasks with progress on standard error. Returns how each task ended.
    pub(super) fn run(self) -> Result<Vec<Finish>> {
        let search = Search {
            tasks: self.tasks,
            journal: self.journal,
            data: self.data,
            threads: self.threads,
            foreign_timeout: self.foreign_timeout,
        };
        let progress = SearchProgress::new(&search, self.quiet, self.afterwards, self.interrupt)?;
        progress.introduce(&search);
        let finishes = search.run(&progress);
        progress.finish();
        finishes
    }
}
