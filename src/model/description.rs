//! What a model file says about its network besides the weights.

use std::fmt;
use std::path::Path;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::backend::select::Precision;
use crate::data::{Dataset, ImageShape, MAX_CLASSES, Normalizer, Samples, TestSet};
use crate::error::{Error, Result};
use crate::nn::NetworkSpec;
use crate::settings::Settings;

/// The file's format; another number is refused.
pub(super) const FORMAT: u32 = 1;

/// Everything about a trained network but its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub(super) format: u32,
    /// The network.
    pub spec: NetworkSpec,
    /// The normalisation fitted on its training part.
    pub normalizer: Normalizer,
    /// One name a class.
    #[serde(deserialize_with = "class_names")]
    pub class_names: Vec<String>,
    /// Set if a row is an image.
    pub image: Option<ImageShape>,
    /// The data set's name and hash.
    pub data: String,
    /// Hash of the data that it was trained on.
    pub data_hash: String,
    /// The epoch that the weights are from.
    pub epoch: u32,
    /// The run's settings.
    pub settings: Settings,
}

impl Description {
    /// Describes a network, in the current format.
    pub fn new(
        spec: NetworkSpec,
        normalizer: Normalizer,
        class_names: Vec<String>,
        image: Option<ImageShape>,
        data: (String, String),
        settings: Settings,
    ) -> Self {
        Description {
            format: FORMAT,
            spec,
            normalizer,
            class_names,
            image,
            data: data.0,
            data_hash: data.1,
            epoch: 0,
            settings,
        }
    }

    /// Checks that its parts fit each other.
    ///
    /// # Errors
    /// Says what was found instead.
    pub(super) fn check(&self) -> Result<()> {
        self.spec.validate()?;
        let (inputs, outputs) = (self.spec.inputs, self.spec.outputs);
        let Normalizer { scale, shift } = &self.normalizer;
        for (what, expected, found) in [
            ("normalizer.scale", inputs, scale.len()),
            ("normalizer.shift", inputs, shift.len()),
            ("class_names", outputs, self.class_names.len()),
            (
                "image",
                inputs,
                self.image.map_or(inputs, ImageShape::pixels),
            ),
        ] {
            if found != expected {
                let expected = format!("{expected}, as the network has");
                return Err(Error::shape(what, expected, found.to_string()));
            }
        }
        let precision = self.precision();
        match scale.iter().chain(shift).find(|&&x| !precision.holds(x)) {
            None => Ok(()),
            Some(found) => {
                let expected = format!("numbers that {precision} holds");
                Err(Error::shape("normalizer", expected, found.to_string()))
            }
        }
    }

    /// The precision that it was trained in.
    pub fn precision(&self) -> Precision {
        self.settings.train.precision.unwrap_or_default()
    }

    /// The data set with the labels that the network gives its classes. Classes with names are matched by name, so that
    /// a file in which one does not occur is read as it was meant; classes with numbers keep them.
    ///
    /// # Errors
    /// If the samples have another width, or belong to classes that the network does not know.
    pub fn fit(&self, mut data: Dataset) -> Result<Dataset> {
        let parts = [
            Some(&mut data.train),
            data.validation.as_mut(),
            data.test.as_mut(),
        ];
        for part in parts.into_iter().flatten() {
            self.relabel(part, &data.class_names, &data.path)?;
        }
        data.class_names.clone_from(&self.class_names);
        Ok(data)
    }

    /// [`Description::fit`] for a test part.
    ///
    /// # Errors
    /// As there.
    pub fn fit_test(&self, mut test: TestSet) -> Result<TestSet> {
        self.relabel(&mut test.samples, &test.class_names, &test.path)?;
        test.class_names.clone_from(&self.class_names);
        Ok(test)
    }

