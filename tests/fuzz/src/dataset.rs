//! What holds for every data set that was read.

use std::sync::Arc;

use chainrule::data::{
    self, Dataset, DatasetDescription, Features, Fitted, LoadOptions, Normalize, Samples, Schema,
    class_picture,
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
        for (input, (scale, shift)) in normalizer.scale.iter().zip(&normalizer.shift).enumerate() {
            // Training refuses a feature whose 1/σ is beyond f64, by its name.
            let finite = scale.is_finite() && shift.is_finite();
            assert!(finite || spread(train, input) < 1e-307);
        }
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

/// The largest value of an input minus the smallest one.
fn spread(samples: &Samples, input: usize) -> f64 {
    let values = (0..samples.len()).map(|row| {
        let at = row * samples.width + input;
        match &samples.features {
            Features::U8(values) => f64::from(values[at]),
            Features::F32(values) => f64::from(values[at]),
            Features::F64(values) => values[at],
        }
    });
    let ends = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    ends.1 - ends.0
}
