//! Files with random damage, always the same: reading ends in a result or in an error, never in a panic.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use chacha20::ChaCha8Rng;
use chainrule::Result;
use chainrule::backend::select::Device;
use chainrule::data::{
    self, Dataset, FileKind, ImageShape, InputRows, LoadOptions, Schema, TableOptions,
};
use chainrule::model::Model;
use chainrule::settings::{Config, Settings};
use chainrule::train;
use rand::{Rng, RngExt, SeedableRng};

use super::{Files, alone, npy, safetensors, write_gzip, write_npz};

/// What stands in for a number or a word of a text.
const NONSENSE: [&str; 12] = [
    "-1",
    "0",
    "1e999",
    "NaN",
    "null",
    "\"\"",
    "[]",
    "{}",
    "18446744073709551615",
    "4294967296",
    "0.5",
    "true",
];

/// Calls `try_one` with damaged copies of a file. Words are replaced inside of `text`.
fn damage(whole: &[u8], text: Range<usize>, seed: u64, mut try_one: impl FnMut(&[u8])) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..150 {
        let mut flipped = whole.to_vec();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..flipped.len());
            flipped[at] ^= 1 << rng.random_range(0..8);
        }
        try_one(&flipped);
    }
    for _ in 0..40 {
        try_one(&whole[..rng.random_range(0..whole.len())]);
        let mut filled = whole.to_vec();
        let at = rng.random_range(0..whole.len());
        let end = whole.len().min(at + 8);
        filled[at..end].fill([0, 0x7f, 0x80, 0xff][rng.random_range(0..4)]);
        try_one(&filled);
        let mut longer = whole.to_vec();
        rng.fill_bytes(&mut filled);
        longer.extend(&filled[..end - at]);
        try_one(&longer);
    }
    let words = words(&whole[text.clone()]);
    for _ in 0..if words.is_empty() { 0 } else { 150 } {
        let word = words[rng.random_range(0..words.len())].clone();
        let (start, end) = (text.start + word.start, text.start + word.end);
        let new = NONSENSE[rng.random_range(0..NONSENSE.len())].as_bytes();
        try_one(&[&whole[..start], new, &whole[end..]].concat());
    }
}

