//! What is given as an input and is none: devices, pipes, folders, and files that say more than they hold.

use std::fs;

use serde_json::Value;

use crate::support::{Chainrule, npy, png, train, write_images};

/// Every command that reads a file, with `INPUT` in its place.
#[cfg(unix)]
const READERS: [&[&str]; 9] = [
    &["train", "--data", "INPUT"],
    &["train", "--config", "INPUT"],
    &["train", "--data", "set.npz", "--init-from", "INPUT"],
    &["data", "info", "--data", "INPUT"],
    &["data", "verify", "--data", "INPUT"],
    &["eval", "--model", "INPUT", "--data", "set.npz"],
    &["eval", "--model", "run", "--data", "INPUT"],
    &["predict", "--model", "run", "INPUT"],
    &["search", "--config", "INPUT", "--study", "s.journal"],
];

fn with_model() -> Chainrule {
    let program = Chainrule::new();
    write_images(&program, "set.npz");
    train(&program, "set.npz", "run", &["--epochs", "1"]);
    program
}

#[cfg(unix)]
#[test]
fn devices_and_named_pipes_are_refused_at_once() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let program = with_model();
    let made = std::process::Command::new("mkfifo")
        .arg(program.path("pipe"))
        .status();
    assert!(made.unwrap().success());
    for (input, what) in [("/dev/zero", "a device"), ("pipe", "a named pipe")] {
        for reader in READERS {
            let args: Vec<&str> = reader
                .iter()
                .map(|&a| if a == "INPUT" { input } else { a })
                .collect();
            let start = Instant::now();
            let mut child = program
                .command(&args)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            while child.try_wait().unwrap().is_none() {
                if start.elapsed() > Duration::from_secs(20) {
                    child.kill().unwrap();
                    panic!("{args:?} hangs");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            if args[..2] == ["data", "verify"] {
                assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
                continue;
            }
            assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
            let expected = format!("{input}: input: expected a file, found {what}");
            assert!(stderr.contains(&expected), "{args:?}: {stderr}");
        }
    }
}

/// The files of a run may be replaced by what never ends.
#[cfg(unix)]
#[test]
fn devices_among_the_files_of_a_run_are_refused() {
    use std::os::unix::fs::symlink;
    for name in ["config.toml", "metrics.jsonl", "checkpoint.safetensors"] {
        let program = with_model();
        fs::remove_file(program.path("run").join(name)).unwrap();
        symlink("/dev/zero", program.path("run").join(name)).unwrap();
        program.refused(&["train", "--resume", "run", "--epochs", "2"], &[name]);
    }
}

#[test]
fn folders_given_as_files_are_refused() {
    let program = with_model();
    fs::create_dir(program.path("folder")).unwrap();
    program.refused(
        &["train", "--config", "folder"],
        &["folder: input: expected a file, found a folder"],
    );
    program.refused(&["predict", "--model", "run", "folder"], &["a folder"]);
    let init = ["train", "--data", "set.npz", "--init-from", "folder"];
    program.refused(&init, &["folder", "a folder"]);
    program.refused(
        &["eval", "--model", "set.npz/below"],
        &["set.npz/below", "no such file"],
    );
}

/// What works through a pipe: tables, archives, images, models and settings.
#[cfg(any(target_os = "linux", windows))]
#[test]
fn inputs_are_read_through_a_pipe() {
    let program = with_model();
    program.write("row.png", png(3, 2, &[9; 6]));
    program.write("row.csv", "1,2,3,4,5,6\n");
    program.write("small.toml", "[train]\nepochs = 1\nbatch_size = 20\n");
    let model = "run/model.safetensors";
    for (file, args) in [
        (
            "set.npz",
            &["data", "info", "--data", "/dev/stdin", "--json"][..],
        ),
        (
            "row.csv",
            &["predict", "--model", "run", "/dev/stdin", "--json"],
        ),
        (
            "row.png",
            &["predict", "--model", "run", "/dev/stdin", "--json"],
        ),
        (
            model,
            &["predict", "--model", "/dev/stdin", "row.csv", "--json"],
        ),
        (
            "small.toml",
            &[
                "train",
                "--config",
                "/dev/stdin",
                "--data",
                "set.npz",
                "--json",
            ],
        ),
    ] {
        let output = program.piped(file, args);
        let value: Value = serde_json::from_str(&output.stdout).unwrap();
        assert!(value.is_object());
    }
}

/// An archive of 256 bytes: its only member and the header in it claim 2⁴⁰ bytes, but hold none.
fn lying_npz() -> Vec<u8> {
    let header = npy("|u1", &[1 << 20, 1 << 20], &[]);
    let packed = header.len() as u64;
    let claimed = (1_u64 << 40) + packed;
    let full = [0xff; 8];
    let mut bytes = b"PK\x03\x04\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend(full);
    bytes.extend(b"\x05\0\x14\0x.npy\x01\0\x10\0");
    bytes.extend(claimed.to_le_bytes());
    bytes.extend(packed.to_le_bytes());
    bytes.extend(&header);
    let directory = bytes.len() as u32;
    bytes.extend(b"PK\x01\x02\x2d\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0");
    bytes.extend(full);
    bytes.extend(b"\x05\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x.npy\x01\0\x10\0");
    bytes.extend(claimed.to_le_bytes());
    bytes.extend(packed.to_le_bytes());
    let size = bytes.len() as u32 - directory;
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend(size.to_le_bytes());
    bytes.extend(directory.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

#[test]
fn an_archive_that_claims_more_than_it_holds() {
    let program = with_model();
    program.write("liar.npz", lying_npz());
    let words = ["liar.npz", "array x, shape", "[1048576, 1048576]"];
    program.refused(&["predict", "--model", "run", "liar.npz"], &words);
    program.refused(&["data", "info", "--data", "liar.npz"], &words);
}

/// A model with another description, and the header's length as it must be.
fn edit_model(program: &Chainrule, edit: impl Fn(&mut Value)) {
    let whole = fs::read(program.path("run/model.safetensors")).unwrap();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let (header, data) = whole[8..].split_at(length);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let text = header["__metadata__"]["chainrule"].as_str().unwrap();
    let mut description: Value = serde_json::from_str(text).unwrap();
    edit(&mut description);
    header["__metadata__"]["chainrule"] = description.to_string().into();
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    program.write(
        "edited.safetensors",
        [&length, header.as_bytes(), data].concat(),
    );
}

#[test]
fn models_whose_parts_do_not_fit_each_other_are_refused() {
    let program = with_model();
    program.write("one.png", png(1, 1, &[9]));
    program.write("image.png", png(3, 2, &[9; 6]));
    let image = |height: u64, width: u64| serde_json::json!({"height": height, "width": width});
    edit_model(&program, |_| ());
    let predict = ["predict", "--model", "edited.safetensors", "image.png"];
    program.stdout(&predict);
    type Edit<'a> = &'a dyn Fn(&mut Value);
    let edits: [(&str, Edit<'_>); 9] = [
        ("image", &|d| d["image"] = image(1, 1)),
        ("image", &|d| d["image"] = image(0, 6)),
        ("image", &|d| d["image"] = image(1 << 32, (1 << 32) + 6)),
        ("normalizer.scale", &|d| {
            d["normalizer"]["scale"] = serde_json::json!([1.0])
        }),
        ("normalizer", &|d| {
            d["normalizer"]["shift"][2] = 1e300.into()
        }),
        ("class_names", &|d| {
            d["class_names"] = serde_json::json!(["a"])
        }),
        ("dropout", &|d| d["spec"]["dropout"] = 1.5.into()),
        ("width", &|d| {
            d["spec"]["hidden"] = serde_json::json!([1_u64 << 40])
        }),
        ("tensor", &|d| d["spec"]["hidden"] = serde_json::json!([6])),
    ];
    for (word, edit) in edits {
        edit_model(&program, edit);
        for input in ["one.png", "image.png"] {
            let args = ["predict", "--model", "edited.safetensors", input];
            program.refused(&args, &["edited.safetensors", word]);
        }
        program.refused(
            &["eval", "--model", "edited.safetensors"],
            &["edited.safetensors", word],
        );
    }
}
