//! What a model file says about its network besides the weights.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::backend::select::Precision;
use crate::data::{
    Dataset, ImageShape, InputRows, MAX_CLASSES, Normalizer, RowSource, Samples, Schema,
    TargetScale, Task, TestSet, match_names, number_notice,
};
use crate::error::{Error, Result};
use crate::nn::NetworkSpec;
use crate::settings::{Label, Settings};

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
    /// What it predicts.
    #[serde(default, skip_serializing_if = "Task::is_classification")]
    pub task: Task,
    /// One name a class; without classes one a number to predict, or a label.
    #[serde(deserialize_with = "class_names")]
    pub class_names: Vec<String>,
    /// What standardised the numbers to predict; models of other tasks have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_scale: Option<TargetScale>,
    /// Set if a row is an image.
    pub image: Option<ImageShape>,
    /// The columns of its table. Models of pictures and those of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
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
            task: Task::default(),
            class_names,
            target_scale: None,
            image,
            schema: None,
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
            (
                "schema",
                inputs,
                self.schema.as_ref().map_or(inputs, Schema::inputs),
            ),
            (
                "target_scale",
                outputs,
                self.target_scale
                    .as_ref()
                    .map_or(outputs, TargetScale::columns),
            ),
        ] {
            if found != expected {
                let expected = format!("{expected}, as the network has");
                return Err(Error::shape(what, expected, found.to_string()));
            }
        }
        self.schema.as_ref().map_or(Ok(()), Schema::check)?;
        self.check_task()?;
        let precision = self.precision();
        match scale.iter().chain(shift).find(|&&x| !precision.holds(x)) {
            None => Ok(()),
            Some(found) => {
                let expected = format!("numbers that {precision} holds");
                Err(Error::shape("normalizer", expected, found.to_string()))
            }
        }
    }

    fn check_task(&self) -> Result<()> {
        let outputs = self.spec.outputs;
        if self.task == Task::Classification && outputs < 2 {
            let found = outputs.to_string();
            return Err(Error::shape("class_names", "at least 2 classes", found));
        }
        let is_scaled = self.target_scale.is_some();
        if is_scaled != (self.task == Task::Regression) {
            let found = if is_scaled { "one" } else { "none" };
            let expected = "one for regression, and for no other task";
            return Err(Error::shape("target_scale", expected, found));
        }
        let Some(TargetScale { mean, scale }) = &self.target_scale else {
            return Ok(());
        };
        let is_scale = |x: &f64| x.is_finite() && *x > 0.0;
        let wrong = mean.iter().find(|x| !x.is_finite());
        match wrong.or(scale.iter().find(|x| !is_scale(x))) {
            None if mean.len() == scale.len() => Ok(()),
            None => {
                let expected = format!("{} means, as scales", scale.len());
                Err(Error::shape(
                    "target_scale",
                    expected,
                    mean.len().to_string(),
                ))
            }
            Some(found) => {
                let expected = "finite means, and scales above 0";
                Err(Error::shape("target_scale", expected, found.to_string()))
            }
        }
    }

    /// The precision that it was trained in.
    pub fn precision(&self) -> Precision {
        self.settings.train.precision.unwrap_or_default()
    }

    /// The columns of the data that it takes; without a schema numbers by their position.
    pub fn columns(&self) -> Cow<'_, Schema> {
        match &self.schema {
            Some(schema) => Cow::Borrowed(schema),
            None => {
                let label = self.settings.data.label.as_ref().and_then(Label::column);
                Cow::Owned(Schema::by_position(self.spec.inputs, label))
            }
        }
    }

    /// The data set as the network takes it: its values encoded, and the labels that the network gives its classes.
    /// Classes are matched by name; those of which one side has numbers alone keep their numbers. Other labels get
    /// numbers behind those of the classes.
    ///
    /// # Errors
    /// If the samples have another width, or a cell does not fit its column.
    pub fn fit(&self, mut data: Dataset) -> Result<Dataset> {
        let table = data.table.take().unwrap_or_default();
        let labels = LabelMap::new(self, &[&data.class_names[..], &data.unseen].concat());
        let parts = [
            (Some(&mut data.train), &table.train),
            (data.validation.as_mut(), &table.validation),
            (data.test.as_mut(), &table.test),
        ];
        for (part, source) in parts {
            if let Some(part) = part {
                data.notices
                    .extend(self.fit_samples(part, source, &data.path)?);
                labels.apply(part);
            }
        }
        data.notices.extend(labels.notices());
        data.class_names.clone_from(&self.class_names);
        data.unseen = labels.unseen;
        Ok(data)
    }

    /// [`Description::fit`] for a test part. Returns the names of labels that are no class of the network, too.
    ///
    /// # Errors
    /// As there.
    pub fn fit_test(&self, mut test: TestSet) -> Result<(TestSet, Vec<String>)> {
        let labels = LabelMap::new(self, &test.class_names);
        test.notices
            .extend(self.fit_samples(&mut test.samples, &test.source, &test.path)?);
        labels.apply(&mut test.samples);
        test.notices.extend(labels.notices());
        test.class_names.clone_from(&self.class_names);
        Ok((test, labels.unseen))
    }

    /// Rows to predict, as the network takes them.
    ///
    /// # Errors
    /// As [`Description::fit`].
    pub fn fit_rows(&self, mut rows: InputRows, path: &Path) -> Result<InputRows> {
        let notices = self.fit_samples(&mut rows.samples, &rows.source, path)?;
        rows.notices.extend(notices);
        Ok(rows)
    }

    /// Rows of an array, as the network takes them.
    ///
    /// # Errors
    /// As [`Description::fit`].
    pub(super) fn fit_array(&self, mut samples: Samples) -> Result<Samples> {
        self.fit_samples(&mut samples, &RowSource::default(), Path::new("x"))?;
        Ok(samples)
    }

    /// Encodes samples. Returns what the user should know.
    fn fit_samples(
        &self,
        samples: &mut Samples,
        source: &RowSource,
        path: &Path,
    ) -> Result<Vec<String>> {
        let columns = self.columns();
        let expected = columns.columns.len();
        if samples.width != expected {
            let expected = format!("{expected} values each, the inputs of the model");
            let found = samples.width.to_string();
            return Err(Error::format(path, "samples", expected, found));
        }
        let (encoded, notices) = columns.encode(samples, source)?;
        if let Some(encoded) = encoded {
            *samples = encoded;
        }
        Ok(notices)
    }
}

