//! A picture of a data set: one example of each class with its name and counts.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};

use super::describe::range;
use super::{Dataset, DatasetDescription, Features, ImageShape, Samples, Task};
use crate::error::{Error, Result};

const MARGIN: usize = 24;
const GAP: usize = 12;
/// The approximate size to which images are enlarged, in pixels.
const TILE: usize = 168;
const COLUMNS: usize = 5;
/// The largest number of classes that a picture shows.
const MAX_SHOWN_CLASSES: usize = 100;
/// The largest picture, in pixels.
const MAX_PIXELS: usize = 1 << 28;
const GLYPH: usize = 8;
/// The largest number of characters of a name that fit a cell.
const MAX_NAME_LENGTH: usize = 12;

const PAPER: u8 = 250;
const INK: u8 = 20;
const FAINT: u8 = 110;

/// Grey pixels, row-major.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Draws the first training sample of each class (of at most 100) and encodes the picture as PNG.
///
/// # Errors
/// [`Error::Setting`] if the samples are not images.
pub fn class_picture(data: &Dataset) -> Result<Vec<u8>> {
    let Some(image) = data.image else {
        return Err(Error::setting(
            "data",
            format!(
                "{}: the samples are not images, there is nothing to show",
                data.path.display()
            ),
        ));
    };
    if data.task != Task::Classification {
        let path = data.path.display();
        let message = format!("{path}: the images have no classes to show examples of");
        return Err(Error::setting("data", message));
    }
    let description = DatasetDescription::of(data)?;
    let classes = data.classes().min(MAX_SHOWN_CLASSES);
    let columns = classes.min(COLUMNS);
    let scale = (TILE / image.height.max(image.width)).max(1);
    let cell_width = (image.width * scale).max(MAX_NAME_LENGTH * 2 * GLYPH) + GAP;
    let text_height = 2 * GLYPH + (GLYPH + 4) * description.parts.len();
    let cell_height = image.height * scale + GAP + text_height + MARGIN;
    let title_height = 3 * GLYPH + GLYPH + GAP + MARGIN;
    let width = 2 * MARGIN + columns * cell_width;
    let height = MARGIN + title_height + classes.div_ceil(columns) * cell_height;
    if width.saturating_mul(height) > MAX_PIXELS {
        let message = format!("expected images that fit a picture together, found {image}");
        return Err(Error::setting("data", message));
    }
    let mut canvas = Canvas::new(width, height);

    let middle = canvas.width / 2;
    let room = (canvas.width - 2 * MARGIN) / (3 * GLYPH);
    canvas.text(&shorten(&data.name, room), middle, MARGIN, 3, INK);
    let summary = format!(
        "{}, images of {}x{}",
        description.counts(),
        image.height,
        image.width
    );
    canvas.text(&summary, middle, MARGIN + 3 * GLYPH + GAP, 1, FAINT);

    let values = range(&data.train.features);
    for class in 0..classes {
        let middle = MARGIN + class % columns * cell_width + cell_width / 2;
        let top = MARGIN + title_height + class / columns * cell_height;
        let left = middle - image.width * scale / 2;
        let example = data
            .train
            .labels
            .classes()
            .iter()
            .position(|&l| l as usize == class);
        let pixels =
            example.map(|index| grey_row(&data.train.features, data.train.width, index, values));
        canvas.image(pixels.as_deref(), image, scale, left, top);

        let mut y = top + image.height * scale + GAP;
        canvas.text(
            &shorten(&data.class_names[class], MAX_NAME_LENGTH),
            middle,
            y,
            2,
            INK,
        );
        y += 2 * GLYPH + 6;
        for part in &description.parts {
            let count = format!("{} {}", part.class_counts[class], part.name);
            canvas.text(&count, middle, y, 1, FAINT);
            y += GLYPH + 4;
        }
    }
    Ok(canvas.encode())
}

/// Encodes one sample as PNG, at its own size.
pub fn sample_picture(samples: &Samples, shape: ImageShape, index: usize) -> Vec<u8> {
    let values = range(&samples.features);
    Canvas {
        width: shape.width,
        height: shape.height,
        pixels: grey_row(&samples.features, samples.width, index, values),
    }
    .encode()
}

