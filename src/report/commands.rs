//! The commands that repeat a study, made from the plans in the study file.

use serde_json::Value;

use super::section::StudySection;
use crate::metrics::ValidationMetric;
use crate::search::{SEARCH, Space};
use crate::settings::{Key, plain, quoted};

/// The command that does a study again, with the same points and seeds; none if its plan is not ours.
pub(super) fn command(section: &StudySection<'_>) -> Option<String> {
    let word = |key| section.plan(key).and_then(Value::as_str);
    let number = |key| section.plan(key).and_then(Value::as_u64);
    let repeats = number("repeats")?;
    let mut flags: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: &str| flags.push((name.to_owned(), value.to_owned()));
    let start = match section.series() {
        Some(series) => {
            let (_, distribution) = section.parameters().into_iter().next()?;
            add("repeats", &repeats.to_string());
            let values = quoted(&Space::text(series.name, distribution));
            format!("chainrule sweep {} --values {values}", series.name)
        }
        None => {
            let results = section.trials().filter(|t| t.state().has_result()).count();
            add("trials", &results.to_string());
            for (name, distribution) in section.parameters() {
                add(&name.replace('_', "-"), &Space::text(name, distribution));
            }
            for (key, usual) in [("sampler", "random"), ("pruner", "none")] {
                if let Some(found) = word(key).filter(|found| *found != usual) {
                    add(key, found);
                }
            }
            if repeats != 1 {
                add("repeats", &repeats.to_string());
            }
            if section.study.name != SEARCH {
                add("name", &section.study.name);
            }
            "chainrule search".into()
        }
    };
    if let Some(objective) = word("objective").filter(|o| *o != ValidationMetric::default().name())
    {
        add("objective", objective);
    }
    add("seed", &number("seed")?.to_string());
    for (key, value) in section.plan("base")?.as_object()? {
        add(&Key::at(key)?.flag(), &plain(value.as_str()?));
    }
    let flags = flags
        .iter()
        .map(|(name, value)| format!(" --{name} {}", quoted(value)));
    Some(start + &flags.collect::<String>())
}
