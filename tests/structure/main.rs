//! The source keeps its own promises: dependencies point one way, names mean one thing, and prose can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Prose and code are read in windows of this many columns.
const COLUMNS: usize = 120;
/// A file longer than this is several.
const LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder with its text, by its path from there.
fn sources(folder: &str) -> BTreeMap<PathBuf, String> {
    let top = root().join(folder);
    let mut found = BTreeMap::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&top).unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The code of a file: without comments, and without its tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    path.file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .ends_with("tests")
        || path.starts_with("tests")
}

/// The paths that follow `crate::`, one for each name of a list in braces.
fn crate_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        paths.extend(expand(rest));
    }
    paths
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`; what stands behind the path is left out.
fn expand(text: &str) -> Vec<String> {
    let path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !path(c)).unwrap_or(text.len());
    let (head, tail) = text.split_at(end);
    if !tail.starts_with('{') {
        return vec![head.to_owned()];
    }
    let (mut depth, mut start, mut all) = (0, 1, Vec::new());
    for (at, c) in tail.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            all.extend(
                expand(tail[start..at].trim())
                    .iter()
                    .map(|p| format!("{head}{p}")),
            );
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    all
}

/// The sketch in the crate's documentation: each module with the number of its line, from the top.
fn sketch() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines = text.lines().skip_while(|line| *line != "//! ```text");
    let lines = lines.skip(1).take_while(|line| *line != "//! ```");
    let mut ranks = BTreeMap::new();
    for (rank, line) in lines.enumerate() {
        for name in line.trim_start_matches("//!").split_whitespace() {
            assert!(
                ranks.insert(name.to_owned(), rank).is_none(),
                "{name} stands twice"
            );
        }
    }
    ranks
}

#[test]
fn modules_use_only_what_is_below_them() {
    let ranks = sketch();
    let sources = sources("src");
    let module = |path: &Path| {
        let first = path.iter().next().unwrap().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    };
    let modules: BTreeSet<String> = sources.keys().map(|path| module(path)).collect();
    let known: BTreeSet<String> = ranks
        .keys()
        .cloned()
        .chain(["lib".into(), "main".into()])
        .collect();
    assert_eq!(
        modules, known,
        "the sketch in src/lib.rs names other modules than there are"
    );
    for (path, text) in sources.iter().filter(|(path, _)| !is_test(path)) {
        let own = module(path);
        let Some(rank) = ranks.get(&own) else {
            continue;
        };
        for used in crate_paths(&code(text)) {
            let used = used.split("::").next().unwrap();
            if used == own {
                continue;
            }
            // What is no module is a name that src/lib.rs hands on, as `Result`.
            if let Some(other) = ranks.get(used) {
                assert!(
                    other > rank,
                    "{} uses {used}, which is not below {own}",
                    path.display()
                );
            }
        }
    }
}

/// Files that name each other's items. A `mod.rs` that joins its files and a file that uses its parent are none.
#[test]
fn no_files_use_each_other_in_a_circle() {
    let sources = sources("src");
    let file = |path: &str| -> Option<PathBuf> {
        let mut parts: Vec<&str> = path.split("::").collect();
        while !parts.is_empty() {
            let candidate = PathBuf::from(parts.join("/") + ".rs");
            if sources.contains_key(&candidate) {
                return Some(candidate);
            }
            parts.pop();
        }
        None
    };
    let mut uses: BTreeMap<&Path, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, text) in sources.iter().filter(|(path, _)| !is_test(path)) {
        let code = code(text);
        let parent = path.parent().unwrap().to_str().unwrap().replace('/', "::");
        let mut paths = crate_paths(&code);
        for (at, _) in code.match_indices("super::") {
            if !code[..at].ends_with("::") {
                let rest = &code[at + "super::".len()..];
                paths.extend(expand(rest).iter().map(|p| format!("{parent}::{p}")));
            }
        }
        let used = paths
            .iter()
            .filter_map(|p| file(p))
            .filter(|used| used != path);
        uses.insert(path, used.collect());
    }
    // Leaves are taken away until only circles and what leads to them are left.
    loop {
        let leaves: Vec<&Path> = uses
            .iter()
            .filter(|(_, used)| used.is_empty())
            .map(|(path, _)| *path)
            .collect();
        if leaves.is_empty() {
            break;
        }
        for leaf in leaves {
            uses.remove(leaf);
            for used in uses.values_mut() {
                used.remove(leaf);
            }
        }
    }
    assert!(
        uses.is_empty(),
        "files in a circle, or that use one: {uses:#?}"
    );
}

#[test]
fn type_names_are_unique() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, text) in sources("src").iter().filter(|(path, _)| !is_test(path)) {
        for line in code(text).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(at) = words
                .iter()
                .position(|w| ["struct", "enum", "trait"].contains(w))
            else {
                continue;
            };
            let starts = words[..at]
                .iter()
                .all(|w| w.starts_with("pub") || *w == "unsafe" || w.ends_with(')'));
            // A macro's `$name` stands for many.
            let is_name = |word: &&&str| starts && !word.starts_with('$');
            let Some(name) = words.get(at + 1).filter(is_name) else {
                continue;
            };
            let end = name
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(name.len());
            places
                .entry(name[..end].to_owned())
                .or_default()
                .push(path.clone());
        }
    }
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "types of one name: {places:#?}");
}

#[test]
fn lines_of_prose_and_files_are_short() {
    let mut long = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            if lines > LINES {
                long.push(format!("{folder}/{}: {lines} lines", path.display()));
            }
            for (number, line) in text.lines().enumerate() {
                // An address or a row of a table cannot be broken.
                let whole = line.contains("http")
                    || line.trim_start_matches([' ', '/', '!']).starts_with('|');
                let prose = line.trim_start().starts_with("//") && !whole;
                if prose && line.chars().count() > COLUMNS {
                    long.push(format!("{folder}/{}:{}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(
        long.is_empty(),
        "longer than {COLUMNS} columns or {LINES} lines: {long:#?}"
    );
}

/// The last bits of the system's functions differ between machines, and Rust promises none of `powi`.
#[test]
fn no_bit_depends_on_the_system_s_functions() {
    // Charts and times are not the same everywhere anyway.
    let free = ["bench", "report"];
    // Generic code calls the functions of `Real`, which have the same names.
    let generic = ["backend", "nn", "ops", "real"];
    let mut found = Vec::new();
    for (path, text) in sources("src").iter().filter(|(path, _)| !is_test(path)) {
        let module = path.iter().next().unwrap().to_str().unwrap();
        if free.contains(&module) {
            continue;
        }
        let code = code(text);
        let mut calls = vec![".powi(", ".powf(", ".sin()", ".cos()"];
        if !generic.contains(&module) {
            calls.extend([".exp()", ".exp_m1()", ".ln()", ".ln_1p()", ".tanh()"]);
        }
        calls.retain(|call| code.contains(call));
        if !calls.is_empty() {
            found.push(format!("{}: {}", path.display(), calls.join(" ")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
