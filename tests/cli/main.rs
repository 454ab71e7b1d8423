//! Tests that run the program as a user does.

mod analyze;
mod bad_input;
mod bench;
mod completions;
mod course;
mod eval;
mod explain;
mod file_forms;
mod folds;
mod foreign_journals;
mod golden;
mod gradcheck;
mod inputs;
mod journals;
mod judged_tasks;
mod monitors;
mod older;
mod predict;
mod printed;
#[path = "../reference/mod.rs"]
mod reference;
mod report;
mod resume;
mod run_folders;
mod runs;
mod search;
mod setting_limits;
mod study;
mod support;
mod sweep;
mod table_files;
mod table_settings;
mod tables;
mod tasks;
mod train;
mod verify;
