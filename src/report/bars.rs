//! Shares of a whole as horizontal bars, as SVG.

use std::fmt::Write as _;

use super::svg::{escape, shortened, svg};

/// Width of the picture, height of a bar with its room, and room for names and numbers.
const WIDTH: f64 = 560.0;
const ROW: f64 = 30.0;
const LEFT: f64 = 120.0;
const RIGHT: f64 = 60.0;

/// Characters of a name for which there is room.
const MOST_CHARACTERS: usize = 16;

/// A bar for each name, from 0 to 1, with its percentage.
pub(super) fn bars(title: &str, shares: &[(&str, f64)]) -> String {
    let mut body = String::new();
    for (i, (name, share)) in shares.iter().enumerate() {
        let y = ROW * i as f64;
        let width = share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT);
        let _ = writeln!(
            body,
            "<text class=\"name\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect class=\"bar\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\">{:.0} %</text>",
            LEFT - 8.0,
            y + 19.0,
            escape(&shortened(name, MOST_CHARACTERS)),
            y + 5.0,
            ROW - 10.0,
            LEFT + width + 6.0,
            y + 19.0,
            100.0 * share
        );
    }
    svg(title, (WIDTH, ROW * shares.len() as f64), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_shares() {
        let svg = bars("b", &[("all", 1.0), ("a < b", 0.25), ("none", 0.0)]);
        // Of 560 pixels, 120 are left of the bars and 60 right of them.
        for (width, percent) in [("380.0", "100 %"), ("95.0", "25 %"), ("0.0", "0 %")] {
            assert!(svg.contains(&format!("width=\"{width}\"")), "{svg}");
            assert!(svg.contains(&format!(">{percent}<")), "{svg}");
        }
        assert!(svg.contains("a &lt; b"));
    }
}
