//! The lines of a study file: one JSON object each, with the operation codes of Optuna's journal.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::metrics::Direction;
use crate::search::distribution::Distribution;

/// The state of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialState {
    /// A worker runs it.
    Running,
    /// It has a value.
    Complete,
    /// It was pruned.
    Pruned,
    /// It failed.
    Fail,
    /// No worker has begun it.
    Waiting,
}

impl TrialState {
    const ALL: [TrialState; 5] = [
        TrialState::Running,
        TrialState::Complete,
        TrialState::Pruned,
        TrialState::Fail,
        TrialState::Waiting,
    ];

    /// Whether the trial ended with a result, which spends its slot of the budget.
    pub fn has_result(self) -> bool {
        matches!(self, TrialState::Complete | TrialState::Pruned)
    }

    /// Whether the trial can no longer change.
    pub fn is_finished(self) -> bool {
        self.has_result() || self == TrialState::Fail
    }
}

/// Attributes: JSON values by name.
pub type Attributes = Map<String, Value>;

/// A parameter of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its internal value.
    pub internal: f64,
    /// The distribution that it was drawn from.
    pub distribution: Distribution,
}

/// A new trial with everything that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTrial {
    /// Its state: running unless the record names another one.
    pub state: TrialState,
    /// When it began; `None` while it waits.
    pub start: Option<String>,
    /// When it ended.
    pub complete: Option<String>,
    /// Its objective values.
    pub values: Option<Vec<f64>>,
    /// Its parameters by name.
    pub params: BTreeMap<String, Parameter>,
    /// Attributes that users and programs have set.
    pub user_attrs: Attributes,
    /// Attributes that samplers and pruners have set.
    pub system_attrs: Attributes,
    /// Reported values by step.
    pub reports: BTreeMap<u64, f64>,
}

impl NewTrial {
    /// A trial in this state, of which nothing else is known.
    pub fn new(state: TrialState, start: Option<String>) -> Self {
        NewTrial {
            state,
            start,
            complete: None,
            values: None,
            params: BTreeMap::new(),
            user_attrs: Attributes::new(),
            system_attrs: Attributes::new(),
            reports: BTreeMap::new(),
        }
    }
}

/// An operation.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Operation {
    CreateStudy {
        name: String,
        directions: Vec<Direction>,
    },
    DeleteStudy {
        study: usize,
    },
    StudyUserAttr {
        study: usize,
        key: String,
        value: Value,
    },
    StudySystemAttr {
        study: usize,
        key: String,
        value: Value,
    },
    CreateTrial {
        study: usize,
        trial: Box<NewTrial>,
    },
    SetParameter {
        trial: usize,
        name: String,
        parameter: Parameter,
    },
    SetState {
        trial: usize,
        state: TrialState,
        values: Option<Vec<f64>>,
        at: Option<String>,
    },
    Report {
        trial: usize,
        step: u64,
        value: f64,
    },
    TrialUserAttr {
        trial: usize,
        key: String,
        value: Value,
    },
    TrialSystemAttr {
        trial: usize,
        key: String,
        value: Value,
    },
    /// Written by another program, without meaning here.
    Discard,
}

impl Operation {
    /// Whether all its numbers are finite. JSON has no others: they would be written as null, which is no number.
    pub(super) fn is_finite(&self) -> bool {
        let all = |values: &Option<Vec<f64>>| values.iter().flatten().all(|x| x.is_finite());
        match self {
            Operation::CreateTrial { trial, .. } => {
                all(&trial.values)
                    && trial.reports.values().all(|x| x.is_finite())
                    && trial.params.values().all(|p| p.internal.is_finite())
            }
            Operation::SetParameter { parameter, .. } => parameter.internal.is_finite(),
            Operation::SetState { values, .. } => all(values),
            Operation::Report { value, .. } => value.is_finite(),
            _ => true,
        }
    }
}

/// A line of the file: an operation and the worker that did it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The process and thread that wrote it.
    pub worker: String,
    /// What it did.
    pub operation: Operation,
}

