//! Charts of a series: for each value of a setting its repeats, their mean, and the interval of the mean.

use super::chart::{Chart, DotStyle, LineStyle};
use super::figure::Figure;
use super::measure::Measure;
use super::scale::Scale;
use super::section::SeriesSection;
use crate::metrics::{DataPart, Metric};
use crate::search::sweep::Cell;
use crate::text::csv;
use crate::text::number::text;

/// A chart for each metric that the repeats have noted.
pub(super) fn figures(series: &SeriesSection<'_>) -> Vec<Figure> {
    let drawn = Metric::ALL.map(|metric| (metric, series.cells(measure(metric))));
    let noted = drawn
        .into_iter()
        .filter(|(_, cells)| cells.iter().any(|c| !c.repeats.is_empty()));
    noted
        .map(|(metric, cells)| figure(series, metric, &cells))
        .collect()
}

fn measure(metric: Metric) -> Measure<'static> {
    Measure::Metric(metric.of(DataPart::Validation))
}

fn figure(series: &SeriesSection<'_>, metric: Metric, cells: &[Cell]) -> Figure {
    let name = series.name;
    let measure = measure(metric);
    let y = range(cells, measure);
    let y_title = measure.title();
    let x = Scale::Category(cells.iter().map(|c| text(&c.value)).collect());
    let title = format!("{y_title} against {name}");
    let mut chart = Chart::new(&title, (x, name), (y, &y_title));
    let means = (0..)
        .zip(cells)
        .filter_map(|(i, c)| Some((f64::from(i), c.mean?.mean)));
    chart.line(means, LineStyle::Faint);
    for (i, cell) in (0..).map(f64::from).zip(cells) {
        draw(&mut chart, i, cell, metric);
    }
    let mut caption = format!("{title}: every repeat, their mean, and the mean's 95 % t interval");
    if cells
        .iter()
        .any(|c| c.mean.is_some_and(|m| m.pooled.is_some()))
    {
        caption += ", from the deviation that the values have in common";
    }
    if cells.iter().any(|c| c.diverged) {
        caption += "; × where a loss stopped being a number";
    }
    Figure {
        name: series.section.stem(metric.name()),
        caption,
        broad: false,
        svg: chart.svg(),
        csv: numbers(series, measure, cells),
    }
}

/// An axis for all repeats and their intervals.
///
/// Intervals of few repeats are long and would leave no room for anything else. They are cut where they go beyond the
/// repeats by more than the repeats' own range.
fn range(cells: &[Cell], measure: Measure<'_>) -> Scale {
    let repeats = || cells.iter().flat_map(|c| c.repeats.iter().copied());
    let (low, high) = (
        repeats().fold(f64::INFINITY, f64::min),
        repeats().fold(f64::NEG_INFINITY, f64::max),
    );
    let (least, most) = (low - (high - low), high + (high - low));
    let intervals = cells.iter().filter_map(|c| c.mean?.interval);
    let ends = intervals.flat_map(|i| [i.low.max(least), i.high.min(most)]);
    measure.axis(repeats().chain(ends))
}

fn draw(chart: &mut Chart, x: f64, cell: &Cell, metric: Metric) {
    let label = text(&cell.value);
    for (repeat, &value) in cell.repeats.iter().enumerate() {
        let note = format!("{label}, repeat {repeat}: {}", metric.format(value));
        chart.dot(x, value, DotStyle::Single, &note);
    }
    if let Some(mean) = cell.mean {
        if let Some(interval) = mean.interval {
            chart.interval(x, interval.low, interval.high);
        }
        let note = format!("{label}: mean {}", metric.format(mean.mean));
        chart.dot(x, mean.mean, DotStyle::Mean, &note);
    }
    if cell.diverged {
        chart.cross(x, &format!("{label}: diverged"));
    }
}

/// A line for each repeat, with its seed.
fn numbers(series: &SeriesSection<'_>, measure: Measure<'_>, cells: &[Cell]) -> String {
    let trial = |cell: &Cell| {
        let mut trials = series.section.trials();
        trials.find(|t| {
            t.parameter(series.name).as_ref() == Some(&cell.value) && t.state().has_result()
        })
    };
    let rows = cells.iter().flat_map(|cell| {
        let seeds = trial(cell).and_then(|t| t.content.user_attrs.get("seeds")?.as_array());
        let seed = move |repeat: usize| {
            seeds
                .and_then(|s| s.get(repeat))
                .map_or_else(String::new, ToString::to_string)
        };
        let value = text(&cell.value);
        let row = move |(repeat, x): (usize, &f64)| {
            [
                value.clone(),
                repeat.to_string(),
                x.to_string(),
                seed(repeat),
            ]
        };
        cell.repeats.iter().enumerate().map(row)
    });
    csv::table(&[series.name, "repeat", &measure.name(), "seed"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::student;

    #[test]
    fn intervals_have_room_but_do_not_crowd_out_the_repeats() {
        let cells = |measure: Measure<'_>, lists: &[&[f64]]| -> Vec<Cell> {
            let cell = |repeats: &&[f64]| Cell {
                value: serde_json::Value::Null,
                repeats: repeats.to_vec(),
                mean: student::means(&[*repeats], measure.limits())[0],
                diverged: false,
            };
            lists.iter().map(cell).collect()
        };
        let linear = |low, high| Scale::Linear { low, high };
        let [accuracy, loss] = ["val_accuracy", "val_loss"].map(Measure::from_name);
        // 12 ± 2.48 and 19.5 ± 6.35 lie within 10 to 20 and 10 more on both sides.
        let wide = cells(loss, &[&[11.0, 12.0, 13.0], &[10.0], &[19.0, 20.0]]);
        assert_eq!(range(&wide, loss), linear(5.0, 30.0));
        // 10.5 ± 6.35 of repeats from 10 to 11: no further than from 9 to 12.
        let narrow = cells(loss, &[&[10.0, 11.0]]);
        assert_eq!(range(&narrow, loss), linear(9.0, 12.0));
        // 0.75 ± 3.18: no accuracy is below 0 or above 1.
        let two = |measure| range(&cells(measure, &[&[0.5, 1.0]]), measure);
        assert_eq!(two(accuracy), linear(0.0, 1.0));
        assert_eq!(two(loss), linear(0.0, 1.5));
    }
}
