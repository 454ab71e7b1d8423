//! The CUDA backend and its kernels, on the CPU: the driver is a stand-in that runs the kernels' own sources (`kernels/emulator`). No GPU takes part.
//!
//! With `CHAINRULE_TEST_GPU=1` the same tests run on the machine's first CUDA device instead; [`gpu`] does that by itself where there is one.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod backend;
mod emulator;
mod golden;
mod gpu;
mod kernels;
#[path = "../golden/library.rs"]
mod library;
mod machine;
mod no_driver;
mod program;
#[path = "../reference/mod.rs"]
mod reference;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod support;
mod training;