impl Record {
    /// Parses a line without its line end.
    ///
    /// # Errors
    /// Says what is missing or wrong.
    pub fn parse(line: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(&quote_non_finite(line)).map_err(|e| format!("{e}"))?;
        let fields = Fields(value.as_object().ok_or("no JSON object")?);
        Ok(Record {
            worker: fields.text("worker_id")?,
            operation: operation(&fields)?,
        })
    }

    /// The line of this record, without its line end. Its numbers are finite; others would become null.
    pub fn to_line(&self) -> String {
        let mut fields = Map::new();
        let (code, rest) = encode(&self.operation);
        fields.insert("op_code".into(), json!(code));
        fields.insert("worker_id".into(), json!(self.worker));
        fields.extend(rest);
        Value::Object(fields).to_string()
    }
}

/// Puts quotes around NaN, Infinity and -Infinity, which Python writes although JSON does not have them. As
/// strings they can be parsed. Text inside of strings stays as it is.
fn quote_non_finite(line: &str) -> std::borrow::Cow<'_, str> {
    if !line.contains("NaN") && !line.contains("Infinity") {
        return line.into();
    }
    let mut out = String::with_capacity(line.len() + 8);
    let (mut rest, mut in_string) = (line, false);
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"]
            .into_iter()
            .find(|w| rest.starts_with(w));
        let taken = match (in_string, c, word) {
            (true, '\\', _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (_, '"', _) => {
                in_string = !in_string;
                1
            }
            (false, _, Some(word)) => {
                let _ = write!(out, "\"{word}\"");
                rest = &rest[word.len()..];
                continue;
            }
            _ => c.len_utf8(),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out.into()
}

/// Reads a float: a number, or one of the words for which JSON has no number.
fn float(value: &Value) -> Option<f64> {
    match value {
        Value::String(word) => match word.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        other => other.as_f64(),
    }
}

/// The fields of a line.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// A required field.
    fn required(&self, key: &str) -> Result<&'a Value, String> {
        self.0.get(key).ok_or_else(|| format!("no {key}"))
    }

    /// An optional field: `None` if it is absent or null.
    fn optional(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|v| !v.is_null())
    }

    fn text(&self, key: &str) -> Result<String, String> {
        let value = self.required(key)?;
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| wrong(key, "a string", value))
    }

    fn optional_text(&self, key: &str) -> Result<Option<String>, String> {
        self.optional(key).map(|_| self.text(key)).transpose()
    }

    fn count(&self, key: &str) -> Result<u64, String> {
        let value = self.required(key)?;
        value
            .as_u64()
            .ok_or_else(|| wrong(key, "a whole number", value))
    }

    fn id(&self, key: &str) -> Result<usize, String> {
        self.count(key).map(|id| id as usize)
    }

    fn float(&self, key: &str) -> Result<f64, String> {
        let value = self.required(key)?;
        float(value).ok_or_else(|| wrong(key, "a number", value))
    }

    fn state(&self, key: &str) -> Result<TrialState, String> {
        let code = self.id(key)?;
        TrialState::ALL
            .get(code)
            .copied()
            .ok_or_else(|| wrong(key, "a state from 0 to 4", &json!(code)))
    }

    fn floats(&self, key: &str) -> Result<Option<Vec<f64>>, String> {
        let Some(value) = self.optional(key) else {
            return Ok(None);
        };
        let list = value
            .as_array()
            .and_then(|list| list.iter().map(float).collect());
        list.map(Some)
            .ok_or_else(|| wrong(key, "a list of numbers", value))
    }

    fn table(&self, key: &str) -> Result<Attributes, String> {
        match self.optional(key) {
            None => Ok(Attributes::new()),
            Some(Value::Object(table)) => Ok(table.clone()),
            Some(other) => Err(wrong(key, "an object", other)),
        }
    }

    /// The single entry of an attribute object.
    fn entry(&self, key: &str) -> Result<(String, Value), String> {
        let mut entries = self.table(key)?.into_iter();
        match (entries.next(), entries.next()) {
            (Some(entry), None) => Ok(entry),
            _ => Err(wrong(key, "an object with one key", self.required(key)?)),
        }
    }
}

