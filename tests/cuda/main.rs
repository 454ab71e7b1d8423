//! The CUDA backend and its kernels, on the CPU: the driver is a stand-in that runs the kernels' own sources (`kernels/emulator`). No GPU takes part.
//!
//! With `CHAINRULE_TEST_GPU=1` the kernels run on the machine's first CUDA device instead.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod emulator;
mod kernels;
