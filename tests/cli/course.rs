//! The commands of the course's exercises.

use std::fs;
use std::path::Path;

use crate::support::Chainrule;

/// Their flags are known, the tensors that they leave blank exist, and the gradients are right. Trainings and
/// benchmarks are left out, because they take long.
#[test]
fn exercises() {
    let course = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/course");
    let program = Chainrule::new();
    let mut commands = 0;
    for chapter in fs::read_dir(course).unwrap() {
        let text = fs::read_to_string(chapter.unwrap().path()).unwrap();
        let lines = text.lines();
        for command in lines.filter_map(|line| line.strip_prefix("//! chainrule ")) {
            let args: Vec<&str> = command.split_whitespace().collect();
            if ["explain", "gradcheck"].contains(&args[0]) {
                program.stdout(&args);
                commands += 1;
            }
        }
    }
    assert_eq!(commands, 18, "exercises with a command that is quick");
}
