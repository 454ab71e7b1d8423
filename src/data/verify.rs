//! Comparing the files of a data set with their known checksums.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::idx_folder::idx_file;
use super::known::{self, FASHION_MNIST, KnownFile};
use super::open::InputFile;
use super::{Dataset, DatasetDescription, Fitted, LoadOptions, load, locate};
use crate::error::{Error, Result};
use crate::input::{self, BoundedFile};
use crate::text::hex;

const SUMS: &str = "SHA256SUMS";
/// The largest list of checksums, in bytes: a line takes about a hundred.
const MAX_SUMS: u64 = 16 << 20;
const CHUNK: usize = 64 << 10;
const OFFICIAL: [&str; 4] = [
    known::TRAIN_IMAGES,
    known::TRAIN_LABELS,
    known::TEST_IMAGES,
    known::TEST_LABELS,
];

/// The result of checking one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// The file.
    pub path: PathBuf,
    /// What the file holds, or what is wrong with it.
    pub outcome: Result<String, String>,
}

/// Checks a data set's files. If the folder has a `SHA256SUMS`, the files are compared with that. Else, if the
/// folder has files with Fashion-MNIST's names, their contents are compared with the built-in checksums. Else
/// the data set is loaded, which checks everything.
///
/// # Errors
/// If the path does not exist or `SHA256SUMS` cannot be read. Bad files are reported in the result.
pub fn verify(options: &LoadOptions) -> Result<Vec<FileCheck>> {
    let path = locate(options.path.as_deref())?;
    if path.join(SUMS).exists() {
        verify_sums(&path)
    } else if OFFICIAL.iter().any(|name| idx_file(&path, name).is_some()) {
        Ok(OFFICIAL
            .iter()
            .map(|name| verify_official(&path, name))
            .collect())
    } else {
        let fit = |data: Dataset| {
            let rows: Vec<u32> = (0..data.train.len() as u32).collect();
            Fitted::new(Arc::new(data), &rows, None)
        };
        let outcome = match load(options).and_then(fit) {
            Ok(fitted) => {
                let data = fitted.data();
                let description = DatasetDescription::of(data)?;
                Ok(format!(
                    "{}, {} features, {} classes; sizes, labels and values checked",
                    description.counts(),
                    description.width,
                    data.classes()
                ))
            }
            Err(error) => Err(error.to_string()),
        };
        Ok(vec![FileCheck { path, outcome }])
    }
}

fn verify_sums(folder: &Path) -> Result<Vec<FileCheck>> {
    let list = folder.join(SUMS);
    let text = input::read_text(&list, MAX_SUMS)?;
    let check = |(number, line): (usize, &str)| {
        let wrong = |expected| {
            let place = format!("line {}", number + 1);
            Error::format(&list, place, expected, format!("\"{line}\""))
        };
        let form = "64 hexadecimal digits, two spaces and a file name";
        let (expected, name) = parse_line(line).ok_or_else(|| wrong(form))?;
        if !is_inside(name) {
            return Err(wrong("the name of a file in this folder"));
        }
        let path = folder.join(name);
        let outcome = match packed_digest(&path) {
            Ok(found) if found.eq_ignore_ascii_case(expected) => Ok(format!("as in {SUMS}")),
            Ok(found) => Err(format!("SHA-256 is {found}, {SUMS} says {expected}")),
            Err(error) => Err(error.to_string()),
        };
        Ok(FileCheck { path, outcome })
    };
    let checks: Result<Vec<_>> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(check)
        .collect();
    match checks {
        Ok(checks) if checks.is_empty() => Err(Error::format(
            &list,
            "line 1",
            "a checksum",
            "an empty file",
        )),
        checks => checks,
    }
}

/// Parses a line of `sha256sum`: digest, a space, a space or star, name.
fn parse_line(line: &str) -> Option<(&str, &str)> {
    let (digest, name) = line.split_once(' ')?;
    let name = name.strip_prefix([' ', '*'])?;
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_digest && !name.is_empty()).then_some((digest, name))
}

/// Whether a name leads to a file in the folder or below it, and not out of it.
fn is_inside(name: &str) -> bool {
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    Path::new(name).components().all(inside)
}

fn packed_digest(path: &Path) -> Result<String> {
    let mut file = BoundedFile::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hex(hasher.finalize())),
            Ok(count) => hasher.update(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(file.error(error)),
        }
    }
}