fn wrong(key: &str, expected: &str, found: &Value) -> String {
    format!("{key}: expected {expected}, found {found}")
}

fn operation(fields: &Fields<'_>) -> Result<Operation, String> {
    Ok(match fields.count("op_code")? {
        0 => Operation::CreateStudy {
            name: fields.text("study_name")?,
            directions: directions(fields)?,
        },
        1 => Operation::DeleteStudy {
            study: fields.id("study_id")?,
        },
        code @ (2 | 3) => {
            let study = fields.id("study_id")?;
            let (key, value) = fields.entry(if code == 2 {
                "user_attr"
            } else {
                "system_attr"
            })?;
            match code {
                2 => Operation::StudyUserAttr { study, key, value },
                _ => Operation::StudySystemAttr { study, key, value },
            }
        }
        4 => Operation::CreateTrial {
            study: fields.id("study_id")?,
            trial: Box::new(new_trial(fields)?),
        },
        5 => Operation::SetParameter {
            trial: fields.id("trial_id")?,
            name: fields.text("param_name")?,
            parameter: parameter(
                fields.float("param_value_internal")?,
                &fields.text("distribution")?,
            )?,
        },
        6 => {
            fields.required("values")?;
            let state = fields.state("state")?;
            let at = match state {
                TrialState::Running => fields.optional_text("datetime_start")?,
                TrialState::Waiting => None,
                _ => fields.optional_text("datetime_complete")?,
            };
            Operation::SetState {
                trial: fields.id("trial_id")?,
                state,
                values: fields.floats("values")?,
                at,
            }
        }
        7 => Operation::Report {
            trial: fields.id("trial_id")?,
            step: fields.count("step")?,
            value: fields.float("intermediate_value")?,
        },
        code @ (8 | 9) => {
            let trial = fields.id("trial_id")?;
            let (key, value) = fields.entry(if code == 8 {
                "user_attr"
            } else {
                "system_attr"
            })?;
            match code {
                8 => Operation::TrialUserAttr { trial, key, value },
                _ => Operation::TrialSystemAttr { trial, key, value },
            }
        }
        10 => Operation::Discard,
        code => return Err(format!("op_code: expected 0 to 10, found {code}")),
    })
}

fn directions(fields: &Fields<'_>) -> Result<Vec<Direction>, String> {
    let value = fields.required("directions")?;
    let direction = |code: &Value| match code.as_u64() {
        Some(1) => Some(Direction::Minimize),
        Some(2) => Some(Direction::Maximize),
        _ => None,
    };
    let list = value
        .as_array()
        .and_then(|list| list.iter().map(direction).collect());
    list.ok_or_else(|| {
        wrong(
            "directions",
            "a list of 1 (minimize) and 2 (maximize)",
            value,
        )
    })
}

fn parameter(internal: f64, distribution: &str) -> Result<Parameter, String> {
    let distribution =
        Distribution::from_json(distribution).map_err(|e| format!("distribution: {e}"))?;
    if distribution.external(internal).is_none() {
        return Err(format!(
            "param_value_internal: expected the index of a choice, found {internal}"
        ));
    }
    Ok(Parameter {
        internal,
        distribution,
    })
}

fn new_trial(fields: &Fields<'_>) -> Result<NewTrial, String> {
    fields.required("datetime_start")?;
    let single = fields
        .optional("value")
        .map(|_| fields.float("value").map(|x| vec![x]))
        .transpose()?;
    let mut distributions = fields.table("distributions")?;
    let mut params = BTreeMap::new();
    for (name, value) in fields.table("params")? {
        let internal = float(&value).ok_or_else(|| wrong(&name, "a number", &value))?;
        let distribution = distributions
            .remove(&name)
            .ok_or_else(|| format!("distributions: no {name}"))?;
        let text = distribution
            .as_str()
            .ok_or_else(|| wrong(&name, "a string", &distribution))?;
        params.insert(name, parameter(internal, text)?);
    }
    let mut reports = BTreeMap::new();
    for (step, value) in fields.table("intermediate_values")? {
        let step = step
            .parse()
            .map_err(|_| format!("intermediate_values: expected a step, found {step:?}"))?;
        reports.insert(
            step,
            float(&value).ok_or_else(|| wrong("intermediate_values", "numbers", &value))?,
        );
    }
    Ok(NewTrial {
        state: fields
            .optional("state")
            .map_or(Ok(TrialState::Running), |_| fields.state("state"))?,
        start: fields.optional_text("datetime_start")?,
        complete: fields.optional_text("datetime_complete")?,
        values: single.or(fields.floats("values")?),
        params,
        user_attrs: fields.table("user_attrs")?,
        system_attrs: fields.table("system_attrs")?,
        reports,
    })
}

