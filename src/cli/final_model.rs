//! The report page of a study or a run with the test results of its final model, for `study` and `report`.

use std::path::{Path, PathBuf};

use crate::backend::select::Device;
use crate::data::{self, LoadOptions};
use crate::error::{Error, Result};
use crate::metrics::DataPart;
use crate::model::Model;
use crate::report::{self, TestResult};
use crate::threads::thread_count;
use crate::train::RunDir;

/// Writes the page of a study or a run with its final model's predictions for the test set.
pub(super) fn write_report(study: &Path, out: &Path) -> Result<PathBuf> {
    let folder = report::final_folder(study);
    let tested = match is_tested(&folder)? {
        true => Some(predict_test_set(&folder).map_err(|e| e.to_string())),
        false => None,
    };
    report::write(study, out, tested)
}

/// Whether the model of a run's folder has been tested.
fn is_tested(folder: &Path) -> Result<bool> {
    if !folder.join("config.toml").is_file() {
        return Ok(false);
    }
    let summary = RunDir::open(folder)?.summary()?;
    Ok(summary.is_some_and(|s| !s.interrupted && s.evaluation(DataPart::Test).is_some()))
}

/// The predictions of a run's model for the test samples of its data set.
fn predict_test_set(folder: &Path) -> Result<TestResult> {
    let model = Model::read(folder)?;
    let description = &model.description;
    let options = LoadOptions {
        test: true,
        ..description.settings.data.load_options()?
    };
    let data = description.fit(data::load_for(&options, description.schema.as_ref())?)?;
    if data.hash != description.data_hash {
        let expected = format!(
            "the data that the model was trained on ({})",
            description.data
        );
        return Err(Error::format(
            &data.path,
            "data set",
            expected,
            "another one",
        ));
    }
    let Some(samples) = data.test else {
        return Err(Error::format(&data.path, "data set", "a test part", "none"));
    };
    let mut predictor = model.predictor(Device::Cpu, thread_count(None)?)?;
    Ok(TestResult {
        predictions: predictor.predict(&samples)?,
        class_names: data.class_names,
        image: data.image,
        samples,
    })
}
