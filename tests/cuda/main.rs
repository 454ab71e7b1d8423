//! The CUDA backend and its kernels on the CPU. The driver is a stand-in that runs the sources of the kernels
//! (`kernels/emulator`); no GPU is used.
//!
//! With `CHAINRULE_TEST_GPU=1` the same tests run on the machine's first CUDA device. [`gpu`] does this by itself if
//! there is one.
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
