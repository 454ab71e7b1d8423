//! Finding the data set if the user does not name it.

use std::path::{Path, PathBuf};

use super::known;
use crate::error::{Error, Result};
use crate::input::is_standard_input;

/// The environment variable that names the data set.
pub const VARIABLE: &str = "CHAINRULE_DATA";

pub(super) const HOW_TO_GET: &str = "install the Debian package (apt-get install dataset-fashion-mnist) or take the four files from \
github.com/zalandoresearch/fashion-mnist (data/fashion), then name the folder with --data";

/// Returns where the data set is: the explicit path, else the variable `CHAINRULE_DATA`, else the first folder
/// that holds Fashion-MNIST's training files. The folders are `data/fashion-mnist` below the current folder,
/// the same below the crate's own folder, and `/usr/share/datasets/fashion-mnist`.
///
/// # Errors
/// [`Error::Missing`] if a named path does not exist, or if nothing is named and no folder holds the files. In
/// the second case the error lists all places that were tried.
pub fn locate(path: Option<&Path>) -> Result<PathBuf> {
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    locate_among(
        path,
        variable.map(PathBuf::from),
        &[
            PathBuf::from("data/fashion-mnist"),
            Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fashion-mnist"),
            PathBuf::from("/usr/share/datasets/fashion-mnist"),
        ],
    )
}

fn locate_among(
    path: Option<&Path>,
    variable: Option<PathBuf>,
    candidates: &[PathBuf],
) -> Result<PathBuf> {
    let (named, hint) = match (path, variable) {
        (Some(path), _) => (path.to_owned(), String::new()),
        (None, Some(path)) => (path, format!("it is named by {VARIABLE}")),
        (None, None) => return first_of(candidates),
    };
    if named.exists() || is_standard_input(&named) {
        Ok(named)
    } else {
        Err(Error::Missing { path: named, hint })
    }
}

fn first_of(candidates: &[PathBuf]) -> Result<PathBuf> {
    let holds_training_images = |folder: &&PathBuf| {
        folder.join(known::TRAIN_IMAGES).exists()
            || folder.join(format!("{}.gz", known::TRAIN_IMAGES)).exists()
    };
    if let Some(found) = candidates.iter().find(holds_training_images) {
        return Ok(found.clone());
    }
    let tried: Vec<String> = candidates
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Err(Error::Missing {
        path: PathBuf::from("Fashion-MNIST"),
        hint: format!(
            "tried --data, {VARIABLE}, {}; {HOW_TO_GET}",
            tried.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explicit_then_variable_then_candidates() {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let (explicit, variable, empty) = (folder("a"), folder("b"), folder("c"));
        let packed = folder("d");
        std::fs::write(packed.join("train-images-idx3-ubyte.gz"), "").unwrap();
        let candidates = [empty, packed.clone()];

        let found = locate_among(Some(&explicit), Some(variable.clone()), &candidates);
        assert_eq!(found.unwrap(), explicit);
        let found = locate_among(None, Some(variable.clone()), &candidates);
        assert_eq!(found.unwrap(), variable);
        assert_eq!(locate_among(None, None, &candidates).unwrap(), packed);

        let gone = dir.path().join("gone");
        let error = locate_among(Some(&gone), Some(variable), &candidates).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        let error = locate_among(None, Some(gone), &candidates).unwrap_err();
        assert!(error.to_string().contains("CHAINRULE_DATA"), "{error}");
    }

    #[test]
    fn nowhere_lists_the_places_and_the_remedy() {
        let places = [
            PathBuf::from("/nonexistent/1"),
            PathBuf::from("/nonexistent/2"),
        ];
        let error = locate_among(None, None, &places).unwrap_err().to_string();
        for part in [
            "/nonexistent/1, /nonexistent/2",
            "apt-get install dataset-fashion-mnist",
            "zalandoresearch",
            "--data",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
}
