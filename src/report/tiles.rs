//! Small images side by side as SVG, with a line of text above and below each.

use std::fmt::Write as _;

use super::svg::{escape, shortened, svg};

/// Images in a row, and the size of each with its text.
const COLUMNS: usize = 6;
const CELL: (f64, f64) = (150.0, 152.0);

/// Width and height of an image.
const SIDE: f64 = 96.0;

/// Characters of a text for which there is room.
const MOST_CHARACTERS: usize = 21;

/// An image with its text.
pub(super) struct ImageTile {
    pub(super) png: Vec<u8>,
    pub(super) above: String,
    pub(super) below: String,
}

/// The picture. The images are in it, so that it can be a file of its own.
pub(super) fn tiles(title: &str, tiles: &[ImageTile]) -> String {
    let mut body = String::new();
    for (i, tile) in tiles.iter().enumerate() {
        let left = (i % COLUMNS) as f64 * CELL.0;
        let top = (i / COLUMNS) as f64 * CELL.1;
        let middle = left + CELL.0 / 2.0;
        let _ = writeln!(
            body,
            "<text class=\"name\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text><image x=\"{}\" y=\"{}\" width=\"{SIDE}\" height=\"{SIDE}\" style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/><text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            top + 14.0,
            escape(&shortened(&tile.above, MOST_CHARACTERS)),
            middle - SIDE / 2.0,
            top + 20.0,
            base64(&tile.png),
            top + SIDE + 34.0,
            escape(&shortened(&tile.below, MOST_CHARACTERS))
        );
    }
    let columns = tiles.len().min(COLUMNS) as f64;
    let rows = tiles.len().div_ceil(COLUMNS) as f64;
    svg(title, (columns * CELL.0, rows * CELL.1), &body)
}

/// Bytes as text: six bits a character (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .fold(0, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            match place <= chunk.len() {
                true => text.push(char::from(
                    ALPHABET[(bits >> (18 - 6 * place)) as usize & 63],
                )),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn published_base64() {
        let published = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in published {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xFB, 0xFF]), "+/8=");
    }

    #[test]
    fn images_are_in_rows() {
        let tile = |name: &str| ImageTile {
            png: vec![1, 2, 3],
            above: name.into(),
            below: "<b> 99 %".into(),
        };
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let svg = tiles("t", &names.map(tile));
        assert!(svg.contains("viewBox=\"0 0 900 304\""), "{svg}");
        assert_eq!(svg.matches("base64,AQID").count(), 7);
        assert!(
            svg.contains("x=\"75\" y=\"166\" text-anchor=\"middle\">g<")
                && svg.contains("&lt;b&gt; 99 %"),
            "{svg}"
        );
    }
}
