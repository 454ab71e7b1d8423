//! Pieces of HTML. Text is escaped here.

use super::figure::Figure;

pub(super) use super::svg::escape;

/// A paragraph of a class, if it has one.
pub(super) fn paragraph(class: &str, text: &str) -> String {
    format!("<p{}>{}</p>\n", attribute(class), escape(text))
}

/// Lines as they are, in a block of a class, if it has one.
pub(super) fn lines<'a>(class: &str, lines: impl IntoIterator<Item = &'a str>) -> String {
    let text: Vec<String> = lines.into_iter().map(escape).collect();
    format!("<pre{}>{}</pre>\n", attribute(class), text.join("\n"))
}

fn attribute(class: &str) -> String {
    match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    }
}

/// A table with a header.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let head: String = header
        .iter()
        .map(|cell| format!("<th>{}</th>", escape(cell)))
        .collect();
    let row = |cells: Vec<String>| {
        let cells: String = cells
            .iter()
            .map(|cell| format!("<td>{}</td>", escape(cell)))
            .collect();
        format!("<tr>{cells}</tr>\n")
    };
    let body: String = rows.into_iter().map(row).collect();
    format!(
        "<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )
}

/// Charts side by side, then the broad ones.
pub(super) fn figures(figures: &[Figure]) -> String {
    let group = |class: &str, broad: bool| {
        let group = figures.iter().filter(|f| f.broad == broad);
        match group.map(figure).collect::<String>() {
            shown if shown.is_empty() => shown,
            shown => format!("<div class=\"{class}\">\n{shown}</div>\n"),
        }
    };
    group("figures", false) + &group("broad", true)
}

/// A chart and what it shows; its files are beside the page.
fn figure(figure: &Figure) -> String {
    let name = escape(&figure.name);
    format!(
        "<figure>\n<div>{}</div><figcaption>{}. <a href=\"figures/{name}.svg\">SVG</a> <a href=\"figures/{name}.csv\">CSV</a></figcaption></figure>\n",
        figure.svg,
        escape(&sentence(&figure.caption))
    )
}

/// With a capital at the start.
pub(super) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(paragraph("", "a < b"), "<p>a &lt; b</p>\n");
        assert_eq!(paragraph("note", "x"), "<p class=\"note\">x</p>\n");
        let table = table(&["<h>"], [vec!["&".to_owned()]]);
        assert!(table.contains("<th>&lt;h&gt;</th>") && table.contains("<td>&amp;</td>"));
        assert_eq!(
            (sentence("ähnlich so"), sentence("")),
            ("Ähnlich so".into(), String::new())
        );
    }
}
