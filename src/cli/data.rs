//! `data`: look at a data set, check its files, draw its classes.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::output;
use crate::data::{
    Dataset, DatasetDescription, Fitted, Normalize, Schema, Task, class_picture, load, locate,
    verify,
};
use crate::durable;
use crate::error::{Error, Result};
use crate::metrics::format_in_units;
use crate::settings::{Config, DataSettings, Settings};
use crate::text::printable::{printable, printable_path};
use crate::text::table;

/// What to do with a data set.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Print path, sizes, value range and the number of samples of each class.
    Info {
        /// Which data set.
        #[command(flatten)]
        source: DataSource,
        /// Print one JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Check the files of a known data set against their checksums; load and check any other data set.
    Verify {
        /// Which data set.
        #[command(flatten)]
        source: DataSource,
    },
    /// Draw one example of each class with its name and its number of samples.
    Show {
        /// Which data set.
        #[command(flatten)]
        source: DataSource,
        /// The picture to write.
        #[arg(long, value_name = "PNG", default_value = "classes.png")]
        out: PathBuf,
    },
}

/// The flags that name a data set: those of `train`.
#[derive(Debug, Args)]
pub struct DataSource {
    #[command(flatten)]
    settings: DataSettings,
    /// Seed of the split into training and validation samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl DataSource {
    fn load(&self) -> Result<Dataset> {
        load(&self.settings.load_options()?)
    }

    /// Loads a data set, and fits it as `train` does.
    fn fit(&self) -> Result<Fitted> {
        let mut settings = Settings {
            data: self.settings.clone(),
            ..Settings::default()
        };
        settings.train.seed = Some(self.seed);
        let (config, data) = (Config::new(&settings)?, Arc::new(self.load()?));
        data.check()?;
        let split = config.split(&data);
        Fitted::new(data, &split.train, None)
    }
}

/// Runs the command. Its results go to standard output.
///
/// # Errors
/// The errors of loading a data set, and [`Error::Format`] if `verify` finds a bad file.
pub(super) fn run(command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Info { source, json } => info(&source, json),
        DataCommand::Verify { source } => verify_files(&source),
        DataCommand::Show { source, out } => show(&source, &out),
    }
}

/// Prints what `write` writes.
fn print(write: impl FnOnce(&mut String) -> fmt::Result) -> Result<()> {
    let mut text = String::new();
    write(&mut text).map_err(|error| Error::Check(error.to_string()))?;
    output::print(&text)
}

fn info(source: &DataSource, json: bool) -> Result<()> {
    let description = DatasetDescription::of_fitted(&source.fit()?)?;
    if json {
        output::print_json(&description)
    } else {
        let normalize = source.settings.normalize.unwrap_or(Normalize::Standard);
        print(|out| {
            write_info(out, &description)?;
            match &description.schema {
                Some(schema) => write_schema(out, schema, normalize),
                None => Ok(()),
            }
        })
    }
}

fn write_info(out: &mut String, data: &DatasetDescription) -> fmt::Result {
    writeln!(out, "{}", printable(&data.name))?;
    writeln!(out, "path      {}", printable_path(&data.path))?;
    writeln!(out, "samples   {}", data.counts())?;
    match data.image {
        Some(image) => writeln!(out, "features  {} (images of {image})", data.width)?,
        None => writeln!(out, "features  {}", data.width)?,
    }
    for part in &data.parts {
        let (name, dtype) = (part.name, part.dtype);
        writeln!(
            out,
            "values    {dtype}, {} to {} ({name})",
            part.min, part.max
        )?;
    }
    writeln!(out, "sha256    {}", data.hash)?;
    for notice in &data.notices {
        writeln!(out, "note      {}", printable(notice))?;
    }
    let rows = match data.task {
        Task::Classification => label_rows(data, "class"),
        Task::Multilabel => label_rows(data, "name"),
        Task::Regression => target_rows(data),
    };
    write!(out, "\n{}", table::align(&rows, 2))
}

