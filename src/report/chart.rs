//! Charts as SVG: axes, dots, lines and intervals.

use std::fmt::Write as _;

use super::scale::{Scale, Tick};
use super::svg::{CHARACTER, escape, shortened, svg, width};

/// Width and height of the whole picture.
const SIZE: (f64, f64) = (560.0, 320.0);

/// Left, right, top and bottom margins, where the labels are.
const MARGIN: (f64, f64, f64, f64) = (58.0, 24.0, 14.0, 46.0);

/// Characters of a mark on the y axis for which the left margin has room.
const MARK: usize = 6;

/// Characters of the names of the axes for which there is room.
const MOST_CHARACTERS: (usize, usize) = (64, 36);

/// Characters of a category that are shown in any case.
const LEAST_CHARACTERS: usize = 16;

/// Distance between marks on the x axis, in pixels.
const GAP: f64 = 6.0;

/// A picture with two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    x: Scale,
    y: Scale,
    /// Where the x axis begins: further right if the marks of the y axis are long.
    left: f64,
    body: String,
    axes: String,
    title: String,
}

/// How dots look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DotStyle {
    /// One of many.
    Single,
    /// A mean.
    Mean,
    /// The one to look at.
    Best,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStyle {
    /// The data's own.
    Plain,
    /// One of many.
    Faint,
    /// The one to look at.
    Best,
    /// One of several in a row: 0 looks like [`LineStyle::Plain`], 100 like [`LineStyle::Best`].
    Between(u8),
}

impl LineStyle {
    /// Its attributes in the picture.
    fn attributes(self) -> String {
        match self {
            LineStyle::Plain => "class=\"line\"".into(),
            LineStyle::Faint => "class=\"faint\"".into(),
            LineStyle::Best => "class=\"bestline\"".into(),
            LineStyle::Between(share) => format!("class=\"between\" style=\"--at:{share}%\""),
        }
    }
}

impl Chart {
    /// Axes with names. The title is read out by screen readers.
    pub fn new(title: &str, (x, x_name): (Scale, &str), (y, y_name): (Scale, &str)) -> Self {
        let marks = y.ticks();
        let longest = marks.iter().map(|t| t.label.len()).max().unwrap_or(0);
        let left = MARGIN.0 + CHARACTER * longest.saturating_sub(MARK) as f64;
        let mut chart = Chart {
            x,
            y,
            left,
            body: String::new(),
            axes: String::new(),
            title: title.to_owned(),
        };
        let (right, bottom, top) = (SIZE.0 - MARGIN.1, SIZE.1 - MARGIN.3, MARGIN.2);
        for Tick { place, label } in marks {
            let y = bottom - place * (bottom - top);
            chart.axis(format_args!(
                "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            ));
            chart.axis(format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 7.0,
                y + 4.0,
                escape(&label)
            ));
        }
        chart.x_marks();
        chart.axis(format_args!(
            "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>"
        ));
        chart.axis(format_args!(
            "<text class=\"name\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            (left + right) / 2.0,
            SIZE.1 - 8.0,
            escape(&shortened(x_name, MOST_CHARACTERS.0))
        ));
        let middle = (top + bottom) / 2.0;
        chart.axis(format_args!(
            "<text class=\"name\" transform=\"translate(14 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(&shortened(y_name, MOST_CHARACTERS.1))
        ));
        chart
    }

    /// The marks of the x axis. A label for which there is no room beside the one before is left out.
    fn x_marks(&mut self) {
        let marks = self.x.ticks();
        let bottom = SIZE.1 - MARGIN.3;
        let room = (SIZE.0 - MARGIN.1 - self.left) / marks.len().max(1) as f64;
        // A name that would leave its neighbours no room is cut; a number never is.
        let most = match self.x {
            Scale::Category(_) => ((room / CHARACTER) as usize).max(LEAST_CHARACTERS),
            _ => usize::MAX,
        };
        let mut free = 0.0;
        for Tick { place, label } in marks {
            let x = self.left + place * (SIZE.0 - MARGIN.1 - self.left);
            self.axis(format_args!(
                "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{}\"/>",
                bottom + 4.0
            ));
            let label = shortened(&label, most);
            let half = width(&label) / 2.0;
            let middle = x.min(SIZE.0 - half);
            if middle - half < free {
                continue;
            }
            free = middle + half + GAP;
            self.axis(format_args!(
                "<text x=\"{middle:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                escape(&label)
            ));
        }
    }

    fn axis(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.axes, "{element}");
    }