/// Where the numbers and words of a text are.
fn words(text: &[u8]) -> Vec<Range<usize>> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    let (mut words, mut start) = (Vec::new(), None);
    for (at, &byte) in text.iter().chain(b" ").enumerate() {
        match (start, inside(byte)) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// An error that is the file's fault or the system's, and says something.
#[track_caller]
fn sound<T>(result: Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert!([1, 2].contains(&error.exit_code()), "{error}");
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

fn load(path: &Path) -> Option<Dataset> {
    let options = LoadOptions {
        path: Some(path.to_owned()),
        test: true,
        ..LoadOptions::default()
    };
    let data = sound(data::load(&options))?;
    data.check().unwrap();
    Some(data)
}

fn read_rows(path: &Path, width: usize, image: ImageShape) -> Result<(FileKind, InputRows)> {
    let columns = Schema::by_position(width, None);
    data::read_input(path, &columns, Some(image), &TableOptions::default())
}

/// Damages one file and reads it as a data set and as rows to predict.
fn data_file(name: &str, whole: &[u8], text: Range<usize>) {
    let files = Files::new();
    let path = files.write(name, whole);
    let image = ImageShape {
        height: 2,
        width: 3,
    };
    let read = |path: &Path| sound(read_rows(path, 6, image)).is_some();
    assert!(read(&path), "{name} is sound before it is damaged");
    damage(whole, text, 7, |bytes| {
        fs::write(&path, bytes).unwrap();
        load(&path);
        read(&path);
    });
}

/// 4 samples of 2×3 pixels.
const PIXELS: [u8; 24] = [
    0, 1, 2, 3, 4, 5, 255, 254, 253, 252, 251, 250, 9, 8, 7, 6, 5, 4, 1, 1, 1, 1, 1, 1,
];

#[test]
fn tables() {
    let _alone = alone();
    let text = "a,b,c,d,e,f,label\n1,2.5,-3,4e5,0,1,cat\n1,\"2\",3,4,5,6,\"a \"\"dog\"\"\"\n1,2,3,4,5,6,cat\n";
    data_file("a.csv", text.as_bytes(), 0..text.len());
    let text = "sep=;\r1,5;2;?;4;5;6;a\r-2,5;;3;4;5;6;b\r1,5;2;3;4;\"5\";6;a\r";
    data_file("b.csv", text.as_bytes(), 0..text.len());
    let text = "0|1|2|3|4|5|kind\n1.5|2|3|4|5|6|a\n2.5|NA|3|4|5|6|b\n";
    data_file("c.csv", text.as_bytes(), 0..text.len());
    let files = Files::new();
    write_gzip(&files.path("packed"), text.as_bytes(), 1);
    data_file("a.csv.gz", &fs::read(files.path("packed")).unwrap(), 0..0);
}

#[test]
fn arrays() {
    let _alone = alone();
    let pixels = npy("|u1", "(4, 2, 3)", &PIXELS);
    data_file("a.npy", &pixels, 10..100);
    let floats: Vec<u8> = PIXELS
        .iter()
        .flat_map(|&x| f32::from(x).to_be_bytes())
        .collect();
    data_file("b.npy", &npy(">f4", "(4, 6)", &floats), 10..100);
    let files = Files::new();
    let members = [
        ("x.npy", pixels.clone(), 0),
        (
            "y.npy",
            npy(
                "<i8",
                "(4,)",
                &[[0; 8], [1, 0, 0, 0, 0, 0, 0, 0]].concat().repeat(2),
            ),
            0,
        ),
        ("x_val.npy", pixels.clone(), 0),
        ("y_val.npy", npy("|u1", "(4,)", &[0, 1, 0, 1]), 0),
        ("x_test.npy", pixels, 0),
        ("y_test.npy", npy("|i1", "(4, 1)", &[0, 1, 0, 1]), 0),
    ];
    write_npz(&files.path("whole"), &members);
    data_file("a.npz", &fs::read(files.path("whole")).unwrap(), 0..0);
}

/// Tables and labels of each type that an array may have.
#[test]
fn arrays_of_other_types() {
    let _alone = alone();
    let zeros_and_ones: Vec<u8> = PIXELS.iter().map(|x| x % 2).collect();
    let table = |descr: &str, size: usize| {
        let cell = |&x: &u8| [vec![x], vec![0; size - 1]].concat();
        npy(
            descr,
            "(4, 6)",
            &zeros_and_ones.iter().flat_map(cell).collect::<Vec<u8>>(),
        )
    };
    let tables = [
        ("|b1", 1),
        ("|i1", 1),
        ("<f2", 2),
        ("<i2", 2),
        ("<i4", 4),
        ("<u8", 8),
        ("<f8", 8),
    ];
    let one_hot = npy("|u1", "(4, 2)", &[1, 0, 0, 1, 0, 1, 1, 0]);
    let text: Vec<u8> = "ab\0c\0\0ab\0d\0\0"
        .chars()
        .flat_map(|c| (c as u32).to_le_bytes())
        .collect();
    let floats: Vec<u8> = [1.0_f32, 2.0, 1.0, 3.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let labels = [
        one_hot,
        npy("<U3", "(4,)", &text),
        npy("|S2", "(4,)", b"abc\0abd\0"),
        npy("<f4", "(4,)", &floats),
        npy("|b1", "(4, 1)", &[0, 1, 1, 0]),
    ];
    for (index, (descr, size)) in tables.into_iter().enumerate() {
        let x = table(descr, size);
        data_file("a.npy", &x, 10..100);
        let files = Files::new();
        let folder = files.0.path();
        files.write("X_train.npy", &x);
        let y = &labels[index % labels.len()];
        files.write("y_train.npy", y);
        assert!(load(folder).is_some(), "{descr}");
        damage(y, 10..100, 5, |damaged| {
            files.write("y_train.npy", damaged);
            load(folder);
        });
    }
}

#[test]
fn idx_files() {
    let _alone = alone();
    let images = [
        &[0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3][..],
        &PIXELS,
    ]
    .concat();
    let labels = [0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 9];
    data_file("images", &images, 0..0);
    let rows = [
        &[0, 0, 12, 2, 0, 0, 0, 4, 0, 0, 0, 8][..],
        &[[0, 0, 0, 7], [0; 4]].concat().repeat(16),
    ]
    .concat();
    for (labels_name, labels) in [
        ("train-labels-idx1-ubyte", &labels[..]),
        ("qmnist-train-labels-idx2-int", &rows),
    ] {
        let images_name = match labels_name.starts_with('q') {
            true => "qmnist-train-images-idx3-ubyte",
            false => "train-images-idx3-ubyte",
        };
        idx_folder(&BTreeMap::from([
            (images_name, &images[..]),
            (labels_name, labels),
        ]));
    }
}

/// Damages each of the files of a folder.
fn idx_folder(whole: &BTreeMap<&str, &[u8]>) {
    let files = Files::new();
    for (name, bytes) in whole {
        for (other, bytes) in whole {
            files.write(other, bytes);
        }
        assert!(load(files.0.path()).is_some());
        damage(bytes, 0..0, 9, |damaged| {
            files.write(name, damaged);
            load(files.0.path());
        });
    }
}

#[test]
fn images() {
    let _alone = alone();
    for (color, channels) in [(png::ColorType::Grayscale, 1), (png::ColorType::Rgba, 4)] {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 3, 2);
        encoder.set_color(color);
        encoder
            .add_text_chunk("Comment".into(), "words".into())
            .unwrap();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&PIXELS[..6 * channels]).unwrap();
        writer.finish().unwrap();
        data_file("a.png", &bytes, 0..0);
    }
}

/// A small run of two epochs in a folder, with its data set.
fn small_run(folder: &Path) -> (Settings, Arc<Dataset>) {
    let x = ndarray::Array2::from_shape_fn((12, 6), |(i, j)| (i * 7 % 5 + j) as f32);
    let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
    let mut data = Dataset::from_arrays(x.view(), &labels).unwrap();
    data.image = Some(ImageShape {
        height: 2,
        width: 3,
    });
    let data = Arc::new(data);
    let mut settings = Settings::default();
    settings.model.widths = Some(vec![3, 2]);
    settings.model.dropout = Some(0.25);
    settings.train.batch_size = Some(4);
    settings.train.epochs = Some(2);
    settings.train.threads = Some(1);
    settings.train.patience = Some(9);
    settings.data.validation = Some(0.25);
    let config = Config::new(&settings).unwrap();
    train::run(config, data.clone(), Some(folder), &mut ()).unwrap();
    (settings, data)
}

/// The header of a safetensors file, with its place.
fn header(file: &[u8]) -> Range<usize> {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap());
    8..8 + length as usize
}

