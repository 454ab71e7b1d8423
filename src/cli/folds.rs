//! `train --folds`: cross-validation, a run a fold.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::output;
use super::progress::RunProgress;
use crate::backend::select::check_device;
use crate::data;
use crate::error::{Error, Result};
use crate::metrics::{DataPart, Metric};
use crate::settings::{Config, Settings, setting_error};
use crate::text::printable::printable;
use crate::text::table;
use crate::train::{Folder, FoldsDir, FoldsSummary, RunDir, RunOptions, fold_settings, run_with};

/// How a cross-validation is run and shown.
pub(super) struct FoldsRun {
    /// Compute one operation at a time.
    pub(super) plain: bool,
    /// Print one JSON object.
    pub(super) json: bool,
    /// Show no progress.
    pub(super) quiet: bool,
    /// Set by a signal.
    pub(super) interrupt: Arc<AtomicBool>,
}

/// Begins a cross-validation with these settings.
pub(super) fn begin(how: &FoldsRun, out: Option<&Path>, settings: &Settings) -> Result<()> {
    check(settings)?;
    let folder = FoldsDir::create(out, settings)?;
    run(how, &folder, settings)
}

/// Goes on with a cross-validation.
pub(super) fn resume(how: &FoldsRun, folder: &FoldsDir, said: &Settings) -> Result<()> {
    let begun = folder.settings()?;
    let settings = said.over(&begun);
    if (settings.data.folds, settings.data.fold) != (begun.data.folds, None) {
        let message = "the folds of a cross-validation that was begun cannot change";
        return Err(setting_error("data.folds", message));
    }
    check(&settings)?;
    folder.write_settings(&settings)?;
    run(how, folder, &settings)
}

/// Checks the settings before anything is written.
fn check(settings: &Settings) -> Result<()> {
    let config = Config::new(&fold_settings(settings, 1))?;
    check_device(config.device)
}

fn run(how: &FoldsRun, folder: &FoldsDir, settings: &Settings) -> Result<()> {
    let folds = settings.data.folds.expect("a cross-validation has folds");
    let first = Config::new(&fold_settings(settings, 1))?;
    let dataset = Arc::new(data::load(&first.source)?);
    let mut summaries = Vec::new();
    for fold in 1..=folds {
        let config = Config::new(&fold_settings(settings, fold))?;
        let path = folder.run_dir(fold);
        let begun = path.join("config.toml").is_file();
        let begun = begun.then(|| RunDir::open(&path)).transpose()?;
        let options = RunOptions {
            folder: match &begun {
                Some(run) => Folder::Resume(run),
                None => Folder::New(Some(&path)),
            },
            plain: how.plain,
            ..RunOptions::default()
        };
        let mut progress = RunProgress::new(how.quiet, how.interrupt.clone(), config.epochs);
        progress.line(&format!("fold {fold} of {folds}"));
        let outcome = run_with(config, dataset.clone(), &options, &mut progress);
        progress.finish();
        let summary = outcome?.summary;
        if summary.interrupted {
            let path = folder.path().display();
            return Err(Error::Interrupted(format!(
                "interrupted in fold {fold}; go on with: chainrule train --resume {path}"
            )));
        }
        summaries.push(summary);
    }
    let summary = FoldsSummary::new(folder, summaries);
    folder.summarise(&summary)?;
    if how.json {
        return output::print_json(&summary);
    }
    match how.quiet {
        true => Ok(()),
        false => output::print(&in_words(&summary)),
    }
}

/// A line a fold, then mean and interval.
fn in_words(summary: &FoldsSummary) -> String {
    let metrics: Vec<Metric> = Metric::ALL
        .into_iter()
        .filter(|metric| {
            summary
                .metrics
                .contains_key(&metric.of(DataPart::Validation).name())
        })
        .collect();
    let titles = metrics
        .iter()
        .map(|metric| metric.of(DataPart::Validation).name());
    let mut rows = vec![
        ["fold".to_owned(), "best epoch".to_owned()]
            .into_iter()
            .chain(titles)
            .collect(),
    ];
    for (number, fold) in (1..).zip(&summary.folds) {
        let best = fold
            .best_epoch
            .map_or("-".to_owned(), |epoch| epoch.to_string());
        let values = metrics.iter().map(|metric| {
            let value = fold.get(metric.of(DataPart::Validation));
            value.map_or("-".to_owned(), |value| metric.format(value))
        });
        rows.push(
            [number.to_string(), best]
                .into_iter()
                .chain(values)
                .collect(),
        );
    }
    let line = |title: &str, text: &dyn Fn(Metric) -> String| -> Vec<String> {
        let values = metrics.iter().map(|&metric| text(metric));
        [title.to_owned(), String::new()]
            .into_iter()
            .chain(values)
            .collect()
    };
    let mean = |metric: Metric| &summary.metrics[&metric.of(DataPart::Validation).name()];
    rows.push(line("mean", &|metric| metric.format(mean(metric).mean)));
    rows.push(line("95 %", &|metric| match mean(metric).interval {
        Some(interval) => {
            let [low, high] = [interval.low, interval.high].map(|x| metric.format(x));
            format!("{low}..{high}")
        }
        None => "-".to_owned(),
    }));
    let diverged = summary.folds.iter().filter(|fold| fold.diverged).count();
    let mut text = table::align(&rows, 1);
    if diverged > 0 {
        text += &format!("folds that diverged: {diverged}\n");
    }
    text += &format!("folds: {}\n", printable(&summary.run_dir));
    text
}
