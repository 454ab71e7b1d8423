//! The whole study: six series, a search over all of their settings at once, and a final model from the best trial.

use clap::ValueEnum;

use super::journal::{Storage, Study, Trial};
use super::plan::{Plan, PrunerName, SamplerName};
use super::run::{StudyTask, ranking};
use super::space::{Point, Space};
use super::sweep::Series;
use crate::error::Result;
use crate::metrics::ValidationMetric;
use crate::settings::{Config, Settings};

/// The size of the study.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// A small study: 28 values with 2 repeats of one epoch, 6 trials of one epoch, a final model of 4 epochs
    Quick,
    /// As published: 28 values with 3 repeats and 50 trials of 10 epochs each, a final model of 10 epochs
    #[default]
    Full,
}

/// The search's ranges, ends included.
const SPACE: [(&str, &str); 5] = [
    ("lr", "0.0005..0.005"),
    ("width", "500..1000"),
    ("depth", "4..8"),
    ("dropout", "0.1..0.4"),
    ("batch_size", "64..128"),
];

/// The name of the search in the study file.
pub const SEARCH: &str = "search";

/// The number of best trials whose runs are kept.
const KEEP: usize = 4;

impl Preset {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Quick => "quick",
            Preset::Full => "full",
        }
    }

    fn epochs(self) -> u32 {
        match self {
            Preset::Quick => 1,
            Preset::Full => 10,
        }
    }

    /// The number of runs of each value of a series.
    fn repeats(self) -> u32 {
        match self {
            Preset::Quick => 2,
            Preset::Full => 3,
        }
    }

    fn final_epochs(self) -> u32 {
        match self {
            Preset::Quick => 4,
            Preset::Full => 10,
        }
    }

    fn trials(self) -> usize {
        match self {
            Preset::Quick => 6,
            Preset::Full => 50,
        }
    }
}

/// The plan of a whole study.
#[derive(Clone, Debug)]
pub struct Outline {
    /// The series, in the order of the published tables.
    pub series: Vec<Plan>,
    /// The search.
    pub search: Plan,
    /// The number of trials of the search.
    pub trials: usize,
    /// Settings of the final model beside those of the best trial.
    pub(super) final_settings: Settings,
}

impl Outline {
    /// The plan of a preset. The user's own settings take precedence over the preset's.
    ///
    /// # Errors
    /// If the settings do not fit.
    pub fn new(
        preset: Preset,
        settings: &Settings,
        seed: u64,
        objective: ValidationMetric,
    ) -> Result<Self> {
        let with_epochs = |epochs| {
            let mut own = Settings::default();
            own.train.epochs = Some(epochs);
            settings.over(&own)
        };
        let base = with_epochs(preset.epochs());
        let series = Series::six()
            .iter()
            .map(|s| s.plan(&base, seed, preset.repeats(), objective))
            .collect::<Result<_>>()?;
        let mut space = Space::default();
        for (name, range) in SPACE {
            space.add(name, range)?;
        }
        let mut final_settings = with_epochs(preset.final_epochs());
        final_settings.train.seed = Some(seed);
        Ok(Outline {
            series,
            search: Plan {
                name: SEARCH.into(),
                space,
                base,
                unsaid: Settings::default(),
                seed,
                repeats: 1,
                objective,
                sampler: SamplerName::Random,
                pruner: PrunerName::None,
            },
            trials: preset.trials(),
            final_settings,
        })
    }

    /// Lets all plans search for another metric.
    pub fn set_objective(&mut self, objective: ValidationMetric) {
        for plan in self.series.iter_mut().chain([&mut self.search]) {
            plan.objective = objective;
        }
    }

    /// The tasks before the final model.
    pub fn tasks(&self) -> Vec<StudyTask<'_>> {
        let search = StudyTask {
            plan: &self.search,
            trials: self.trials,
            keep: KEEP,
        };
        self.series
            .iter()
            .map(StudyTask::series)
            .chain([search])
            .collect()
    }

    /// The final model's settings, with those of the best trial; `None` if no trial is complete. The final
    /// model learns from the training part of its own seed's split, as every run does, and is tested.
    ///
    /// # Errors
    /// If the settings do not fit.
    pub fn final_model(&self, storage: &Storage, study: &Study) -> Result<Option<Config>> {
        let best = ranking(storage, study).into_iter().next();
        let point = best.and_then(|trial| self.point(trial));
        point.map(|point| self.at(&point)).transpose()
    }

    /// Settings like those that the final model will have, to estimate its cost.
    ///
    /// # Errors
    /// If the settings do not fit.
    pub fn middle(&self) -> Result<Config> {
        self.at(&self.search.space.middle())
    }

    fn point(&self, trial: &Trial) -> Option<Point> {
        let value = |(name, _)| Some(trial.content.params.get(name)?.internal);
        self.search.space.iter().map(value).collect()
    }

    fn at(&self, point: &[f64]) -> Result<Config> {
        let mut settings = self.search.space.settings(point, &self.final_settings)?;
        settings.data.test = Some(true);
        let mut config = Config::new(&settings)?;
        config.objective = Some(self.search.objective);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(preset: Preset, settings: &Settings) -> Outline {
        Outline::new(preset, settings, 4, ValidationMetric::default()).unwrap()
    }

    #[test]
    fn the_full_study_is_the_published_one() {
        let outline = outline(Preset::Full, &Settings::default());
        let trials: Vec<usize> = outline.tasks().iter().map(|t| t.trials).collect();
        assert_eq!(trials, [6, 4, 5, 4, 5, 4, 50]);
        for task in outline.tasks() {
            task.plan.check().unwrap();
            let config = task.plan.config(&task.plan.space.middle(), 0, 0).unwrap();
            assert_eq!((config.epochs, config.source.test), (10, false));
        }
        assert_eq!(outline.series[0].repeats, 3);
        let last = outline.middle().unwrap();
        assert_eq!((last.epochs, last.source.test, last.seed), (10, true, 4));
    }

    #[test]
    fn what_the_user_says_comes_first() {
        let mut settings = Settings::default();
        settings.train.epochs = Some(2);
        settings.model.batch_norm = Some(false);
        settings.train.watch = Some(true);
        let outline = outline(Preset::Quick, &settings);
        let config = outline.series[1].config(&[0.0], 0, 0).unwrap();
        assert_eq!((config.epochs, config.batch_norm), (2, false));
        let last = outline.middle().unwrap();
        assert_eq!((last.epochs, last.batch_norm), (2, false));
        // Of a series no run is kept.
        assert_eq!((config.watch, last.watch), (false, true));
    }
}