fn verify_official(folder: &Path, name: &str) -> FileCheck {
    let Some(path) = idx_file(folder, name) else {
        return FileCheck {
            path: folder.join(name),
            outcome: Err("missing".to_owned()),
        };
    };
    let contents = InputFile::open(&path).and_then(|mut source| source.read_all());
    let outcome = match contents.map(|bytes| known::recognise(&[&bytes])) {
        Ok(Some(file)) if file.dataset == FASHION_MNIST && file.name == name => {
            Ok(format!("the official {FASHION_MNIST} contents"))
        }
        Ok(Some(KnownFile { dataset, name, .. })) => Err(format!("holds {name} of {dataset}")),
        Ok(None) => Err(format!("not the official {FASHION_MNIST} contents")),
        Err(error) => Err(error.to_string()),
    };
    FileCheck { path, outcome }
}

#[cfg(feature = "gzip")]
#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(path: &Path) -> LoadOptions {
        LoadOptions {
            path: Some(path.to_owned()),
            test: true,
            ..LoadOptions::default()
        }
    }

    fn outcomes(folder: &Path) -> Vec<Result<String, String>> {
        let checks = verify(&at(folder)).unwrap();
        checks.into_iter().map(|check| check.outcome).collect()
    }

    #[test]
    fn sums_are_compared() {
        let dir = tempfile::tempdir().unwrap();
        // SHA-256 of "abc" (FIPS 180-2), in both forms that sha256sum writes.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let sums = format!("{abc}  good\n{abc} *bad\n{}  gone\n", abc.to_uppercase());
        fs::write(dir.path().join(SUMS), sums).unwrap();
        fs::write(dir.path().join("good"), "abc").unwrap();
        fs::write(dir.path().join("bad"), "abd").unwrap();
        let found = outcomes(dir.path());
        assert!(found[0].is_ok());
        assert!(found[1].as_ref().unwrap_err().contains(abc));
        assert!(found[2].as_ref().unwrap_err().contains("no such file"));

        for text in [
            "",
            "abc  good\n",
            &format!("{abc}\n"),
            &format!("{abc}  \n"),
        ] {
            fs::write(dir.path().join(SUMS), text).unwrap();
            let error = verify(&at(dir.path())).unwrap_err();
            assert!(error.to_string().contains("line 1"), "{error}");
        }
    }

    /// A list may come from anywhere: it must not make the program look at other files.
    #[test]
    fn names_that_lead_out_of_the_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        fs::create_dir(dir.path().join("set")).unwrap();
        fs::create_dir(dir.path().join("set/below")).unwrap();
        for name in ["outside", "set/inside", "set/below/inside"] {
            fs::write(dir.path().join(name), "abc").unwrap();
        }
        let folder = dir.path().join("set");
        let absolute = dir.path().join("outside").display().to_string();
        for name in ["../outside", "below/../../outside", &absolute] {
            let sums = format!("{abc}  inside\n{abc}  {name}\n");
            fs::write(folder.join(SUMS), sums).unwrap();
            let error = verify(&at(&folder)).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let message = error.to_string();
            assert!(message.contains("line 2: expected the name of a file in this folder"));
            assert!(message.contains(name), "{message}");
        }
        fs::write(
            folder.join(SUMS),
            format!("{abc}  ./inside\n{abc}  below/inside\n"),
        )
        .unwrap();
        assert!(outcomes(&folder).iter().all(Result::is_ok));
    }

    #[test]
    fn other_contents_under_official_names() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(known::TRAIN_IMAGES), "other").unwrap();
        fs::write(dir.path().join("t10k-labels-idx1-ubyte.gz"), b"\x1f\x8bno").unwrap();
        let found = outcomes(dir.path());
        assert_eq!(found.len(), 4);
        assert!(found[0].as_ref().unwrap_err().contains("not the official"));
        assert_eq!(found[1], Err("missing".to_owned()));
        assert!(found[3].as_ref().unwrap_err().contains("intact gzip"));
    }

    #[test]
    fn other_data_sets_are_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "1,2,0\n3,4,1\n").unwrap();
        let [Ok(text)] = &outcomes(&path)[..] else {
            panic!("one good file")
        };
        assert!(text.starts_with("2 train, 2 features, 2 classes"), "{text}");
        fs::write(&path, "1,2,0\n3,inf,1\n").unwrap();
        assert!(
            outcomes(&path)[0]
                .as_ref()
                .unwrap_err()
                .contains("line 2, column 2")
        );
    }

    /// The real files, if the test runs inside of the repository.
    #[test]
    fn the_committed_files() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fashion-mnist");
        if path.exists() {
            assert!(outcomes(&path).iter().all(Result::is_ok));
            let official = OFFICIAL.map(|name| verify_official(&path, name));
            assert!(official.iter().all(|check| check.outcome.is_ok()));
        }
    }
}
