//! What all pictures share: the frame, the colours, and escaped text. Colours follow the reader's light or dark scheme,
//! also where the picture is a file of its own.

/// Colours and fonts; `currentColor` would not follow the scheme in a file of its own.
const STYLE: &str = "\
.chart{font:12px system-ui,sans-serif;--ink:#1d2330;--muted:#5a6170;--grid:#e4e7ed;--data:#2563c9;--best:#b8500a;--paper:#fff}\
@media screen and (prefers-color-scheme:dark){.chart{--ink:#e7e9ef;--muted:#a5acba;--grid:#2e3440;--data:#7fb0ff;--best:#ff9d57;--paper:#14171e}}\
.chart text{fill:var(--muted)}.chart .name{fill:var(--ink)}.chart .on{fill:var(--paper)}.chart .grid{stroke:var(--grid)}.chart .axis{stroke:var(--muted)}\
.chart .dot{fill:var(--data);fill-opacity:.55}.chart .mean,.chart .bar{fill:var(--data)}.chart .line{stroke:var(--data);fill:none;stroke-width:1.5}\
.chart .faint{stroke:var(--data);fill:none;stroke-opacity:.3}.chart .best{fill:var(--best)}.chart .bestline{stroke:var(--best);fill:none;stroke-width:2}\
.chart .over{paint-order:stroke;stroke:var(--paper);stroke-width:3}";

/// A whole picture of this size in pixels. Screen readers read the title.
pub(super) fn svg(title: &str, (width, height): (f64, f64), body: &str) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title><style>{STYLE}</style>\n{body}</svg>\n"
    )
}

/// Text that stays text in HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("\"<&>\""), "&quot;&lt;&amp;&gt;&quot;");
        assert!(svg("a < b", (1.0, 2.0), "").contains("<title>a &lt; b</title>"));
    }
}
