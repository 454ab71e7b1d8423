//! What holds for every report, whatever the study file says. The fuzz targets check it too.

use std::fs;
use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

/// An XML document, or why it is none.
fn parsed(text: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The numbers of an attribute.
fn numbers(text: &str) -> Vec<f64> {
    let between =
        |c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)) || "MVhlm".contains(c);
    let words = text.split(between).filter(|word| !word.is_empty());
    words
        .map(|word| word.parse().unwrap_or_else(|_| panic!("{word} in {text}")))
        .collect()
}

/// Every number of a picture is one, and every place lies in it.
fn check_picture(svg: Node<'_, '_>) {
    let size = numbers(svg.attribute("viewBox").unwrap());
    for node in svg.descendants().filter(Node::is_element) {
        for attribute in node.attributes() {
            let (name, text) = (attribute.name(), attribute.value());
            let limit = match name {
                "x" | "x1" | "x2" | "cx" | "width" => Some(size[2]),
                "y" | "y1" | "y2" | "cy" | "height" => Some(size[3]),
                "points" => Some(size[2].max(size[3])),
                "d" | "r" | "stroke-opacity" | "fill-opacity" => None,
                _ => continue,
            };
            for number in numbers(text) {
                let inside = limit.is_none_or(|most| (0.0..=most).contains(&number));
                assert!(
                    number.is_finite() && inside,
                    "{name}=\"{text}\" in {size:?}"
                );
            }
        }
    }
}

/// Reads a report as a browser and as a program that takes it for XML.
pub(super) fn check_report(out: &Path) -> String {
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let document = parsed(&page);
    let known = "html head meta title style body h1 h2 h3 p strong div table thead tbody tr th td figure figcaption a \
                 pre footer svg line text polyline circle path rect image";
    let known: Vec<&str> = known.split(' ').collect();
    for node in document.descendants().filter(Node::is_element) {
        assert!(known.contains(&node.tag_name().name()), "{node:?}");
        assert!(
            !node.attributes().any(|a| a.name().starts_with("on")),
            "{node:?}"
        );
        if node.has_tag_name("a") {
            let link = node.attribute("href").unwrap();
            assert!(out.join(link).is_file(), "{link}");
        }
        if node.tag_name().name() == "svg" {
            check_picture(node);
        }
    }
    let mut pictures = 0;
    for entry in fs::read_dir(out.join("figures")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if path.extension().is_some_and(|e| e == "svg") {
            check_picture(parsed(&text).root_element());
            pictures += 1;
        } else {
            let obeyed = |c: char| c != '\n' && c.is_control();
            assert!(!text.contains(obeyed), "{path:?}: {text:?}");
            let cells = text.lines().flat_map(|line| line.split(','));
            assert!(
                !cells
                    .map(|c| c.trim_start_matches('"'))
                    .any(|c| c.starts_with(['=', '@']))
            );
        }
    }
    assert_eq!(
        pictures,
        page.matches("<svg").count(),
        "no name is taken twice"
    );
    page
}