/// How often each class or label occurs.
fn label_rows(data: &DatasetDescription, title: &str) -> Vec<Vec<String>> {
    let header = ["label", title].into_iter();
    let header = header.chain(data.parts.iter().map(|part| part.name));
    let mut rows = vec![header.map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(data.class_names.iter().enumerate().map(|(label, name)| {
        let counts = data.parts.iter().map(|part| part.class_counts[label]);
        let counts = counts.map(|count| count.to_string());
        [label.to_string(), name.clone()]
            .into_iter()
            .chain(counts)
            .collect()
    }));
    rows
}

/// Range and mean of each number to predict.
fn target_rows(data: &DatasetDescription) -> Vec<Vec<String>> {
    let header = ["target", "part", "min", "mean", "max"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for part in &data.parts {
        for (name, target) in data.class_names.iter().zip(&part.targets) {
            let numbers = [target.min, target.mean, target.max].map(format_in_units);
            let row = [name.clone(), part.name.to_owned()];
            rows.push(row.into_iter().chain(numbers).collect());
        }
    }
    rows
}

/// Each column with its kind and what is done to it.
fn write_schema(out: &mut String, schema: &Schema, normalize: Normalize) -> fmt::Result {
    let mut rows = vec![
        ["column", "name", "kind", "treatment", "inputs"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(schema.columns.iter().map(|column| {
        let name = if schema.has_names {
            column.name.as_str()
        } else {
            ""
        };
        let treatment = &column.treatment;
        vec![
            column.position.to_string(),
            name.to_owned(),
            treatment.kind().to_owned(),
            treatment.in_words(),
            treatment.inputs().to_string(),
        ]
    }));
    write!(out, "\n{}", table::align(&rows, 4))?;
    let numbers = match normalize {
        Normalize::Standard => "get mean 0 and standard deviation 1 over the training rows",
        Normalize::Auto => "stay as they are",
    };
    writeln!(
        out,
        "\nNumbers {numbers}, inputs of 0 and 1 stay as they are."
    )
}

fn verify_files(source: &DataSource) -> Result<()> {
    let options = source.settings.load_options()?;
    let path = locate(options.path.as_deref())?;
    let checks = verify(&options)?;
    print(|out| {
        for check in &checks {
            let path = printable_path(&check.path);
            match &check.outcome {
                Ok(what) => writeln!(out, "{path}: OK ({})", printable(what))?,
                Err(why) => writeln!(out, "{path}: FAILED ({})", printable(why))?,
            }
        }
        Ok(())
    })?;
    match checks.iter().filter(|check| check.outcome.is_err()).count() {
        0 => Ok(()),
        bad => Err(Error::format(
            &path,
            "contents",
            "only good files",
            format!("{bad} of {} bad", checks.len()),
        )),
    }
}

fn show(source: &DataSource, out: &Path) -> Result<()> {
    output::check_output(out)?;
    let picture = class_picture(&source.load()?)?;
    durable::write(out, &picture)?;
    print(|stdout| writeln!(stdout, "{}", printable_path(out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &Path) -> DataSource {
        let settings = DataSettings {
            path: Some(path.to_owned()),
            ..DataSettings::default()
        };
        DataSource { settings, seed: 0 }
    }

    #[test]
    fn bad_files_end_with_exit_code_2() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, "1,2,0\n3,inf,1\n").unwrap();
        let error = run(DataCommand::Verify {
            source: source(&path),
        })
        .unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().ends_with("found 1 of 1 bad"), "{error}");
        std::fs::write(&path, "1,2,0\n3,4,1\n").unwrap();
        let source = source(&path);
        assert!(run(DataCommand::Verify { source }).is_ok());
    }

    #[test]
    fn a_picture_is_written_where_there_is_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        // Two images of 4×4 pixels as IDX files.
        let path = dir.path().to_owned();
        let images = [
            &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4][..],
            &[9; 32],
        ]
        .concat();
        std::fs::write(path.join("train-images-idx3-ubyte"), images).unwrap();
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 0, 1];
        std::fs::write(path.join("train-labels-idx1-ubyte"), labels).unwrap();
        let show = |out: PathBuf| {
            run(DataCommand::Show {
                source: source(&path),
                out,
            })
        };
        assert_eq!(
            show(dir.path().join("gone/a.png")).unwrap_err().exit_code(),
            2
        );
        show(dir.path().join("a.png")).unwrap();
        assert!(
            std::fs::read(dir.path().join("a.png"))
                .unwrap()
                .starts_with(b"\x89PNG")
        );
    }

    #[test]
    fn the_table_lists_every_part_and_class() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, "a,b,label\n1,2,cat\n3,4,ant\n3,5,cat\n").unwrap();
        let mut out = String::new();
        let description = DatasetDescription::of(&source(&path).load().unwrap()).unwrap();
        write_info(&mut out, &description).unwrap();
        let text = out;
        for line in [
            "samples   3 train",
            "values    f64, 1 to 5 (train)",
            "note      label: column \"label\" (2)",
            "1      cat        2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
