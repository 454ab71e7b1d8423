//! A table of text, with the settings to read it by.

use chainrule::data::{self, FileKind, LoadOptions, TableOptions};
use chainrule::settings::{Config, Settings};

use crate::dataset::{fit, load};
use crate::files::{Files, sound};
use crate::memory::{bounded, expanded};

/// Between the settings and the table.
const BETWEEN: &[u8] = b"\n---\n";

/// The input is a file of settings, a line of three dashes, and a CSV file; without such a line it is the CSV file.
///
/// A table that is read is read again by its own schema: as a data set, and as rows to predict. The schema encodes all
/// rows in finite numbers.
pub fn csv(input: &[u8]) -> bool {
    let between = input.windows(BETWEEN.len()).position(|w| w == BETWEEN);
    let (said, table) = match between {
        Some(at) => (&input[..at], &input[at + BETWEEN.len()..]),
        None => (&[][..], input),
    };
    let files = Files::new();
    let path = files.write("table.csv", table);
    let settings =
        sound(Settings::from_file(&files.write("settings.toml", said))).unwrap_or_default();
    let Some(config) = sound(Config::new(&settings)) else {
        return false;
    };
    let mut options = LoadOptions {
        path: Some(path.clone()),
        test: true,
        test_data: None,
        ..config.source.clone()
    };
    let Some(dataset) = load(&options, expanded(table)) else {
        return false;
    };
    // A model knows its task.
    options.table.task = Some(dataset.task);
    let samples = dataset.train.len() + dataset.test.as_ref().map_or(0, |test| test.len());
    sound(config.for_data(&dataset));
    let table_options = options.table.clone();
    let Some(schema) = fit(dataset) else {
        return false;
    };
    if options.test_split.is_none() {
        let again = data::load_for(&options, Some(&schema)).expect("its own schema fits a table");
        assert_eq!(again.train.len(), samples);
    }
    let rows_options = TableOptions {
        labels: Vec::new(),
        ..table_options
    };
    let read = || data::read_input(&path, &schema, None, &rows_options);
    let rows = bounded(expanded(table), || sound(read()));
    rows.is_some_and(|(kind, rows)| {
        assert_eq!(kind, FileKind::Csv);
        // Those without a label, which are left out of a data set, can be predicted.
        assert!(rows.samples.len() >= samples);
        assert!(rows.ids.iter().all(|(_, texts)| texts.len() == samples));
        true
    })
}
