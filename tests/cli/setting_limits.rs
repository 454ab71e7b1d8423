//! Settings at the limits of their types, and paths that no file can hold: each is refused by its flag.

use crate::support::{Chainrule, write_images};

/// Numbers at the limits of their types, and those that are none: each is refused by its flag before anything is done.
#[test]
fn numbers_that_no_setting_can_be() {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    for (flags, words) in [
        (&["--epochs", "-1"][..], ["--epochs", "-1"]),
        (
            &["--seed", "9223372036854775808"],
            ["--seed", "9223372036854775807"],
        ),
        (
            &["--warmup", "9223372036854775808"],
            ["--warmup", "schedule.warmup"],
        ),
        (
            &["--step-size", "18446744073709551615"],
            ["--step-size", "schedule.step_size"],
        ),
        (
            &["--widths", "18446744073709551615"],
            ["--widths", "model.widths"],
        ),
        (
            &["--batch-size", "18446744073709551615"],
            ["--batch-size", "2147483648"],
        ),
        (&["--weight-decay", "nan"], ["--weight-decay", "NaN"]),
        (&["--beta1", "inf"], ["--beta1", "[0, 1)"]),
        (&["--eps", "nan"], ["--eps", "optimizer.eps"]),
        (
            &["--schedule", "plateau", "--factor", "inf"],
            ["--factor", "(0, 1)"],
        ),
        (&["--lr", "-inf"], ["--lr", "-inf"]),
        (&["--milestones", "-1,2"], ["--milestones", "-1"]),
    ] {
        let args = [&["train", "--data", "set.npz"], flags].concat();
        program.refused(&args, &words);
    }
    let search = [
        "search",
        "--data",
        "set.npz",
        "--batch-size",
        "20",
        "--epochs",
        "1",
    ];
    for (flags, words) in [
        (
            &["--lr", "0.1..0.2", "--repeats", "4000000000"][..],
            ["--repeats", "10000"],
        ),
        (
            &["--lr", "0.1..0.2", "--trials", "4000000000"],
            ["--trials", "1000000"],
        ),
        (
            &["--lr", "0.0001..0.1:1e-300", "--sampler", "grid"],
            ["--lr", "1e-300"],
        ),
    ] {
        program.refused(&[&search, flags].concat(), &words);
    }
    let gradcheck = ["gradcheck", "--batch-size", "2147483648"];
    program.refused(&gradcheck, &["--batch-size", "2147483648"]);
    program.refused(
        &["gradcheck", "--batch-size", "4294967295"],
        &["--batch-size"],
    );
    program.refused(
        &["gradcheck", "--inputs", "1000000"],
        &["--width", "parameters"],
    );
    assert!(!program.path("runs").exists(), "no run was begun");
}

#[cfg(unix)]
#[test]
fn paths_that_no_file_can_hold() {
    use std::os::unix::ffi::OsStrExt;
    let program = Chainrule::new();
    let path = std::ffi::OsStr::from_bytes(b"a\xff");
    for (args, flag) in [
        (&["train", "--data"][..], "--data"),
        (&["train", "--out"], "--out"),
        (&["search", "--lr", "0.1..0.2", "--data"], "--data"),
        (&["search", "--lr", "0.1..0.2", "--study"], "--study"),
        (&["study", "--out"], "--out"),
    ] {
        let output = program.command(args).arg(path).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains(flag) && stderr.contains("UTF-8"),
            "{stderr}"
        );
    }
    assert_eq!(std::fs::read_dir(program.path(".")).unwrap().count(), 0);
}