/// One sample as grey values. Pixels stay as they are; floats are stretched from the range of all samples.
fn grey_row(features: &Features, width: usize, index: usize, (min, max): (f64, f64)) -> Vec<u8> {
    let rows = index * width..(index + 1) * width;
    let grey = |x: f64| (255.0 * (x - min) / (max - min).max(f64::MIN_POSITIVE)) as u8;
    match features {
        Features::U8(values) => values[rows].to_vec(),
        Features::F32(values) => values[rows].iter().map(|&x| grey(x.into())).collect(),
        Features::F64(values) => values[rows].iter().map(|&x| grey(x)).collect(),
    }
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most.saturating_sub(2)).collect();
    start + ".."
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Canvas {
            width,
            height,
            pixels: vec![PAPER; width * height],
        }
    }

    fn fill(&mut self, left: usize, top: usize, width: usize, height: usize, grey: u8) {
        let right = (left + width).min(self.width);
        for y in top..(top + height).min(self.height) {
            if left < right {
                self.pixels[y * self.width..][left..right].fill(grey);
            }
        }
    }

    /// Draws one line of text, centred on `middle`.
    fn text(&mut self, text: &str, middle: usize, top: usize, scale: usize, grey: u8) {
        let width = text.chars().count() * GLYPH * scale;
        let mut left = middle.saturating_sub(width / 2);
        for character in text.chars() {
            let glyph = BASIC_FONTS
                .get(character)
                .or_else(|| LATIN_FONTS.get(character))
                .or_else(|| BASIC_FONTS.get('?'))
                .unwrap_or_default();
            for (y, row) in glyph.into_iter().enumerate() {
                for x in (0..GLYPH).filter(|x| row >> x & 1 == 1) {
                    self.fill(left + x * scale, top + y * scale, scale, scale, grey);
                }
            }
            left += GLYPH * scale;
        }
    }

    /// Draws an enlarged image in a thin frame; without pixels only the frame.
    fn image(
        &mut self,
        pixels: Option<&[u8]>,
        shape: ImageShape,
        scale: usize,
        left: usize,
        top: usize,
    ) {
        let (width, height) = (shape.width * scale, shape.height * scale);
        self.fill(left - 1, top - 1, width + 2, height + 2, FAINT);
        self.fill(left, top, width, height, PAPER);
        for (index, &grey) in pixels.unwrap_or_default().iter().enumerate() {
            let (y, x) = (index / shape.width, index % shape.width);
            self.fill(left + x * scale, top + y * scale, scale, scale, grey);
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.pixels))
            .expect("a canvas has pixels, and writing to memory cannot fail");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(image: Option<ImageShape>) -> Dataset {
        Dataset {
            unseen: Vec::new(),
            table: None,
            train: Samples {
                features: Features::F64(vec![-1.0, 0.0, 1.0, 3.0, 3.0, 3.0]),
                width: 2,
                labels: vec![1, 0, 1].into(),
                weights: None,
            },
            validation: None,
            task: crate::data::Task::Classification,
            test: None,
            class_names: ["a", "a very long name", "none"]
                .map(str::to_owned)
                .to_vec(),
            image,
            path: "p".into(),
            name: "n".to_owned(),
            hash: String::new(),
            notices: Vec::new(),
        }
    }

    #[test]
    fn a_picture_is_a_png_of_the_computed_size() {
        let shape = ImageShape {
            height: 2,
            width: 1,
        };
        let bytes = class_picture(&data(Some(shape))).unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        let reader = decoder.read_info().unwrap();
        // Three cells of 12 characters; title, then image 168, name and one line of counts.
        assert_eq!(reader.info().width, 48 + 3 * (12 * 16 + 12));
        assert_eq!(reader.info().height, 24 + 68 + 168 + 12 + 16 + 12 + 24);
    }

    #[test]
    fn a_sample_is_a_png_of_its_own_size() {
        let shape = ImageShape {
            height: 2,
            width: 1,
        };
        let bytes = sample_picture(&data(Some(shape)).train, shape, 1);
        let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = [0; 2];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, [127, 255]);
    }

    #[test]
    fn floats_are_stretched() {
        let features = data(None).train.features;
        assert_eq!(grey_row(&features, 2, 0, (-1.0, 3.0)), [0, 63]);
        assert_eq!(grey_row(&features, 2, 1, (-1.0, 3.0)), [127, 255]);
        assert_eq!(grey_row(&features, 2, 2, (3.0, 3.0)), [0, 0]);
    }

    #[test]
    fn glyphs_are_drawn_left_to_right() {
        let mut canvas = Canvas::new(8, 8);
        canvas.text("L", 4, 0, 1, 0);
        let row = |y: usize| canvas.pixels[y * 8..][..8].iter().map(|&p| p == 0);
        // The foot of an L reaches further right than its stem.
        let stem: Vec<bool> = row(1).collect();
        let foot: Vec<bool> = row(6).collect();
        assert!(stem[1] && !stem[5] && foot[1] && foot[5]);
    }

    #[test]
    fn rows_that_are_not_images_cannot_be_shown() {
        assert!(matches!(
            class_picture(&data(None)),
            Err(Error::Setting { .. })
        ));
    }

    #[test]
    fn images_that_fit_no_picture_are_refused() {
        let side = 1 << 21;
        let mut data = data(Some(ImageShape {
            height: side,
            width: 1,
        }));
        data.train.features = Features::U8(vec![0; 3 * side]);
        data.train.width = side;
        let error = class_picture(&data).unwrap_err();
        assert!(error.to_string().contains("2097152×1"), "{error}");
    }

    #[test]
    fn long_names_are_shortened() {
        assert_eq!(shorten("a very long name", 12), "a very lon..");
        assert_eq!(shorten("Ankle boot", 12), "Ankle boot");
    }
}
