//! The commands of the course's exercises.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{Chainrule, write_images};

/// Their flags are known, the tensors that they leave blank exist, the gradients are right, and what is trained is so
/// on a small data set. `bench` is left out, because it takes long; it has tests of its own.
#[test]
fn exercises() {
    let course = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/course");
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    let mut commands = BTreeMap::new();
    for chapter in fs::read_dir(course).unwrap() {
        let text = fs::read_to_string(chapter.unwrap().path()).unwrap();
        let lines = text.lines();
        for command in lines.filter_map(|line| line.strip_prefix("//! chainrule ")) {
            let args: Vec<&str> = command.split_whitespace().collect();
            *commands.entry(args[0].to_owned()).or_insert(0) += 1;
            if args[0] != "bench" {
                let mut command = program.command(&args);
                let output = command.env("CHAINRULE_DATA", "set.npz").output().unwrap();
                assert!(output.status.success(), "{args:?}: {output:?}");
            }
        }
    }
    let expected = [
        ("bench", 1),
        ("explain", 10),
        ("gradcheck", 8),
        ("train", 2),
        ("verify", 1),
    ];
    assert_eq!(
        commands,
        expected
            .map(|(name, count)| (name.to_owned(), count))
            .into()
    );
}
