//! Runs all other tests on the machine's own device, if there is one, in a separate process. The emulated device does
//! not count as one.

use std::process::Command;

use chainrule::backend::Cuda;

use crate::machine::{NOT_A_GPU, own_device};

/// A command that runs the tests of this program with the machine's own driver.
fn tests(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(args)
        .env("CHAINRULE_TEST_GPU", "1")
        .env_remove("LD_LIBRARY_PATH");
    command
}

#[test]
fn everything_on_the_machines_own_device() {
    if own_device() {
        let cuda = Cuda::new(0).unwrap();
        println!("device: {}", cuda.device());
        assert!(!cuda.device().name().contains(NOT_A_GPU));
        return;
    }
    let here = "gpu::everything_on_the_machines_own_device";
    let probe = tests(&["--exact", here]).output().unwrap();
    if !probe.status.success() {
        let said = [probe.stdout, probe.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let why = said.lines().find(|line| line.contains("cuda:0"));
        println!("SKIPPED: nothing in this program ran on a GPU: {why:?}");
        return;
    }
    let outcome = tests(&["--nocapture", "--test-threads", "1"]).status();
    assert!(outcome.unwrap().success(), "on this machine's own device");
}
