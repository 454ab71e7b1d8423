//! Layers, files, and the range of every number.

use std::fs;
use std::ops::Bound;

use clap::{Args, Command, FromArgMatches};
use ndarray::Array2;

use super::keys::KEYS;
use super::range::Range;
use super::*;
use crate::data::{Dataset, Validation};
use crate::error::Result;
use crate::metrics::Metric;
use crate::optim::{Optimizer, Schedule};

fn parse(text: &str) -> Result<Settings> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("case.toml");
    fs::write(&path, text).unwrap();
    Settings::from_file(&path)
}

fn config(toml: &str) -> Result<Config> {
    Config::new(&parse(toml)?)
}

/// The settings behind these flags.
fn flags(line: &[&str]) -> Result<Settings, clap::Error> {
    let command = Settings::augment_args(Command::new("train").no_binary_name(true));
    Settings::from_arg_matches(&command.try_get_matches_from(line)?)
}

/// The table has every flag, and each key where a file has it.
#[test]
fn the_table_is_complete() {
    let command = Settings::augment_args(Command::new("train"));
    let mut flags: Vec<String> = command
        .get_arguments()
        .filter_map(|a| Some(a.get_long()?.to_owned()))
        .collect();
    let mut known: Vec<String> = KEYS.iter().map(Key::flag).collect();
    flags.sort();
    known.sort();
    assert_eq!(flags, known);
    for key in KEYS {
        let is_number = matches!(key.kind(), Kind::Real | Kind::Whole | Kind::List);
        assert_eq!(is_number, !matches!(key.range, Range::Any), "{key}");
        let (section, name) = (key.path(), key.path());
        let (section, name) = (section.split('.').next(), name.split('.').nth(1));
        let error = parse(&format!("[{}]\n{} = {{}}", section.unwrap(), name.unwrap()));
        if let Err(error) = error {
            assert!(!error.to_string().contains("unknown field"), "{error}");
        }
    }
}

/// Limits of types, numbers that are none, and those at both sides of each end of a range.
fn extremes(range: Range) -> Vec<String> {
    let mut found: Vec<String> = [
        "0", "-0", "1", "-1", "0.0", "-0.0", "0.5", "nan", "inf", "+inf", "-inf",
    ]
    .map(str::to_owned)
    .into();
    let whole = [
        i128::from(i64::MIN),
        u8::MAX.into(),
        u16::MAX.into(),
        i32::MAX.into(),
        u32::MAX.into(),
        i64::MAX.into(),
        u64::MAX.into(),
    ];
    let mut near = |end: i128| found.extend((-1..=1).map(|by| (end + by).to_string()));
    whole.into_iter().for_each(&mut near);
    if let Range::Whole(low, high) = range {
        [low.into(), high.into()].into_iter().for_each(&mut near);
    }
    let mut real = vec![f64::MIN_POSITIVE, f64::MAX, f64::MIN, f64::EPSILON, 5e-324];
    if let Range::Real((low, high)) = range {
        for end in [low, high] {
            if let Bound::Included(end) | Bound::Excluded(end) = end {
                real.extend([end.next_down(), end, end.next_up()]);
            }
        }
    }
    found.extend(
        real.iter()
            .filter(|x| x.is_finite())
            .map(|x| format!("{x:?}")),
    );
    found
}

/// Accepted, or refused with exit code 2 by the setting's name.
#[track_caller]
fn accepted_or_named(key: &Key, case: &str, settings: Result<Settings>) {
    let checked = settings.and_then(|settings| {
        Config::new(&settings)?;
        let text = settings.to_toml()?;
        assert_eq!(parse(&text)?, settings, "{case}: {text}");
        assert_eq!(settings.flat().len(), 1, "{case}");
        Ok(())
    });
    if let Err(error) = checked {
        assert_eq!(error.exit_code(), 2, "{case}: {error}");
        assert!(error.to_string().contains(&key.path()), "{case}: {error}");
    }
}

