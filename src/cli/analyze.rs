//! `analyze`: which classes a model confuses, with the option to compare it with another model's predictions.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::model::ModelArgs;
use super::output;
use crate::data::{self, Features, Samples, Schema, TableOptions, Task, TestPart, TestSet};
use crate::error::{Error, Result};
use crate::metrics::correlation::{ConfusedPair, confused_pairs, correlation};
use crate::model::Model;
use crate::ops::loss::cross_entropy::argmax;
use crate::{
    metrics::Confusion,
    text::{printable::printable, table},
};

/// The number of confused pairs that are shown.
const SHOWN: usize = 8;

/// What `analyze` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
The matrix is Pearson's correlation between the classes' probabilities over the whole test set: for classes that a model confuses it lies above -1/(classes - 1).

Examples:
  chainrule analyze --model runs/run-0001
  chainrule analyze --model runs/run-0001 --predictions resnet18.npy   # [samples, classes], in the test set's order")]
pub struct AnalyzeArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Labelled data with a test part [default: the data set of the model's run]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Outputs of another model for the same test samples, as an array [samples, classes] in NPY, NPZ (x) or CSV
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Correlate the logits instead of the probabilities
    #[arg(long)]
    logits: bool,
}

/// The object that `--json` prints.
#[derive(Serialize)]
struct AnalysisReport {
    data: String,
    samples: usize,
    classes: Vec<String>,
    models: Vec<Analysis>,
}

/// The results of one model.
#[derive(Serialize)]
struct Analysis {
    name: String,
    accuracy: f64,
    /// Null where a class's output never changes.
    correlation: Vec<Vec<Option<f64>>>,
    confusion: Vec<Vec<u64>>,
    confused: Vec<ConfusedPair>,
}

/// Runs the command.
pub(super) fn run(args: &AnalyzeArgs) -> Result<()> {
    let model = args.model.read()?;
    let description = &model.description;
    if description.task != Task::Classification {
        let found = description.task.name();
        let message = format!(
            "expected a model of classes, which analyze compares, found one for {found}; see eval"
        );
        return Err(Error::setting("model", message));
    }
    let TestSet {
        samples: test,
        name,
        notices,
        ..
    } = read_test(args, &model)?;
    for notice in notices {
        output::note(&format!("note: {notice}"));
    }
    test.check_labels(description.spec.outputs)?;
    let classes = description.spec.outputs;
    let found = args.model.predictor(&model)?.predict(&test)?;
    let outputs = if args.logits {
        &found.logits
    } else {
        &found.outputs
    };
    let mut models = vec![Analysis::new(
        args.model.name(),
        outputs,
        classes,
        test.labels.classes(),
    )?];
    if let Some(path) = &args.predictions {
        let columns = Schema::by_position(classes, None);
        let (_, rows) = data::read_input(path, &columns, None, &TableOptions::default())?;
        let (encoded, _) = columns.encode(&rows.samples, &rows.source)?;
        let other = floats(encoded.unwrap_or(rows.samples));
        if other.len() != test.len() * classes {
            let expected = format!("{} rows, one for each test sample", test.len());
            return Err(Error::format(
                path,
                "samples",
                expected,
                (other.len() / classes).to_string(),
            ));
        }
        models.push(Analysis::new(
            path.display().to_string(),
            &other,
            classes,
            test.labels.classes(),
        )?);
    }
    let report = AnalysisReport {
        data: name,
        samples: test.len(),
        classes: description.class_names.clone(),
        models,
    };
    if args.model.json {
        return output::print_json(&report);
    }
    output::print(&in_words(&report))
}

/// The labelled rows to analyse, as the model takes them.
fn read_test(args: &AnalyzeArgs, model: &Model) -> Result<TestSet> {
    let description = &model.description;
    let options = args.model.load_options(model, args.data.as_deref())?;
    let columns = description.columns();
    let test = match data::load_test(&options, &columns)? {
        TestPart::Found(test) => *test,
        // A file of its own.
        TestPart::None(Some(data)) if args.data.is_some() => TestSet::of_all_rows(*data),
        TestPart::None(_) => {
            let path = data::locate(options.path.as_deref())?;
            let message = format!(
                "expected a test part, found none in {}; name a labelled table, or train with --test-split or \
                 --test-data",
                path.display()
            );
            return Err(Error::setting("data", message));
        }
    };
    let (test, unseen) = description.fit_test(test)?;
    if !unseen.is_empty() {
        let message = format!(
            "expected the classes of the model, found labels that are none of them: {}; leave out their rows",
            unseen.join(", ")
        );
        return Err(Error::setting("data", message));
    }
    Ok(test)
}

fn floats(samples: Samples) -> Vec<f64> {
    match samples.features {
        Features::U8(values) => values.into_iter().map(f64::from).collect(),
        Features::F32(values) => values.into_iter().map(f64::from).collect(),
        Features::F64(values) => values,
    }
}

impl Analysis {
    fn new(name: String, outputs: &[f64], classes: usize, labels: &[u32]) -> Result<Self> {
        let predicted: Vec<u32> = outputs
            .chunks_exact(classes)
            .map(|row| argmax(row) as u32)
            .collect();
        let confusion = Confusion::new(classes, labels, &predicted)?;
        let matrix = correlation(outputs, classes);
        Ok(Analysis {
            name,
            accuracy: confusion.correct() as f64 / confusion.total() as f64,
            correlation: matrix
                .chunks_exact(classes)
                .map(|row| row.iter().map(|r| r.is_finite().then_some(*r)).collect())
                .collect(),
            confusion: (0..classes)
                .map(|class| confusion.row(class).to_vec())
                .collect(),
            confused: confused_pairs(&confusion),
        })
    }
}

fn in_words(report: &AnalysisReport) -> String {
    let data = printable(&report.data);
    let mut text = format!("{data}: {} test samples\n", report.samples);
    for model in &report.models {
        text += &format!(
            "\n{}: accuracy {:.4}\ncorrelation between the classes\n",
            printable(&model.name),
            model.accuracy
        );
        let mut rows = vec![vec![String::new()]];
        rows[0].extend((0..report.classes.len()).map(|class| class.to_string()));
        for (class, (name, row)) in report.classes.iter().zip(&model.correlation).enumerate() {
            let cells = row
                .iter()
                .map(|r| r.map_or_else(|| "-".into(), |r| format!("{r:.2}")));
            rows.push(
                std::iter::once(format!("{name} {class}"))
                    .chain(cells)
                    .collect(),
            );
        }
        text += &table::align(&rows, 0);
    }
    text += "\nclasses taken for each other most often\n";
    let pair = |p: &ConfusedPair| {
        let [a, b] = p.classes.map(|class| report.classes[class].as_str());
        format!("{a} / {b}: {} + {}", p.counts[0], p.counts[1])
    };
    let mut rows = vec![
        report
            .models
            .iter()
            .map(|m| m.name.clone())
            .collect::<Vec<_>>(),
    ];
    let longest = report
        .models
        .iter()
        .map(|m| m.confused.len())
        .max()
        .unwrap_or(0);
    for place in 0..longest.min(SHOWN) {
        rows.push(
            report
                .models
                .iter()
                .map(|m| m.confused.get(place).map(pair).unwrap_or_default())
                .collect(),
        );
    }
    text + &table::align(&rows, report.models.len())
}
