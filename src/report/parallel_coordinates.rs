//! Parallel coordinates as SVG: an axis for each setting and one for the objective, a line for each trial (Inselberg,
//! “The plane with parallel coordinates”, The Visual Computer 1, 1985).

use std::fmt::Write as _;

use super::scale::{Scale, Tick};
use super::svg::{CHARACTER, escape, shortened, svg};

/// Width and height of the whole picture.
const SIZE: (f64, f64) = (1140.0, 340.0);

/// Left, right, top and bottom margins.
const MARGIN: (f64, f64, f64, f64) = (70.0, 70.0, 34.0, 16.0);

/// Characters of an axis's name that do not reach beyond the picture.
const MOST_CHARACTERS: usize = 20;

/// An axis with its name.
pub(super) struct ParallelAxis<'a> {
    pub(super) name: &'a str,
    pub(super) scale: Scale,
}

/// A trial: its value on each axis, and its place among all from above 0 (the worst) to 1 (the best).
pub(super) struct Coordinates {
    pub(super) values: Vec<f64>,
    pub(super) rank: f64,
    pub(super) note: String,
}

/// The picture. Trials are drawn in their order, so the last ones lie on top.
pub(super) fn parallel(title: &str, axes: &[ParallelAxis<'_>], trials: &[Coordinates]) -> String {
    let (top, bottom) = (MARGIN.2, SIZE.1 - MARGIN.3);
    let distance = (SIZE.0 - MARGIN.0 - MARGIN.1) / (axes.len().max(2) - 1) as f64;
    // The names at the ends have the margins too, but all are cut alike.
    let room = ((distance / CHARACTER) as usize).min(MOST_CHARACTERS);
    let x = |axis: usize| MARGIN.0 + axis as f64 * distance;
    let y = |place: f64| bottom - place * (bottom - top);
    let mut body = String::new();
    for trial in trials {
        let values = axes.iter().zip(&trial.values).enumerate();
        // An axis on which the trial has no value is passed by.
        let places: Vec<String> = values
            .filter_map(|(i, (axis, &value))| Some((x(i), y(axis.scale.inside(value)?))))
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let (class, opacity) = match trial.rank >= 1.0 {
            true => ("bestline", 1.0),
            false => ("line", 0.15 + 0.6 * trial.rank.powi(2)),
        };
        let _ = writeln!(
            body,
            "<polyline class=\"{class}\" stroke-opacity=\"{opacity:.2}\" points=\"{}\"><title>{}</title></polyline>",
            places.join(" "),
            escape(&trial.note)
        );
    }
    for (i, axis) in axes.iter().enumerate() {
        let x = x(i);
        let _ = writeln!(
            body,
            "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/><text class=\"name\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            top - 14.0,
            escape(&shortened(axis.name, room))
        );
        // The last axis has its marks on the right, where no line is.
        let (side, anchor) = match i + 1 == axes.len() {
            true => (1.0, "start"),
            false => (-1.0, "end"),
        };
        for Tick { place, label } in axis.scale.ticks() {
            let y = y(place);
            let _ = writeln!(
                body,
                "<line class=\"axis\" x1=\"{:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"over\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                x + 4.0 * side,
                x + 7.0 * side,
                y + 4.0,
                escape(&shortened(&label, room))
            );
        }
    }
    svg(title, SIZE, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_through_their_values() {
        let linear = |high| Scale::Linear { low: 0.0, high };
        let axes = [("a", linear(1.0)), ("b", linear(2.0)), ("c", linear(4.0))]
            .map(|(name, scale)| ParallelAxis { name, scale });
        let line = |values: [f64; 3], rank| Coordinates {
            values: values.to_vec(),
            rank,
            note: "<t>".into(),
        };
        let svg = parallel(
            "p",
            &axes,
            &[line([0.0, 2.0, 2.0], 0.5), line([1.0, f64::NAN, 0.0], 1.0)],
        );
        // From 324 at the bottom to 34 at the top; axes at 70, 570 and 1070.
        assert!(svg.contains("class=\"line\" stroke-opacity=\"0.30\" points=\"70.0,324.0 570.0,34.0 1070.0,179.0\""), "{svg}");
        assert!(
            svg.contains(
                "class=\"bestline\" stroke-opacity=\"1.00\" points=\"70.0,34.0 1070.0,324.0\""
            ),
            "{svg}"
        );
        assert!(svg.contains("&lt;t&gt;") && !svg.contains("NaN"));
    }
}