/// Damages the JSON of a file inside of its header too, and keeps the header's length right.
fn damage_header(whole: &[u8], seed: u64, mut try_one: impl FnMut(&[u8])) {
    damage(whole, header(whole), seed, &mut try_one);
    let text = header(whole);
    damage(&whole[text.clone()], 0..text.len(), seed + 1, |json| {
        let json = String::from_utf8_lossy(json);
        try_one(&safetensors(&json, &whole[text.end..]));
    });
}

#[test]
fn models() {
    let _alone = alone();
    let files = Files::new();
    let (_, data) = small_run(&files.path("run"));
    let path = files.path("run/model.safetensors");
    let whole = fs::read(&path).unwrap();
    let mut sound_ones = 0;
    damage_header(&whole, 11, |bytes| {
        fs::write(&path, bytes).unwrap();
        let Some(model) = sound(Model::read(&path)) else {
            return;
        };
        sound_ones += 1;
        let pixels = model.description.image.map(ImageShape::pixels);
        assert_eq!(pixels.unwrap_or(6), 6);
        let mut predictor = model.predictor(Device::Cpu, 1).unwrap();
        let found = predictor.predict(&data.train).unwrap();
        assert_eq!(found.classes.len(), 12);
        sound(model.config());
    });
    assert!(sound_ones > 0, "some damage does no harm");
}

#[test]
fn checkpoints() {
    let _alone = alone();
    let files = Files::new();
    let folder = files.path("run");
    let (mut settings, data) = small_run(&folder);
    settings.train.epochs = Some(3);
    let kept: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect();
    let (_, whole) = kept
        .iter()
        .find(|(name, _)| name == "checkpoint.safetensors")
        .unwrap();
    damage_header(whole, 13, |bytes| {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        for (name, bytes) in &kept {
            fs::write(folder.join(name), bytes).unwrap();
        }
        fs::write(folder.join("checkpoint.safetensors"), bytes).unwrap();
        let config = Config::new(&settings).unwrap();
        sound(train::run(config, data.clone(), Some(&folder), &mut ()));
    });
}
