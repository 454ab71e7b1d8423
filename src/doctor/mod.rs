//! What is wrong with a run, by figures: [`examine`].
//!
//! | file | holds |
//! |---|---|
//! | `rules.rs` | the table of rules: name, figure, limit, source, advice |
//! | `case.rs` | what there is of a run: settings, records, data |
//! | `facts.rs` | what the training part holds |
//! | `losses.rs` | figures of the losses |
//! | `layers.rs` | figures of the layers, which `--watch` has written down |
//! | `samples.rs` | figures of the training samples |

mod case;
mod facts;
mod layers;
mod losses;
mod rules;
mod samples;

use serde::Serialize;

use crate::error::Result;
use crate::train::RunDir;
use case::Case;
use rules::{Bad, DoctorRule, RULES};

/// A figure that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LookedAt {
    /// The rule's name.
    pub name: &'static str,
    /// What the figure is.
    pub figure: &'static str,
    /// Its value.
    pub value: f64,
    /// Where in the run: "layer 2", "epoch 7".
    pub place: Option<String>,
    /// The rule finds something beyond this.
    pub limit: f64,
    /// Whether beyond is above; else it is below.
    pub is_above: bool,
    /// Where figure or limit come from.
    pub source: &'static str,
}

/// A disease.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The figure it goes by.
    #[serde(flatten)]
    pub by: LookedAt,
    /// What it means.
    pub meaning: &'static str,
    /// What to try.
    pub advice: String,
}

/// A rule that could not judge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotJudged {
    /// The rule's name.
    pub name: &'static str,
    /// What its figure would have been.
    pub figure: &'static str,
    /// Why.
    pub why: String,
}

/// What was found in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diagnosis {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// All figures, those of the findings too.
    pub looked_at: Vec<LookedAt>,
    /// What could not be judged.
    pub not_judged: Vec<NotJudged>,
}

/// Examines a run.
///
/// # Errors
/// If its settings, records or summary cannot be read.
pub fn examine(run: &RunDir) -> Result<Diagnosis> {
    let case = Case::read(run)?;
    let mut diagnosis = Diagnosis::default();
    for rule in &RULES {
        diagnosis.apply(rule, &case);
    }
    Ok(diagnosis)
}

impl Diagnosis {
    fn apply(&mut self, rule: &'static DoctorRule, case: &Case) {
        let &DoctorRule {
            name,
            figure,
            limit,
            source,
            meaning,
            ..
        } = rule;
        let cause = self
            .findings
            .iter()
            .find(|f| rule.follows.contains(&f.by.name));
        let found = match cause {
            Some(cause) => Err(format!("it would follow from {}", cause.by.name)),
            None => (rule.value)(case),
        };
        match found {
            Err(why) => self.not_judged.push(NotJudged { name, figure, why }),
            Ok(found) => {
                let is_above = rule.bad == Bad::Above;
                let by = LookedAt {
                    name,
                    figure,
                    value: found.value,
                    place: found.place,
                    limit,
                    is_above,
                    source,
                };
                let is_beyond = match rule.bad {
                    Bad::Above => by.value > limit,
                    Bad::Below => by.value < limit,
                };
                if is_beyond {
                    let advice = (rule.advice)(case);
                    self.findings.push(Finding {
                        by: by.clone(),
                        meaning,
                        advice,
                    });
                }
                self.looked_at.push(by);
            }
        }
    }
}
