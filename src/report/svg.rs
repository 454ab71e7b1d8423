//! What all pictures share: the frame, the colours, and escaped text. Colours follow the reader's light or dark scheme,
//! also where the picture is a file of its own.

pub(super) use crate::text::escape::escape;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::text::printable::printable;

/// Colours and fonts; `currentColor` would not follow the scheme in a file of its own.
const STYLE: &str = "\
.chart{font:12px system-ui,sans-serif;--ink:#1d2330;--muted:#5a6170;--grid:#e4e7ed;--data:#2563c9;--best:#b8500a;--paper:#fff}\
@media screen and (prefers-color-scheme:dark){.chart{--ink:#e7e9ef;--muted:#a5acba;--grid:#2e3440;--data:#7fb0ff;--best:#ff9d57;--paper:#14171e}}\
.chart text{fill:var(--muted)}.chart .name{fill:var(--ink)}.chart .on{fill:var(--paper)}.chart .grid{stroke:var(--grid)}.chart .axis{stroke:var(--muted)}\
.chart .dot{fill:var(--data);fill-opacity:.55}.chart .mean,.chart .bar{fill:var(--data)}.chart .line{stroke:var(--data);fill:none;stroke-width:1.5}\
.chart .faint{stroke:var(--data);fill:none;stroke-opacity:.3}.chart .best{fill:var(--best)}.chart .bestline{stroke:var(--best);fill:none;stroke-width:2}\
.chart .between{stroke:color-mix(in srgb,var(--best) var(--at),var(--data));fill:none;stroke-width:1.5}\
.chart .over{paint-order:stroke;stroke:var(--paper);stroke-width:3}";

/// About the width in pixels of a character of 12 pixels.
pub(super) const CHARACTER: f64 = 7.0;

/// A whole picture of this size in pixels. Screen readers read the title.
pub(super) fn svg(title: &str, (width, height): (f64, f64), body: &str) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title><style>{STYLE}</style>\n{body}</svg>\n"
    )
}

/// Text for which there is only so much room, cut at the end. A wide character takes the room of two.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let text = printable(text);
    if text.width() <= most {
        return text.into_owned();
    }
    let mut left = most.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// About the width of a text in pixels.
pub(super) fn width(text: &str) -> f64 {
    CHARACTER * text.width() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("\"<&>'"), "&quot;&lt;&amp;&gt;&#39;");
        assert_eq!(
            escape("]]></style>\u{1b}\n\u{ffff}"),
            "]]&gt;&lt;/style&gt;\\u{1b}\\n\\u{ffff}"
        );
        assert!(svg("a < b", (1.0, 2.0), "").contains("<title>a &lt; b</title>"));
    }

    #[test]
    fn what_has_no_room_is_cut() {
        assert_eq!(shortened("four", 4), "four");
        assert_eq!(shortened("fourteen", 5), "four…");
        assert_eq!(shortened("鞋鞋鞋", 5), "鞋鞋…");
        assert_eq!(shortened("\u{1b}[31mred", 9), "\\u{1b}[3…");
    }
}
