//! Charts of the layers of a run that was watched: a line a layer, over the epochs.

use super::chart::{Chart, DotStyle, LineStyle};
use super::figure::Figure;
use super::scale::Scale;
use crate::text::csv;
use crate::train::{EpochRecord, LayerRecord};

/// Layers that the legend names; of more it names the first and the last.
const NAMED: usize = 4;

/// What is shown of each layer.
struct Quantity {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    value: fn(&LayerRecord) -> Option<f64>,
    /// A share from 0 to 1; the others are sizes, on a log axis.
    is_share: bool,
}

const QUANTITIES: [Quantity; 6] = [
    Quantity {
        name: "activations",
        title: "size of the activations",
        about: "root mean square of each layer's outputs in evaluation",
        value: |layer| layer.activations,
        is_share: false,
    },
    Quantity {
        name: "gradients",
        title: "size of the gradients",
        about: "root mean square of ∂L/∂W; lines far apart are gradients that vanish or explode by depth",
        value: |layer| layer.gradients,
        is_share: false,
    },
    Quantity {
        name: "weights",
        title: "size of the weights",
        about: "root mean square of W",
        value: |layer| layer.weights,
        is_share: false,
    },
    Quantity {
        name: "updates",
        title: "size of the updates",
        about: "root mean square of W's change in one update",
        value: |layer| layer.updates,
        is_share: false,
    },
    Quantity {
        name: "update-ratio",
        title: "updates / weights",
        about: "the change of W in one update, as a share of W",
        value: |layer| layer.update_ratio,
        is_share: false,
    },
    Quantity {
        name: "dead-units",
        title: "share of dead units",
        about: "units whose activation is flat for every sample: 0 (relu), or at its limits (sigmoid, tanh)",
        value: |layer| layer.dead_units,
        is_share: true,
    },
];

/// All charts for which there are numbers.
pub(super) fn figures(records: &[EpochRecord]) -> Vec<Figure> {
    let watched: Vec<&EpochRecord> = records.iter().filter(|r| !r.layers.is_empty()).collect();
    QUANTITIES
        .iter()
        .filter_map(|quantity| figure(quantity, &watched))
        .collect()
}

/// The chart of a quantity; none if no layer has it.
fn figure(quantity: &Quantity, records: &[&EpochRecord]) -> Option<Figure> {
    let layers = records.iter().map(|r| r.layers.len()).max()?;
    let lines: Vec<Vec<(f64, f64)>> = (0..layers)
        .map(|layer| line(quantity, records, layer))
        .collect();
    let y = axis(quantity, lines.iter().flatten().map(|point| point.1))?;
    let (first, last) = (records.first()?.epoch, records.last()?.epoch);
    let x = Scale::Linear {
        low: first.into(),
        high: last.into(),
    };
    let title = format!("{} of each layer", quantity.title);
    let mut chart = Chart::new(&title, (x, "epoch"), (y, quantity.title));
    let style = |layer: usize| LineStyle::Between((100 * layer / (layers - 1).max(1)) as u8);
    for (layer, points) in lines.iter().enumerate() {
        chart.line(points.iter().copied(), style(layer));
        // The line's end says which layer it is.
        if let Some(&(epoch, value)) = points.last() {
            let note = format!("layer {}, epoch {epoch}: {value:.3e}", layer + 1);
            chart.dot(epoch, value, DotStyle::Single, &note);
        }
    }
    let drawn: Vec<usize> = (0..layers)
        .filter(|&layer| !lines[layer].is_empty())
        .collect();
    let named = match &drawn[..] {
        [first, .., last] if drawn.len() > NAMED => vec![*first, *last],
        all => all.to_vec(),
    };
    let names = named.iter().map(|layer| format!("layer {}", layer + 1));
    let names: Vec<String> = names.collect();
    let legend = named.iter().zip(&names);
    let legend = legend.map(|(&layer, name)| (style(layer), name.as_str()));
    chart.legend(&legend.collect::<Vec<_>>());
    Some(Figure {
        name: format!("layers-{}", quantity.name),
        caption: format!("{title} against the epoch: {}", quantity.about),
        broad: false,
        svg: chart.svg(),
        csv: numbers(quantity, records, layers),
    })
}

/// The finite value of a quantity.
fn value(quantity: &Quantity, record: &EpochRecord, layer: usize) -> Option<f64> {
    let found = record.layers.get(layer).and_then(quantity.value);
    found.filter(|x| x.is_finite())
}

/// A layer's values against the epoch.
fn line(quantity: &Quantity, records: &[&EpochRecord], layer: usize) -> Vec<(f64, f64)> {
    let point = |r: &&EpochRecord| Some((f64::from(r.epoch), value(quantity, r, layer)?));
    records.iter().filter_map(point).collect()
}

/// A row an epoch, a column a layer.
fn numbers(quantity: &Quantity, records: &[&EpochRecord], layers: usize) -> String {
    let names: Vec<String> = (1..=layers).map(|layer| format!("layer {layer}")).collect();
    let names = names.iter().map(String::as_str);
    let header: Vec<&str> = ["epoch"].into_iter().chain(names).collect();
    let rows = records.iter().map(|record| {
        let cells = (0..layers).map(|layer| value(quantity, record, layer));
        let cells = cells.map(|x| x.map_or_else(String::new, |x| x.to_string()));
        let epoch = record.epoch.to_string();
        [epoch].into_iter().chain(cells).collect::<Vec<_>>()
    });
    csv::table(&header, rows)
}

/// An axis for shares from 0 to 1; for sizes whole powers of ten. None without a value.
fn axis(quantity: &Quantity, values: impl Iterator<Item = f64>) -> Option<Scale> {
    if quantity.is_share {
        let share = Scale::Linear {
            low: 0.0,
            high: 1.0,
        };
        return values.count().gt(&0).then_some(share);
    }
    let sizes = values.filter(|&x| x > 0.0).map(f64::log10);
    let (low, high) = sizes.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    (low <= high).then(|| Scale::Log {
        low: 10_f64.powf(low.floor()),
        high: 10_f64.powf(high.floor() + 1.0),
    })
}
