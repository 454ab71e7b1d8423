//! Seeds and findings keep their promises: each file of the corpus goes through its target.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use chainrule_fuzz::TARGETS;

fn entries(folder: &str) -> BTreeSet<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Memory is counted for the whole process, so this is one test.
#[test]
fn every_file_of_the_corpus_keeps_the_promises() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let (mut accepted, mut refused) = (0, 0);
        for path in entries(&format!("corpus/{name}")) {
            let bytes = fs::read(&path).unwrap();
            match catch_unwind(|| target(&bytes)) {
                Ok(true) => accepted += 1,
                Ok(false) => refused += 1,
                Err(_) => broken.push(path),
            }
        }
        println!("{name}: {accepted} files accepted, {refused} refused");
        assert!(
            accepted > 0 && refused > 0,
            "{name}: {accepted} accepted, {refused} refused"
        );
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_is_fuzzed_and_has_a_corpus() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    for folder in ["corpus", "fuzz_targets"] {
        let stems = entries(folder).into_iter();
        let stems = stems.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
        assert_eq!(stems.collect::<BTreeSet<String>>(), names, "{folder}");
    }
}
