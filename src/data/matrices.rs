//! Plain matrices from a file: answers to a quiz, not samples.

use std::path::Path;

use super::load::{FileKind, kind_of};
use super::npz::Npz;
use super::open::InputFile;
use crate::error::{Error, Result};

/// A matrix with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedMatrix {
    /// The array's name, or the file's without its ending.
    pub name: String,
    /// Rows and columns. A list of numbers is one row.
    pub shape: [usize; 2],
    /// Row-major.
    pub values: Vec<f64>,
}

/// The matrices of an NPZ file, an NPY file, or a CSV file of numbers without a header.
///
/// # Errors
/// If the file is none of them, is damaged, or holds something else than matrices of numbers.
pub fn read_matrices(path: &Path) -> Result<Vec<NamedMatrix>> {
    let source = InputFile::open(path)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match kind_of(source.peek()) {
        FileKind::Npz => {
            let mut npz = Npz::open(source)?;
            let files: Vec<String> = npz.names().map(str::to_owned).collect();
            let arrays = files.iter().map(|file| {
                let name = file.strip_suffix(".npy").unwrap_or(file);
                npz.read(path, name, file, |array| named(name, array.read_matrix()?))
            });
            arrays.collect()
        }
        FileKind::Npy => {
            let matrix = super::arrays::read_npy(source, &stem, |array| array.read_matrix())?;
            Ok(vec![named(&stem, matrix)?])
        }
        FileKind::Csv => Ok(vec![read_csv(path, source, &stem)?]),
        FileKind::Idx | FileKind::Png => {
            let expected = "an NPZ or NPY file, or numbers separated by commas";
            Err(Error::format(
                path,
                "byte 0",
                expected,
                "another kind of file",
            ))
        }
    }
}

fn named(name: &str, (shape, values): ([usize; 2], Vec<f64>)) -> Result<NamedMatrix> {
    Ok(NamedMatrix {
        name: name.to_owned(),
        shape,
        values,
    })
}

fn read_csv(path: &Path, mut source: InputFile, name: &str) -> Result<NamedMatrix> {
    let bytes = source.read_all()?;
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(&bytes[..]);
    let (mut rows, mut values) = (0, Vec::new());
    for record in reader.records() {
        let place = format!("line {}", rows + 1);
        let wrong =
            |expected: &str, found: String| Error::format(path, place.clone(), expected, found);
        let record =
            record.map_err(|e| wrong("as many numbers as in the lines before", e.to_string()))?;
        for cell in &record {
            let number = cell
                .parse()
                .map_err(|_| wrong("a number", format!("{cell:?}")))?;
            values.push(number);
        }
        rows += 1;
    }
    if values.is_empty() {
        return Err(Error::format(path, "line 1", "numbers", "an empty file"));
    }
    named(name, ([rows, values.len() / rows], values))
}