    /// Where a value is along the x axis, in pixels; none if it is not on it.
    fn across(&self, x: f64) -> Option<f64> {
        Some(self.left + self.x.inside(x)? * (SIZE.0 - MARGIN.1 - self.left))
    }

    /// Where a value is along the y axis, in pixels; at an end if it lies beyond it.
    fn up(&self, y: f64) -> f64 {
        let height = SIZE.1 - MARGIN.2 - MARGIN.3;
        SIZE.1 - MARGIN.3 - self.y.place(y).clamp(0.0, 1.0) * height
    }

    /// Where a point is in the picture; none if it lies outside.
    fn at(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.y.inside(y)?;
        Some((self.across(x)?, self.up(y)))
    }

    /// A dot, with what a reader sees who points at it. What is not on the axes is left out.
    pub fn dot(&mut self, x: f64, y: f64, kind: DotStyle, note: &str) {
        let Some((cx, cy)) = self.at(x, y) else {
            return;
        };
        let (class, radius) = match kind {
            DotStyle::Single => ("dot", 3.5),
            DotStyle::Mean => ("mean", 4.5),
            DotStyle::Best => ("best", 5.0),
        };
        let _ = writeln!(
            self.body,
            "<circle class=\"{class}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"{radius}\"><title>{}</title></circle>",
            escape(note)
        );
    }

    /// A line through points. What is not on the axes is passed by.
    pub fn line(&mut self, points: impl IntoIterator<Item = (f64, f64)>, kind: LineStyle) {
        let places: Vec<String> = points
            .into_iter()
            .filter_map(|(x, y)| self.at(x, y))
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let attributes = kind.attributes();
        let _ = writeln!(
            self.body,
            "<polyline {attributes} points=\"{}\"/>",
            places.join(" ")
        );
    }

    /// An interval along y, with a short bar at each end.
    pub fn interval(&mut self, x: f64, low: f64, high: f64) {
        let Some(px) = self.across(x).filter(|_| low <= high) else {
            return;
        };
        let mut path = format!("M{px:.1} {:.1}V{:.1}", self.up(high), self.up(low));
        // What lies beyond the axis is cut off there, and has no bar at that end.
        for end in [high, low] {
            if self.y.inside(end).is_some() {
                path += &format!("M{:.1} {:.1}h10", px - 5.0, self.up(end));
            }
        }
        let _ = writeln!(self.body, "<path class=\"line\" d=\"{path}\"/>");
    }

    /// A cross on the axis, where there is no value to show.
    pub fn cross(&mut self, x: f64, note: &str) {
        let Some(px) = self.across(x) else {
            return;
        };
        let y = SIZE.1 - MARGIN.3 - 8.0;
        let _ = writeln!(
            self.body,
            "<path class=\"bestline\" d=\"M{:.1} {:.1}l10 10m0 -10l-10 10\"><title>{}</title></path>",
            px - 5.0,
            y - 5.0,
            escape(note)
        );
    }

    /// Names of lines, in the lower right corner.
    pub fn legend(&mut self, names: &[(LineStyle, &str)]) {
        let mut right = SIZE.0 - MARGIN.1;
        for (kind, name) in names.iter().rev() {
            let y = SIZE.1 - 8.0;
            let start = right - width(name);
            let _ = writeln!(
                self.axes,
                "<text x=\"{start:.1}\" y=\"{y}\">{}</text><path {} d=\"M{:.1} {}h16\"/>",
                escape(name),
                kind.attributes(),
                start - 22.0,
                y - 4.0
            );
            right = start - 40.0;
        }
    }

    /// The whole picture.
    pub fn svg(&self) -> String {
        svg(&self.title, SIZE, &format!("{}{}", self.axes, self.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        Chart::new(
            "a < b",
            (Scale::Category(vec!["x & y".into(), "z".into()]), "what"),
            (
                Scale::Linear {
                    low: 0.0,
                    high: 1.0,
                },
                "how much",
            ),
        )
    }

    #[test]
    fn dots_are_where_their_values_are() {
        let mut chart = chart();
        chart.dot(0.0, 1.0, DotStyle::Single, "first");
        chart.dot(1.0, 0.0, DotStyle::Best, "last");
        chart.dot(0.0, f64::NAN, DotStyle::Mean, "no number");
        let svg = chart.svg();
        // A quarter and three quarters of 478 from 58 on; top and bottom of the axis.
        assert!(
            svg.contains("cx=\"177.5\" cy=\"14.0\"") && svg.contains("cx=\"416.5\" cy=\"274.0\""),
            "{svg}"
        );
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn text_is_escaped() {
        let svg = chart().svg();
        assert!(svg.contains("a &lt; b") && svg.contains("x &amp; y"));
    }
}
