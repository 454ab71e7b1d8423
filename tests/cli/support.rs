//! Runs the program in a temporary folder, and makes input files for it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

/// The program in a temporary folder, which is deleted at the end.
pub(crate) struct Chainrule {
    dir: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Output {
    /// The exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What a command that has ended wrote. No command may panic.
#[track_caller]
fn ended(args: &[&str], output: std::process::Output) -> Output {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let output = Output {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    assert!(!output.stderr.contains("panicked"), "{args:?}: {output:?}");
    output
}

/// The program's file.
pub(crate) const EXECUTABLE: &str = env!("CARGO_BIN_EXE_chainrule");

/// A program and its arguments. A test that runs under an emulator starts it under the same one: Cargo's variable
/// names it.
pub(crate) fn emulated(executable: &str) -> Vec<String> {
    let runner = match cfg!(all(target_os = "linux", target_arch = "aarch64")) {
        true => std::env::var("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER").unwrap_or_default(),
        false => String::new(),
    };
    let words = runner.split_whitespace().chain([executable]);
    words.map(str::to_owned).collect()
}

impl Chainrule {
    pub(crate) fn new() -> Self {
        Chainrule {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A file or folder in the program's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into the program's folder.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// The command, ready to start, for tests that need the process itself. It finds no data set except those in
    /// `args`.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let words = emulated(EXECUTABLE);
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("CHAINRULE_DATA")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end. No command may panic.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        ended(args, self.command(args).output().unwrap())
    }

    /// Runs a command that must succeed, with a file on its standard input.
    #[cfg(any(target_os = "linux", windows))]
    #[track_caller]
    pub(crate) fn piped(&self, file: &str, args: &[&str]) -> Output {
        let mut command = self.command(args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let bytes = fs::read(self.path(file)).unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = ended(args, child.wait_with_output().unwrap());
        assert_eq!(output.code, 0, "{args:?}: {output:?}");
        output
    }

    /// Runs a command that must succeed, and returns its standard output.
    #[track_caller]
    pub(crate) fn stdout(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.code, 0, "{args:?}: {output:?}");
        output.stdout
    }

    /// Runs a command that must succeed and print one JSON object and nothing else.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let value: Value = serde_json::from_str(&self.stdout(args)).unwrap();
        assert!(value.is_object(), "{args:?}: {value}");
        value
    }

    /// Runs a command that must be refused as bad input, with a message that contains all of `words`. Windows writes
    /// the paths in them with another separator.
    #[track_caller]
    pub(crate) fn refused(&self, args: &[&str], words: &[&str]) {
        let output = self.run(args);
        assert_eq!(output.code, 2, "{args:?}: {output:?}");
        assert_eq!(output.stdout, "", "{args:?}");
        for word in words {
            let on_windows = word.replace('/', "\\");
            let is_said = output.stderr.contains(word)
                || (cfg!(windows) && output.stderr.contains(&on_windows));
            assert!(is_said, "{args:?}: {output:?}");
        }
    }
}

/// Starts a command without waiting for it.
pub(crate) fn start(program: &Chainrule, args: &[&str]) -> Child {
    let mut command = program.command(args);
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt;
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        command.creation_flags(CREATE_NEW_PROCESS_GROUP);
    }
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Holds the lock of a folder as another process would.
pub(crate) fn hold(lock: &Path) -> File {
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        // Others may read it and nothing else.
        let mut options = File::options();
        options.read(true).write(true).share_mode(1);
        options.open(lock).unwrap()
    }
    #[cfg(not(windows))]
    {
        let file = File::open(lock).unwrap();
        file.try_lock().unwrap();
        file
    }
}

/// Sends a signal by its name and returns exit code and standard error. `None` if the signal ended it.
pub(crate) fn end(mut child: Child, signal: &str) -> (Option<i32>, String) {
    send(&mut child, signal);
    let output = child.wait_with_output().unwrap();
    let is_killed = cfg!(windows) && signal == "KILL";
    (
        output.status.code().filter(|_| !is_killed),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[cfg(not(windows))]
fn send(child: &mut Child, signal: &str) {
    let sent = Command::new("kill")
        .args([format!("-{signal}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "the run is still going");
}

/// Kills it, or presses Ctrl-Break, which reaches one process alone.
#[cfg(windows)]
fn send(child: &mut Child, signal: &str) {
    const CTRL_BREAK_EVENT: u32 = 1;
    unsafe extern "system" {
        fn GenerateConsoleCtrlEvent(event: u32, group: u32) -> i32;
    }
    if signal == "KILL" {
        return child.kill().unwrap();
    }
    // SAFETY: it takes two numbers.
    let sent = unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, child.id()) };
    assert_ne!(
        sent, 0,
        "the test has a console, and the run is still going"
    );
}

/// Samples that a network learns quickly, in a fixed pseudo-random order: class c is bright in pixel c and dim
/// elsewhere.
#[derive(Clone)]
pub(crate) struct Pixels {
    /// Row-major `[labels.len(), width]`.
    pub(crate) values: Vec<u8>,
    pub(crate) labels: Vec<u8>,
    pub(crate) width: usize,
}

/// A small generator (Numerical Recipes' constants), so that the data are the same on every machine.
fn random(state: &mut u32) -> u32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *state >> 8
}

impl Pixels {
    /// `noise` of 256 hides the class completely, 0 shows it clearly.
    pub(crate) fn new(count: usize, width: usize, classes: u8, noise: u8, seed: u32) -> Self {
        let mut state = seed;
        let mut samples = Pixels {
            values: Vec::new(),
            labels: Vec::new(),
            width,
        };
        for _ in 0..count {
            let label = (random(&mut state) % u32::from(classes)) as u8;
            samples.labels.push(label);
            for pixel in 0..width {
                let bright = if pixel == usize::from(label) {
                    255 - noise
                } else {
                    0
                };
                let dim = random(&mut state) % (u32::from(noise) + 1);
                samples.values.push(bright + dim as u8);
            }
        }
        samples
    }

    pub(crate) fn row(&self, row: usize) -> &[u8] {
        &self.values[row * self.width..][..self.width]
    }

    /// `x` as an NPY file of the given shape per sample, for example `[2, 3]`.
    pub(crate) fn x(&self, shape: &[usize]) -> Vec<u8> {
        assert_eq!(shape.iter().product::<usize>(), self.width);
        npy("|u1", &[&[self.labels.len()], shape].concat(), &self.values)
    }

    /// `y` as an NPY file.
    pub(crate) fn y(&self) -> Vec<u8> {
        npy("|u1", &[self.labels.len()], &self.labels)
    }

    /// As a CSV file with a header, the label in the last column.
    pub(crate) fn csv(&self) -> String {
        let header: Vec<String> = (0..self.width).map(|i| format!("p{i}")).collect();
        let mut text = format!("{},label\n", header.join(","));
        for (row, label) in self.labels.iter().enumerate() {
            let cells: Vec<String> = self.row(row).iter().map(u8::to_string).collect();
            text += &format!("{},{label}\n", cells.join(","));
        }
        text
    }
}

/// An array as an NPY file, format 1.0. `descr` as NumPy writes it: `|u1`, `<f4`, `<i8`.
pub(crate) fn npy(descr: &str, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
        sizes.join(" ")
    );
    // Magic, version and length take 10 bytes; the header ends with a newline at a multiple of 64.
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header += &" ".repeat(padding);
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes);
    file
}

/// An NPZ file with the given arrays, each with its name and NPY bytes.
pub(crate) fn write_npz(path: &Path, arrays: &[(&str, Vec<u8>)]) {
    let mut zip = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, npy) in arrays {
        let options = SimpleFileOptions::default();
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(npy).unwrap();
    }
    zip.finish().unwrap();
}

/// An IDX file of u8: its sizes, then its values.
pub(crate) fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(values);
    file
}

