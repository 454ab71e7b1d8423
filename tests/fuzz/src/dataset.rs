//! What holds for every data set that was read.

use std::sync::Arc;

use chainrule::data::{
    self, Dataset, DatasetDescription, Fitted, LoadOptions, Normalize, Schema, class_picture,
};

use crate::files::sound;
use crate::memory::bounded;

/// Reads a data set twice, checks it, and returns it. `expanded` is the size of its files when they are unpacked.
pub(crate) fn load(options: &LoadOptions, expanded: usize) -> Option<Dataset> {
    let dataset = bounded(expanded, || sound(data::load(options)))?;
    check(&dataset);
    let again = data::load(options).expect("what was read can be read again");
    assert_eq!(dataset.hash, again.hash);
    assert_eq!(dataset.train.labels, again.train.labels);
    Some(dataset)
}

/// Labels are in range and values finite, and there is something to say of it. A picture of its classes takes long; one
/// in sixteen is drawn.
fn check(dataset: &Dataset) {
    dataset.check().unwrap();
    let description = DatasetDescription::of(dataset).unwrap();
    assert_eq!(description.parts[0].samples, dataset.train.len());
    if dataset.image.is_some() && dataset.hash.starts_with('0') {
        sound(class_picture(dataset));
    }
}

/// Encodes a table with and without bins: its inputs are finite, and the schema survives being written down.
pub(crate) fn fit(dataset: Dataset) -> Option<Schema> {
    let dataset = Arc::new(dataset);
    let rows: Vec<u32> = (0..dataset.train.len() as u32).collect();
    for bins in [Some(8), None] {
        let fitted = sound(Fitted::new(dataset.clone(), &rows, bins))?;
        let train = fitted.train();
        train.check_values(train.width).unwrap();
        for part in [Some(fitted.validation()), fitted.test()]
            .into_iter()
            .flatten()
        {
            part.check_values(train.width).unwrap();
        }
        let normalizer = fitted.normalizer(Normalize::Standard, &rows);
        let numbers = normalizer.scale.iter().chain(&normalizer.shift);
        assert!(numbers.copied().all(f64::is_finite));
        let schema = fitted.schema()?;
        assert_eq!(schema.inputs(), train.width);
        let json = serde_json::to_string(schema).unwrap();
        assert_eq!(&serde_json::from_str::<Schema>(&json).unwrap(), schema);
        if bins.is_none() {
            return Some(schema.clone());
        }
    }
    None
}