    /// Gives samples the network's labels in place of those of `names`.
    fn relabel(&self, samples: &mut Samples, names: &[String], path: &Path) -> Result<()> {
        let inputs = self.spec.inputs;
        if samples.width != inputs {
            let expected = format!("{inputs} values each, the inputs of the model");
            let found = samples.width.to_string();
            return Err(Error::format(path, "samples", expected, found));
        }
        let own = &self.class_names;
        let by_name = names != own && !numbered(names) && !numbered(own);
        let class_of = |(number, name): (usize, &String)| match by_name {
            true => own.iter().position(|known| known == name),
            false => (number < own.len()).then_some(number),
        };
        let classes: Vec<Option<usize>> = names.iter().enumerate().map(class_of).collect();
        for label in &mut samples.labels {
            let place = *label as usize;
            let Some(class) = classes.get(place).copied().flatten() else {
                let expected = format!("classes of the model: {}", own.join(", "));
                let found = match names.get(place) {
                    Some(name) => format!("\"{name}\""),
                    None => format!("label {label} of {} classes", names.len()),
                };
                return Err(Error::format(path, "labels", expected, found));
            };
            *label = class as u32;
        }
        Ok(())
    }
}

/// Reads the names of as many classes as there may be.
fn class_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_seq(ClassNames)
}

struct ClassNames;

impl<'de> Visitor<'de> for ClassNames {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_CLASSES} class names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Vec<String>, A::Error> {
        let mut all = Vec::new();
        while let Some(name) = names.next_element()? {
            if all.len() == MAX_CLASSES {
                return Err(serde::de::Error::invalid_length(MAX_CLASSES + 1, &self));
            }
            all.push(name);
        }
        Ok(all)
    }
}

/// Whether the classes are called 0, 1, 2, …: they have no names.
fn numbered(names: &[String]) -> bool {
    names.iter().enumerate().all(|(i, n)| *n == i.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Features;
    use crate::settings::Config;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }

    fn description(inputs: usize, class_names: &[&str]) -> Description {
        let config = Config::new(&Settings::default()).unwrap();
        let spec = config.network(inputs, class_names.len()).unwrap();
        let (normalizer, data) = (Normalizer::identity(inputs), Default::default());
        let class_names = names(class_names);
        Description::new(spec, normalizer, class_names, None, data, config.resolved)
    }

    fn data(class_names: &[&str], labels: &[u32]) -> Dataset {
        let samples = Samples {
            features: Features::U8(vec![1; labels.len() * 3]),
            width: 3,
            labels: labels.to_vec(),
        };
        Dataset {
            train: samples.clone(),
            validation: None,
            test: Some(samples),
            class_names: names(class_names),
            image: None,
            path: "made-up.csv".into(),
            name: "made-up".into(),
            hash: String::new(),
            notices: Vec::new(),
        }
    }

    #[test]
    fn named_classes_are_matched_by_name() {
        let model = description(3, &["ant", "bee", "cat"]);
        let fitted = model.fit(data(&["bee", "cat"], &[1, 0, 1])).unwrap();
        assert_eq!(fitted.train.labels, [2, 1, 2]);
        assert_eq!(fitted.test.unwrap().labels, [2, 1, 2]);
        assert_eq!(fitted.class_names, ["ant", "bee", "cat"]);
        let error = model.fit(data(&["bee", "dog"], &[0, 1])).unwrap_err();
        let expected =
            "made-up.csv: labels: expected classes of the model: ant, bee, cat, found \"dog\"";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn numbered_classes_keep_their_numbers() {
        let model = description(3, &["ant", "bee", "cat"]);
        let fitted = model.fit(data(&["0", "1"], &[1, 0])).unwrap();
        assert_eq!(fitted.train.labels, [1, 0]);
        // Names without samples do no harm: IDX files always have ten.
        let numbers = ["0", "1", "2", "3", "4"];
        assert_eq!(
            model.fit(data(&numbers, &[2, 0])).unwrap().train.labels,
            [2, 0]
        );
        let error = model.fit(data(&numbers, &[0, 4])).unwrap_err();
        assert!(error.to_string().ends_with("found \"4\""), "{error}");
        assert_eq!(error.exit_code(), 2);
        let reversed = description(3, &["0", "1"]);
        let fitted = reversed.fit(data(&["ant", "bee"], &[1, 0])).unwrap();
        assert_eq!(fitted.train.labels, [1, 0]);
    }

    #[test]
    fn another_width_is_refused() {
        let error = description(4, &["0", "1"])
            .fit(data(&["0", "1"], &[1, 0]))
            .unwrap_err();
        assert!(error.to_string().contains("expected 4"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