/// A grey PNG image.
pub(crate) fn png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    file
}

/// Writes a data set of 2×3 images in 4 classes, with a test part, as `name`. Returns the test part.
pub(crate) fn write_images(program: &Chainrule, name: &str) -> Pixels {
    let (train, test) = (
        Pixels::new(203, 6, 4, 190, 1),
        Pixels::new(57, 6, 4, 190, 2),
    );
    let arrays = [
        ("x", train.x(&[2, 3])),
        ("y", train.y()),
        ("x_test", test.x(&[2, 3])),
        ("y_test", test.y()),
    ];
    write_npz(&program.path(name), &arrays);
    test
}

/// Trains a small network and returns the summary. `args` are further flags.
#[track_caller]
pub(crate) fn train(program: &Chainrule, data: &str, out: &str, args: &[&str]) -> Value {
    let fixed = ["train", "--json", "--quiet", "--data", data, "--out", out];
    let small = [
        "--width",
        "7",
        "--batch-size",
        "11",
        "--lr",
        "0.01",
        "--threads",
        "1",
    ];
    program.json(&[&fixed[..], &small, args].concat())
}

/// A finite number.
#[track_caller]
pub(crate) fn number(value: &Value) -> f64 {
    let number = value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"));
    assert!(number.is_finite());
    number
}

/// A list of finite numbers.
#[track_caller]
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}