/// The code of an operation, and its fields in Optuna's order.
fn encode(operation: &Operation) -> (u8, Map<String, Value>) {
    let (code, fields) = match operation {
        Operation::CreateStudy { name, directions } => {
            let directions: Vec<u8> = directions
                .iter()
                .map(|d| if *d == Direction::Minimize { 1 } else { 2 })
                .collect();
            (0, json!({"study_name": name, "directions": directions}))
        }
        Operation::DeleteStudy { study } => (1, json!({"study_id": study})),
        Operation::StudyUserAttr { study, key, value } => {
            (2, json!({"study_id": study, "user_attr": {key: value}}))
        }
        Operation::StudySystemAttr { study, key, value } => {
            (3, json!({"study_id": study, "system_attr": {key: value}}))
        }
        Operation::CreateTrial { study, trial } => (4, encode_trial(*study, trial)),
        Operation::SetParameter {
            trial,
            name,
            parameter,
        } => {
            let internal = parameter.distribution.internal_json(parameter.internal);
            let distribution = parameter.distribution.to_json();
            (
                5,
                json!({"trial_id": trial, "param_name": name, "param_value_internal": internal, "distribution": distribution}),
            )
        }
        Operation::SetState {
            trial,
            state,
            values,
            at,
        } => {
            let mut fields = json!({"trial_id": trial, "state": *state as u8, "values": values});
            match state {
                TrialState::Running => fields["datetime_start"] = json!(at),
                TrialState::Waiting => {}
                _ => fields["datetime_complete"] = json!(at),
            }
            (6, fields)
        }
        Operation::Report { trial, step, value } => (
            7,
            json!({"trial_id": trial, "step": step, "intermediate_value": value}),
        ),
        Operation::TrialUserAttr { trial, key, value } => {
            (8, json!({"trial_id": trial, "user_attr": {key: value}}))
        }
        Operation::TrialSystemAttr { trial, key, value } => {
            (9, json!({"trial_id": trial, "system_attr": {key: value}}))
        }
        Operation::Discard => (10, json!({"trial_ids": []})),
    };
    match fields {
        Value::Object(fields) => (code, fields),
        _ => unreachable!("every operation is an object"),
    }
}

fn encode_trial(study: usize, trial: &NewTrial) -> Value {
    let (value, values) = match trial.values.as_deref() {
        Some([value]) => (json!(value), Value::Null),
        Some(values) => (Value::Null, json!(values)),
        None => (Value::Null, Value::Null),
    };
    let distributions: Map<_, _> = trial
        .params
        .iter()
        .map(|(n, p)| (n.clone(), json!(p.distribution.to_json())))
        .collect();
    let params: Map<_, _> = trial
        .params
        .iter()
        .map(|(n, p)| (n.clone(), p.distribution.internal_json(p.internal)))
        .collect();
    let reports: Map<_, _> = trial
        .reports
        .iter()
        .map(|(step, x)| (step.to_string(), json!(x)))
        .collect();
    let mut fields = json!({
        "study_id": study,
        "datetime_start": trial.start,
        "state": trial.state as u8,
        "value": value,
        "values": values,
    });
    if trial.state.is_finished() || trial.complete.is_some() {
        fields["datetime_complete"] = json!(trial.complete);
    }
    fields["distributions"] = Value::Object(distributions);
    fields["params"] = Value::Object(params);
    fields["user_attrs"] = json!(trial.user_attrs);
    fields["system_attrs"] = json!(trial.system_attrs);
    fields["intermediate_values"] = Value::Object(reports);
    fields
}
