//! Files that were made to do harm, or were damaged: they end in an error, and take no more memory than they hold.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

mod fuzz;
mod memory;

/// Memory is measured for the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder of files, which is deleted at the end.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// The header of an NPY file, format 1.0.
fn npy_header(descr: &str, fortran: bool, shape: &str) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while (text.len() + 11) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    [npy_header(descr, false, shape), data.to_vec()].concat()
}

/// A member of an NPZ file: its name, the header and a number of equal bytes.
type Member<'a> = (&'a str, Vec<u8>, usize);

fn write_npz(path: &Path, members: &[Member<'_>]) {
    let mut writer = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, header, count) in members {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(header).unwrap();
        let chunk = [1; 1 << 16];
        for start in (0..*count).step_by(chunk.len()) {
            writer
                .write_all(&chunk[..chunk.len().min(count - start)])
                .unwrap();
        }
    }
    writer.finish().unwrap();
}

/// Writes a gzip file of `piece`, many times.
fn write_gzip(path: &Path, piece: &[u8], times: usize) {
    let file = fs::File::create(path).unwrap();
    let mut encoder = GzEncoder::new(file, Compression::fast());
    for _ in 0..times {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap();
}

/// A safetensors file.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), data].concat()
}
