//! Reading PNG images to predict from.

use std::io::{self, BufReader};

use png::{ColorType, Decoder, DecodingError, Limits, Transformations};

use super::ImageShape;
use super::open::InputFile;
use crate::error::{Error, Result};

/// The largest number of bytes that decoding an image may take besides its pixels.
const MAX_OVERHEAD: usize = 1 << 20;

/// Reads one image as greyscale pixels, row-major.
///
/// Colours become luma with the weights of ITU-R BT.601 (0.299, 0.587, 0.114). Transparent pixels are blended
/// with black. 16-bit values are reduced to 8 bits.
///
/// # Errors
/// [`Error::Format`] if the file is not a PNG image, is damaged, or has another size than `shape`.
pub(super) fn read_png(source: InputFile, shape: ImageShape) -> Result<Vec<u8>> {
    let path = &source.path().to_owned();
    let wrong = |error: DecodingError| match error {
        DecodingError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Error::io("read", path, error)
        }
        other => Error::format(path, "image", "an intact PNG image", other.to_string()),
    };
    // Four channels of 16 bits a pixel.
    let limits = Limits {
        bytes: shape
            .pixels()
            .saturating_mul(8)
            .saturating_add(MAX_OVERHEAD),
    };
    let file = BufReader::new(source.into_seekable()?);
    let mut decoder = Decoder::new_with_limits(file, limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let info = decoder.read_header_info().map_err(wrong)?;
    let found = ImageShape {
        height: info.height as usize,
        width: info.width as usize,
    };
    if found != shape {
        return Err(Error::format(
            path,
            "image size (height×width)",
            shape.to_string(),
            found.to_string(),
        ));
    }
    let mut reader = decoder.read_info().map_err(wrong)?;
    let size = reader.output_buffer_size().unwrap_or_default();
    let mut pixels = vec![0; size];
    reader.next_frame(&mut pixels).map_err(wrong)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb | ColorType::Indexed => 3,
        ColorType::Rgba => 4,
    };
    Ok(pixels.chunks_exact(channels).map(luma).collect())
}

/// Converts a pixel to grey. It is grey, grey and alpha, RGB, or RGB and alpha.
fn luma(pixel: &[u8]) -> u8 {
    let weighted = |r: u8, g: u8, b: u8| {
        (299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000
    };
    let (grey, alpha) = match *pixel {
        [grey] => (grey.into(), 255),
        [grey, alpha] => (grey.into(), alpha),
        [r, g, b] => (weighted(r, g, b), 255),
        [r, g, b, alpha] => (weighted(r, g, b), alpha),
        _ => (0, 255),
    };
    ((grey * u32::from(alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use png::{BitDepth, Encoder};

    use super::*;

    const SHAPE: ImageShape = ImageShape {
        height: 2,
        width: 3,
    };

    fn encode(color: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 3, 2);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn read(bytes: &[u8], shape: ImageShape) -> Result<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image.png");
        std::fs::write(&path, bytes).unwrap();
        read_png(InputFile::open(&path)?, shape)
    }

    #[test]
    fn every_colour_type_becomes_grey() {
        let read = |color, depth, data: &[u8]| read(&encode(color, depth, data), SHAPE).unwrap();
        let grey = [0, 1, 127, 128, 254, 255];
        assert_eq!(read(ColorType::Grayscale, BitDepth::Eight, &grey), grey);
        let sixteen: Vec<u8> = grey.iter().flat_map(|&high| [high, 77]).collect();
        assert_eq!(
            read(ColorType::Grayscale, BitDepth::Sixteen, &sixteen),
            grey
        );
        let bits = [0b0100_0000, 0b1010_0000];
        let expected = [0, 255, 0, 255, 0, 255];
        assert_eq!(read(ColorType::Grayscale, BitDepth::One, &bits), expected);

        // 0.299·255 = 76.2, 0.587·255 = 149.7, 0.114·255 = 29.1; 0.299·10 + 0.587·20 + 0.114·30 = 18.15.
        let colours = [
            [255, 0, 0],
            [0, 255, 0],
            [0, 0, 255],
            [255, 255, 255],
            [0, 0, 0],
            [10, 20, 30],
        ];
        let expected = [76, 150, 29, 255, 0, 18];
        assert_eq!(
            read(ColorType::Rgb, BitDepth::Eight, colours.as_flattened()),
            expected
        );
        let half: Vec<u8> = colours
            .iter()
            .flat_map(|&[r, g, b]| [r, g, b, 51])
            .collect();
        let expected = [15, 30, 6, 51, 0, 4]; // a fifth
        assert_eq!(read(ColorType::Rgba, BitDepth::Eight, &half), expected);
        let two_bits = [0b0001_1000, 0b1111_0000]; // entries 0 1 2, 3 3 0
        let expected = [0, 76, 150, 29, 29, 0];
        assert_eq!(read(ColorType::Indexed, BitDepth::Two, &two_bits), expected);
    }

    #[test]
    fn other_sizes_and_other_files_are_refused() {
        let bytes = encode(ColorType::Grayscale, BitDepth::Eight, &[9; 6]);
        let transposed = ImageShape {
            height: 3,
            width: 2,
        };
        let error = read(&bytes, transposed).unwrap_err().to_string();
        assert!(error.contains("expected 3×2, found 2×3"), "{error}");
        for damaged in [&bytes[..bytes.len() - 20], &b"no image"[..], &[]] {
            let error = read(damaged, SHAPE).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{error}");
        }
    }
}
