//! The stand-in for libcuda.so that runs the kernels on the CPU. It is built from `kernels/` with the machine's C++
//! compiler when a test first needs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use libloading::Library;

const FLAGS: [&str; 8] = [
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    // As for NVRTC: a product and a sum fuse only where the source says so.
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-Wno-unknown-pragmas",
    "-shared",
];

/// The path of `libcuda.so`. A child process finds the library if its folder is in `LD_LIBRARY_PATH`.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| build().unwrap_or_else(|e| panic!("the emulator of CUDA: {e}")))
}

/// Loads the library into this process, so that a later search for `libcuda.so`, such as cudarc's, finds it by its
/// name.
pub(crate) fn preload() -> &'static Library {
    static LOADED: OnceLock<Library> = OnceLock::new();
    LOADED.get_or_init(|| {
        // SAFETY: our own library, whose initialisers only fill a list of kernels.
        unsafe { Library::new(library()) }.expect("the library that was just built")
    })
}

/// The order in which later launches of this process run blocks and threads: 0 forward, 1 reverse, 2 shuffled by the
/// seed.
pub(crate) fn set_order(order: i32, seed: u32) {
    // SAFETY: the function's type as fake_driver.cpp defines it.
    unsafe {
        let set = preload()
            .get::<unsafe extern "C" fn(i32, u32)>(b"cuda_cpu_set_order")
            .expect("a function of the emulator");
        set(order, seed);
    }
}

/// Compiles the library unless it is newer than every source. Processes may do this at the same time: each one
/// renames its own file to the final name.
fn build() -> std::io::Result<PathBuf> {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut flags = FLAGS.to_vec();
    let mut folder = "cuda-emulator";
    // Without this instruction each fused multiply-add is a function call.
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("fma") {
        flags.push("-mfma");
        folder = "cuda-emulator-fma";
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let library = folder.join("libcuda.so");
    let built = fs::metadata(&library).and_then(|m| m.modified());
    if built.is_ok_and(|built| newest(&kernels).is_ok_and(|source| source < built)) {
        return Ok(library);
    }
    fs::create_dir_all(&folder)?;
    let unfinished = folder.join(format!("libcuda.so.{}", std::process::id()));
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".into());
    let sources = ["kernels_all.cpp", "scheduler.cpp", "fake_driver.cpp"];
    let outcome = Command::new(&compiler)
        .args(flags)
        .args(["-Wl,-soname,libcuda.so", "-Wl,-z,defs", "-o"])
        .arg(&unfinished)
        .args(sources.map(|source| kernels.join("emulator").join(source)))
        .output()
        .map_err(|e| std::io::Error::other(format!("{compiler} (set CXX to another): {e}")))?;
    if !outcome.status.success() {
        let messages = String::from_utf8_lossy(&outcome.stderr).into_owned();
        return Err(std::io::Error::other(format!("{compiler}: {messages}")));
    }
    fs::rename(&unfinished, &library)?;
    Ok(library)
}

/// The time at which a source was last changed.
fn newest(folder: &Path) -> std::io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let source = ["cu", "cuh", "cpp", "h"].map(|e| path.extension().is_some_and(|x| x == e));
        if entry.file_type()?.is_dir() {
            newest = newest.max(self::newest(&path)?);
        } else if source.contains(&true) {
            newest = newest.max(entry.metadata()?.modified()?);
        }
    }
    Ok(newest)
}