#[test]
fn every_number_is_accepted_or_refused_by_name() {
    let mut cases = 0;
    for key in KEYS.iter().filter(|key| !matches!(key.range, Range::Any)) {
        let flag = format!("--{}", key.flag());
        for text in extremes(key.range) {
            let case = format!("{flag} {text}");
            match flags(&[&flag, &text]) {
                Ok(settings) => accepted_or_named(key, &case, Ok(settings)),
                Err(error) => {
                    assert_eq!(error.exit_code(), 2, "{case}: {error}");
                    let value = format!("invalid value '{text}' for '{flag} ");
                    assert!(error.to_string().contains(&value), "{case}: {error}");
                }
            }
            let (section, name) = key
                .path()
                .split_once('.')
                .map(|(s, k)| (s.to_owned(), k.to_owned()))
                .unwrap();
            let values = match key.kind() {
                Kind::List => vec![format!("[{text}]"), format!("[1, {text}]")],
                _ => vec![text],
            };
            for value in values {
                let toml = format!("[{section}]\n{name} = {value}\n");
                accepted_or_named(key, &toml, parse(&toml));
                cases += 1;
            }
        }
    }
    assert!(cases > 1000, "{cases} cases");
}

/// As from the description of a model or a checkpoint, whose JSON holds larger integers than a TOML file.
#[test]
fn json_is_checked_too() {
    for (json, key) in [
        (
            r#"{"train":{"seed":9223372036854775808}}"#,
            "train.seed (--seed)",
        ),
        (
            r#"{"model":{"widths":[18446744073709551615]}}"#,
            "model.widths (--widths)",
        ),
        (
            r#"{"schedule":{"warmup":18446744073709551615}}"#,
            "schedule.warmup (--warmup)",
        ),
    ] {
        let settings: Settings = serde_json::from_str(json).unwrap();
        assert_eq!(settings.flat().len(), 1);
        for error in [
            Config::new(&settings).unwrap_err(),
            settings.to_toml().unwrap_err(),
        ] {
            assert!(error.to_string().contains(key), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}

#[test]
fn ranges_say_what_they_expect() {
    for (line, message) in [
        (
            ["--epochs", "0"],
            "train.epochs (--epochs): expected at least 1, found 0",
        ),
        (
            ["--depth", "10001"],
            "model.depth (--depth): expected from 1 to 10000, found 10001",
        ),
        (
            ["--seed", "9223372036854775808"],
            "train.seed (--seed): expected from 0 to 9223372036854775807, found 9223372036854775808",
        ),
        (
            ["--dropout", "1"],
            "model.dropout (--dropout): expected a number in [0, 1), found 1",
        ),
        (
            ["--weight-decay", "nan"],
            "optimizer.weight_decay (--weight-decay): expected a finite number of at least 0, found NaN",
        ),
        (
            ["--gamma", "-0.0"],
            "schedule.gamma (--gamma): expected a finite number above 0, found -0",
        ),
        (
            ["--factor", "inf"],
            "schedule.factor (--factor): expected a number in (0, 1), found inf",
        ),
        (
            ["--class-weights", "a=1,b=-1"],
            "train.class_weights (--class-weights): expected a finite number of at least 0, found -1",
        ),
    ] {
        let error = Config::new(&flags(&line).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[cfg(unix)]
#[test]
fn paths_are_text() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let path = OsString::from_vec(b"a\xff.csv".to_vec());
    let command = Settings::augment_args(Command::new("train").no_binary_name(true));
    let error = command.try_get_matches_from([OsString::from("--data"), path.clone()]);
    let error = error.unwrap_err();
    assert!(
        error.to_string().contains("--data") && error.exit_code() == 2,
        "{error}"
    );
    let mut settings = Settings::default();
    settings.data.path = Some(path.into());
    let error = Config::new(&settings).unwrap_err();
    assert!(error.to_string().contains("data.path (--data)"), "{error}");
    assert_eq!(settings.flat().len(), 1);
}

/// A label is read and written in each of its forms.
#[test]
fn labels_are_columns() {
    for (toml, columns, flat) in [
        ("\"species\"", &["species"][..], "\"species\""),
        ("\"3\"", &["3"], "\"3\""),
        ("-1", &["-1"], "-1"),
        ("[\"a\", 2]", &["a", "2"], "[\"a\", 2]"),
    ] {
        let settings = parse(&format!("[data]\nlabel = {toml}\n")).unwrap();
        assert_eq!(settings.data.label.as_ref().unwrap().columns(), columns);
        assert_eq!(settings.flat()["data.label"], flat);
        assert_eq!(parse(&settings.to_toml().unwrap()).unwrap(), settings);
        let config = Config::new(&settings).unwrap();
        assert_eq!(config.source.table.labels, columns);
        assert_eq!(config.resolved.data.label, settings.data.label);
    }
    let named = flags(&["--label", "a,b"]).unwrap().data.label.unwrap();
    assert_eq!(named.column(), Some("a,b"), "a name may have commas");
    let error = parse("[data]\nlabel = true\n").unwrap_err().to_string();
    assert!(
        error.contains("data.label") && error.contains("line 2"),
        "{error}"
    );
}

#[test]
fn class_weights_go_by_order_or_name() {
    let labels: Vec<u32> = (0..30).map(|i| i % 3).collect();
    let mut data = Dataset::from_arrays(Array2::<f32>::zeros((30, 2)).view(), &labels).unwrap();
    data.class_names = ["ant", "bee", "cat"].map(str::to_owned).into();
    for (flag, toml, expected) in [
        ("1,2.5,3", "[1, 2.5, 3]", [1.0, 2.5, 3.0]),
        ("cat=2,ant=0.5", "{cat = 2, ant = 0.5}", [0.5, 1.0, 2.0]),
    ] {
        let by_file = parse(&format!("[train]\nclass_weights = {toml}\n")).unwrap();
        assert_eq!(by_file, flags(&["--class-weights", flag]).unwrap());
        assert_eq!(parse(&by_file.to_toml().unwrap()).unwrap(), by_file);
        let config = Config::new(&by_file).unwrap();
        assert_eq!(
            config.resolved.train.class_weights,
            by_file.train.class_weights
        );
        let config = config.for_data(&data).unwrap();
        assert_eq!(config.loss.class_weights(), Some(&expected[..]));
        assert!(config.network(2, 3).is_ok());
    }
    let balanced = Config::new(&flags(&["--class-weights", "balanced"]).unwrap()).unwrap();
    let written = balanced.resolved.to_toml().unwrap();
    assert!(
        written.contains("class_weights = \"balanced\""),
        "{written}"
    );
    assert_eq!(
        config(&written).unwrap().class_weights,
        balanced.class_weights
    );
    assert!(balanced.network(2, 3).is_err(), "nobody has counted");
    // Of 24 ants 5 validate, and of 6 bees 1.
    data.train.labels =
        crate::data::Labels::Classes((0..30).map(|i| [0, 0, 0, 0, 1][i % 5]).collect());
    let found = balanced.for_data(&data).unwrap();
    let expected = [24.0 / (2.0 * 19.0), 24.0 / (2.0 * 5.0), 0.0];
    assert_eq!(found.loss.class_weights(), Some(&expected[..]));
    let unknown = Config::new(&flags(&["--class-weights", "dog=2"]).unwrap()).unwrap();
    assert!(
        unknown.network(2, 3).is_err(),
        "nobody has looked at the data"
    );
    let error = unknown.for_data(&data).unwrap_err().to_string();
    assert!(
        error.contains("--class-weights") && error.contains("dog"),
        "{error}"
    );
    for wrong in ["a=1,a=2", "a=x", "1,b=2", ""] {
        let error = flags(&["--class-weights", wrong]).unwrap_err();
        assert!(error.to_string().contains("--class-weights"), "{error}");
    }
}

#[test]
fn layers() {
    let file =
        parse("[train]\nepochs = 3\nseed = 9\n[model]\nwidths = [7, 5]\n[optimizer]\nlr = 1\n")
            .unwrap();
    let mut flags = Settings::default();
    flags.train.epochs = Some(4);
    flags.model.dropout = Some(0.5);
    let both = flags.over(&file);
    assert_eq!((both.train.epochs, both.train.seed), (Some(4), Some(9)));
    assert_eq!(
        (both.model.widths.clone(), both.model.dropout),
        (Some(vec![7, 5]), Some(0.5))
    );
    assert_eq!(both.optimizer.lr, Some(1.0));
    assert_eq!(parse(&both.to_toml().unwrap()).unwrap(), both);
}

#[test]
fn devices_go_both_ways() {
    for (text, device, shown) in [
        ("cpu", Device::Cpu, "cpu"),
        ("cuda", Device::Cuda(0), "cuda:0"),
        ("cuda:3", Device::Cuda(3), "cuda:3"),
    ] {
        let settings = parse(&format!("[train]\ndevice = \"{text}\"\n")).unwrap();
        assert_eq!(settings.train.device, Some(device));
        assert_eq!(device.to_string(), shown);
        assert_eq!(parse(&settings.to_toml().unwrap()).unwrap(), settings);
    }
    for text in ["gpu", "cuda:", "cuda:-1", "cuda:x", "CUDA"] {
        let error = parse(&format!("[train]\ndevice = \"{text}\"\n")).unwrap_err();
        assert!(error.to_string().contains("cuda:N"), "{error}");
    }
}

#[test]
fn mistakes_name_their_line() {
    for (text, line, word) in [
        (
            "[train]\nepochs = 3\nlearning_rate = 1\n",
            "line 3",
            "learning_rate",
        ),
        ("[trian]\nepochs = 3\n", "line 1", "trian"),
        ("[train]\n\nepochs = \"ten\"\n", "line 3", "ten"),
        ("[train]\nepochs = -1\n", "line 2", "-1"),
        ("[model]\nactivation = \"rely\"\n", "line 2", "rely"),
        ("[model\n", "line 1", "]"),
    ] {
        let error = parse(text).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(line) && message.contains(word),
            "{message}"
        );
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn defaults_are_the_study_s() {
    let config = config("").unwrap();
    assert_eq!(
        (config.hidden.as_slice(), config.batch_size, config.epochs),
        (&[500][..], 100, 10)
    );
    assert_eq!(
        (config.lr, config.validation, config.dropout),
        (0.001, Validation::Share(0.2), 0.0)
    );
    assert_eq!(config.optimizer, Optimizer::default());
    assert_eq!(config.schedule, Schedule::Constant);
}

#[test]
fn only_what_the_run_goes_by_is_measured() {
    let measured = |toml: &str| config(toml).unwrap().measured_on_request();
    assert_eq!(measured(""), []);
    assert_eq!(measured("[schedule]\nname = \"plateau\""), []);
    assert_eq!(
        measured(
            "[train]\nmonitor = \"val_roc_auc\"\n[schedule]\nname = \"plateau\"\nmonitor = \"val_f1_macro\""
        ),
        [Metric::RocAuc, Metric::F1Macro]
    );
    let log_loss = config("[train]\nmonitor = \"val_log_loss\"").unwrap();
    assert_eq!(log_loss.monitor, ValidationMetric::ValLoss);
    let written = log_loss.resolved.to_toml().unwrap();
    assert!(written.contains("monitor = \"val_loss\""), "{written}");
}

/// A key that older versions do not know stands in a model's file only where it was said.
#[test]
fn a_newer_key_is_not_written_without_a_value() {
    let json = |toml: &str| serde_json::to_value(&parse(toml).unwrap().schedule).unwrap();
    assert!(json("").get("monitor").is_none());
    assert!(
        json("[schedule]\nmonitor = \"val_loss\"")
            .get("monitor")
            .is_some()
    );
}

/// What a run writes down gives the same run again.
#[test]
fn resolved_settings_resolve_to_themselves() {
    for toml in [
        "",
        "[model]\nwidths = [9, 4]\ninit = \"xavier_normal=2\"\n[optimizer]\nname = \"sgd\"\nmomentum = 0.9\nnesterov = true\n",
        "[optimizer]\nname = \"adamw\"\n[schedule]\nname = \"multistep\"\nmilestones = [3, 9]\nby = \"update\"\nwarmup = 2\n",
        "[data]\naugment = \"flip,shift=2\"\n[schedule]\nname = \"plateau\"\nfactor = 0.5\npatience = 1\n[train]\nclass_weights = [1.0, 2.5]\n",
        "[schedule]\nname = \"plateau\"\nmonitor = \"val_f1_macro\"\n[train]\nclass_weights = \"balanced\"\n",
        "[data]\nlabel = -1\n[train]\nclass_weights = {cat = 2, dog = 0.5}\nmonitor = \"val_loss\"\n",
    ] {
        let first = config(toml).unwrap();
        let again = config(&first.resolved.to_toml().unwrap()).unwrap();
        assert_eq!(again.resolved, first.resolved);
        let given = first.given.clone();
        assert_eq!(Config { given, ..again }, first);
    }
}

#[test]
fn nonsense_is_refused_by_key() {
    let cases = [
        ("[model]\ndepth = 0", "model.depth"),
        ("[model]\nwidth = 0", "model.width"),
        ("[model]\nwidths = [3, 0]", "model.widths"),
        ("[model]\nwidths = [3]\nwidth = 4", "model.widths"),
        ("[model]\ndropout = 1.0", "model.dropout"),
        ("[model]\ninit = \"he\"", "model.init"),
        ("[train]\nbatch_size = 0", "train.batch_size"),
        ("[train]\nepochs = 0", "train.epochs"),
        ("[train]\nthreads = 0", "train.threads"),
        ("[train]\nthreads = 1025", "train.threads"),
        (
            "[train]\ndevice = \"cuda\"\nprecision = \"f64\"",
            "train.precision",
        ),
        (
            "[train]\ndevice = \"cuda:1\"\nprecision = \"bf16\"",
            "train.precision",
        ),
        ("[train]\nlabel_smoothing = 1.5", "train.label_smoothing"),
        ("[train]\nclass_weights = [0.0, 0.0]", "train.class_weights"),
        ("[train]\nclass_weights = \"fair\"", "\"balanced\""),
        ("[train]\nclip_norm = -1.0", "train.clip_norm"),
        ("[data]\nvalidation = 1.0", "data.validation"),
        ("[data]\naugment = \"rotate\"", "data.augment"),
        ("[optimizer]\nlr = -0.1", "optimizer.lr"),
        ("[optimizer]\nlr = nan", "optimizer.lr"),
        (
            "[optimizer]\nname = \"adam\"\nbeta1 = 1.0",
            "optimizer.beta1",
        ),
        ("[optimizer]\nname = \"adam\"\nmomentum = 0.9", "momentum"),
        (
            "[optimizer]\nname = \"sgd\"\nnesterov = true",
            "optimizer.nesterov",
        ),
        ("[optimizer]\nname = \"lion\"", "lion"),
        ("[schedule]\nname = \"step\"", "step_size"),
        ("[schedule]\nname = \"cosine\"\ngamma = 0.5", "gamma"),
        (
            "[schedule]\nname = \"step\"\nstep_size = 3\nmonitor = \"val_loss\"",
            "schedule.monitor (--schedule-monitor)",
        ),
        (
            "[schedule]\nname = \"plateau\"\nby = \"update\"",
            "schedule.by",
        ),
    ];
    for (toml, key) in cases {
        let error = config(toml).unwrap_err();
        assert!(error.to_string().contains(key), "{toml}: {error}");
        assert_eq!(error.exit_code(), 2);
    }
}