/// What the labels of a file are for a network.
struct LabelMap<'a> {
    model: &'a Description,
    /// For each label of the file its class; those that are none follow.
    numbers: Vec<u32>,
    unseen: Vec<String>,
    /// What the user of a table should know of names that were matched by number.
    by_number: Option<String>,
}

impl<'a> LabelMap<'a> {
    fn new(model: &'a Description, names: &[String]) -> Self {
        let own = &model.class_names;
        // The names of numbers and of labels are those of columns.
        let names = match model.task {
            Task::Classification => names,
            Task::Regression | Task::Multilabel => &[],
        };
        let classes = match_names(own, names);
        let by_number = number_notice(own, names, &classes).filter(|_| model.schema.is_some());
        let mut unseen = Vec::new();
        let numbers = classes.into_iter().zip(names).map(|(class, name)| {
            let class = class.unwrap_or_else(|| {
                unseen.push(name.clone());
                own.len() + unseen.len() - 1
            });
            class as u32
        });
        LabelMap {
            model,
            numbers: numbers.collect(),
            unseen,
            by_number,
        }
    }

    fn apply(&self, samples: &mut Samples) {
        for label in samples.labels.classes_mut() {
            *label = self.numbers[*label as usize];
        }
    }

    fn notices(&self) -> impl Iterator<Item = String> {
        const SHOWN: usize = 5;
        let list = |names: &[String]| {
            let mut names: Vec<&str> = names.iter().take(SHOWN + 1).map(String::as_str).collect();
            if names.len() > SHOWN {
                names[SHOWN] = "…";
            }
            names.join(", ")
        };
        let (unseen, known) = (list(&self.unseen), list(&self.model.class_names));
        let unseen = (!self.unseen.is_empty()).then(|| {
            format!("labels that are no class of the model count as errors, and not in the loss: {unseen} (its classes: {known})")
        });
        unseen.into_iter().chain(self.by_number.clone())
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
            labels: labels.to_vec().into(),
            weights: None,
        };
        Dataset {
            train: samples.clone(),
            validation: None,
            task: crate::data::Task::Classification,
            test: Some(samples),
            class_names: names(class_names),
            unseen: Vec::new(),
            table: None,
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
        assert_eq!(fitted.train.labels.classes(), [2, 1, 2]);
        assert_eq!(fitted.test.unwrap().labels.classes(), [2, 1, 2]);
        assert_eq!(fitted.class_names, ["ant", "bee", "cat"]);
        let fitted = model.fit(data(&["bee", "dog"], &[0, 1])).unwrap();
        assert_eq!(
            (fitted.train.labels.classes(), &fitted.unseen[..]),
            (&[1, 3][..], &["dog".to_owned()][..])
        );
        assert!(
            fitted.notices[0].contains("count as errors"),
            "{:?}",
            fitted.notices
        );
    }

    #[test]
    fn numbered_classes_keep_their_numbers() {
        let model = description(3, &["ant", "bee", "cat"]);
        let fitted = model.fit(data(&["0", "1"], &[1, 0])).unwrap();
        assert_eq!(fitted.train.labels.classes(), [1, 0]);
        // Names without samples do no harm: IDX files always have ten.
        let numbers = ["0", "1", "2", "3", "4"];
        assert_eq!(
            model
                .fit(data(&numbers, &[2, 0]))
                .unwrap()
                .train
                .labels
                .classes(),
            [2, 0]
        );
        let fitted = model.fit(data(&numbers, &[0, 4])).unwrap();
        assert_eq!(fitted.train.labels.classes(), [0, 4]);
        assert_eq!(fitted.unseen, ["3", "4"]);
        let reversed = description(3, &["0", "1"]);
        let fitted = reversed.fit(data(&["ant", "bee"], &[1, 0])).unwrap();
        assert_eq!(fitted.train.labels.classes(), [1, 0]);
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
