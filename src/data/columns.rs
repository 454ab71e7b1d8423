//! The columns of a table by name and by number, and which of them is what.

use std::collections::HashMap;
use std::path::PathBuf;

use super::options::TableOptions;
use super::table::{Schema, SchemaColumn, TableColumn, TargetColumn, WantedKind};
use crate::error::{Error, Result};

/// Names of the label column if the user names none, in order of preference.
const LABEL_NAMES: [&str; 4] = ["label", "class", "target", "y"];

/// The columns of a file.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) path: PathBuf,
    /// The first row, if it is a header.
    pub(super) names: Option<Vec<String>>,
    pub(super) count: usize,
}

/// Whether labels are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LabelUse {
    Needed,
    /// A label column may be there.
    Ignored,
}

/// Which column is what.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Roles {
    /// The features, in the order in which they are kept.
    pub(super) features: Vec<usize>,
    pub(super) labels: Vec<usize>,
    /// How much each row counts in training.
    pub(super) weight: Option<usize>,
    pub(super) ids: Vec<usize>,
}

impl Columns {
    /// The name of a column; without a header, or where it is empty, its number from 0.
    pub(super) fn name(&self, column: usize) -> String {
        let name = self.names.as_ref().map(|names| &names[column]);
        match name.filter(|name| !name.is_empty()) {
            Some(name) => name.clone(),
            None => column.to_string(),
        }
    }

    /// A column in words.
    pub(super) fn in_words(&self, column: usize) -> String {
        match &self.names {
            Some(names) if !names[column].is_empty() => {
                format!("column \"{}\" ({column})", names[column])
            }
            _ => format!("column {column}"),
        }
    }

    /// The column that a flag names: by its name, else by its index.
    pub(super) fn find(&self, flag: &str, wanted: &str) -> Result<usize> {
        if let Some(column) = self.named(flag, wanted)? {
            return Ok(column);
        }
        let refuse = |expected: String| {
            let found = match &self.names {
                Some(names) => format!("\"{wanted}\"; its columns are: {}", excerpt(names)),
                None => format!("\"{wanted}\"; it has no header (--header true if it has)"),
            };
            let path = self.path.display();
            Err(Error::setting(
                flag,
                format!("expected a column of {path}{expected}, found {found}"),
            ))
        };
        let Ok(index) = wanted.parse::<i64>() else {
            return refuse(String::new());
        };
        let count = self.count as i64;
        match usize::try_from(if index < 0 { index + count } else { index }) {
            Ok(column) if column < self.count => Ok(column),
            _ => refuse(format!(
                " from 0 to {} (or -{count} to -1, from the end)",
                count - 1
            )),
        }
    }

    /// The column with this name, in its case or, if there is none, in any.
    fn named(&self, flag: &str, wanted: &str) -> Result<Option<usize>> {
        let Some(names) = &self.names else {
            return Ok(None);
        };
        let all = |same: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..names.len())
                .filter(|&column| same(&names[column]))
                .collect()
        };
        let mut found = all(&|name| name == wanted);
        if found.is_empty() {
            found = all(&|name| name.eq_ignore_ascii_case(wanted));
        }
        match found[..] {
            [] => Ok(None),
            [column] => Ok(Some(column)),
            _ => Err(Error::setting(
                flag,
                format!(
                    "{} columns of {} are named \"{wanted}\"; give the column's index instead: {}",
                    found.len(),
                    self.path.display(),
                    found
                        .iter()
                        .map(usize::to_string)
                        .collect::<Vec<_>>()
                        .join(" or ")
                ),
            )),
        }
    }

    /// The column that a flag named in training, if it is in this file too. An index counts where the column has no
    /// name.
    fn find_again(&self, wanted: &str) -> Option<usize> {
        let names = self.names.as_ref()?;
        let is_nameless = |column: &usize| names.get(*column).is_some_and(String::is_empty);
        let named = self.named("data", wanted).ok()?;
        named.or_else(|| wanted.parse().ok().filter(is_nameless))
    }

    fn find_all(&self, flag: &str, wanted: &[String]) -> Result<Vec<usize>> {
        wanted
            .iter()
            .map(|column| self.find(flag, column))
            .collect()
    }

    /// The label columns. A text that is no name names several columns, separated by commas.
    fn find_labels(&self, wanted: &[String]) -> Result<Vec<usize>> {
        let mut labels = Vec::new();
        for text in wanted {
            match self.named("label", text)? {
                Some(column) => labels.push(column),
                None => {
                    for part in text.split(',') {
                        labels.push(self.find("label", part.trim())?);
                    }
                }
            }
        }
        Ok(labels)
    }

    /// The roles of the columns of a file to train on.
    pub(super) fn to_train(&self, options: &TableOptions) -> Result<Roles> {
        let ids = self.find_all("id", &options.id)?;
        let weight = self.find_weight(options)?;
        let mut others = self.find_all("drop", &options.drop)?;
        others.extend(ids.iter().chain(&weight));
        let labels = match &options.labels[..] {
            [] => vec![self.usual_label(&others)?],
            labels => self.find_labels(labels)?,
        };
        for (place, &label) in labels.iter().enumerate() {
            let what = self.in_words(label);
            if labels[..place].contains(&label) {
                let message = format!("expected different columns, found {what} twice");
                return Err(Error::setting("label", message));
            }
            if others.contains(&label) {
                let flag = if weight == Some(label) {
                    "weight"
                } else {
                    "drop"
                };
                let message = format!("expected another column than a label, found {what}");
                return Err(Error::setting(flag, message));
            }
        }
        others.extend(&labels);
        let features = self.all_but(&others);
        if features.is_empty() {
            let expected = "at least one feature column and a label column";
            let found = match self.count {
                1 => format!(
                    "1 column{} (--delimiter says what stands between columns)",
                    self.names.as_ref().map_or(String::new(), |names| format!(
                        ", \"{}\"",
                        shorten(&names[0])
                    ))
                ),
                count => format!("{count} columns, none of them a feature"),
            };
            return Err(Error::format(&self.path, "line 1", expected, found));
        }
        self.refuse_duplicates(features.iter().chain(&labels))?;
        Ok(Roles {
            features,
            labels,
            weight,
            ids,
        })
    }

    /// The roles of the columns of an array: features, but for those that are left out.
    pub(super) fn features_alone(&self, options: &TableOptions) -> Result<Roles> {
        let mut others = self.find_all("drop", &options.drop)?;
        let ids = self.find_all("id", &options.id)?;
        let weight = self.find_weight(options)?;
        others.extend(ids.iter().chain(&weight));
        let features = self.all_but(&others);
        match features.is_empty() {
            true => Err(Error::setting(
                "drop",
                "expected a feature to be left, found none",
            )),
            false => Ok(Roles {
                features,
                labels: Vec::new(),
                weight,
                ids,
            }),
        }
    }

    fn find_weight(&self, options: &TableOptions) -> Result<Option<usize>> {
        let weight = options.weight.as_deref();
        weight.map(|weight| self.find("weight", weight)).transpose()
    }

    fn all_but(&self, others: &[usize]) -> Vec<usize> {
        let mut left_out = vec![false; self.count];
        others.iter().for_each(|&column| left_out[column] = true);
        (0..self.count)
            .filter(|&column| !left_out[column])
            .collect()
    }

    /// The label column if the user names none.
    fn usual_label(&self, others: &[usize]) -> Result<usize> {
        let names = self.names.as_deref().unwrap_or_default();
        let named = LABEL_NAMES.iter().find_map(|usual| {
            (0..names.len()).find(|&column| {
                names[column].eq_ignore_ascii_case(usual) && !others.contains(&column)
            })
        });
        // A delimiter at the end of each line makes a column without a name and without values.
        let is_nameless = |column: &usize| names.get(*column).is_some_and(String::is_empty);
        let mut free = (0..self.count)
            .rev()
            .filter(|column| !others.contains(column));
        let last = free
            .clone()
            .find(|column| !is_nameless(column))
            .or(free.next());
        named.or(last).ok_or_else(|| {
            Error::format(
                &self.path,
                "line 1",
                "a label column",
                "no column that is not left out",
            )
        })
    }

    fn refuse_duplicates<'a>(&self, columns: impl Iterator<Item = &'a usize>) -> Result<()> {
        let Some(names) = &self.names else {
            return Ok(());
        };
        let mut places: HashMap<&str, usize> = HashMap::new();
        for &column in columns {
            let name = names[column].as_str();
            if let Some(first) = places.insert(name, column).filter(|_| !name.is_empty()) {
                let found = format!(
                    "\"{name}\" twice, in columns {} and {}; leave one out by its index: --drop {first} or --drop {column}",
                    first + 1,
                    column + 1
                );
                return Err(Error::format(
                    &self.path,
                    "line 1",
                    "a name for each column",
                    found,
                ));
            }
        }
        Ok(())
    }

    /// The features of a table with these roles, with the kinds that the user says.
    pub(super) fn table_columns(
        &self,
        roles: &Roles,
        options: &TableOptions,
    ) -> Result<Vec<TableColumn>> {
        let mut wanted = HashMap::new();
        for (flag, list, kind) in [
            ("numeric", &options.numeric, WantedKind::Number),
            ("categorical", &options.categorical, WantedKind::Category),
        ] {
            for column in self.find_all(flag, list)? {
                let other = wanted
                    .insert(column, kind)
                    .is_some_and(|other| other != kind);
                let what = self.in_words(column);
                if other {
                    let message = format!("expected one kind a column, found two for {what}");
                    return Err(Error::setting(flag, message));
                }
                if !roles.features.contains(&column) {
                    let message =
                        format!("expected a feature, found {what}, which is left out or the label");
                    return Err(Error::setting(flag, message));
                }
            }
        }
        let column = |&position: &usize| TableColumn {
            name: self.name(position),
            position,
            wanted: wanted.get(&position).copied(),
        };
        Ok(roles.features.iter().map(column).collect())
    }

    /// The roles of the columns of a file for a model with this schema: by name if both have names, else by position.
    /// Returns what the user should know, too.
    pub(super) fn for_schema(
        &self,
        schema: &Schema,
        options: &TableOptions,
        use_of: LabelUse,
    ) -> Result<(Roles, Vec<String>)> {
        let is_by_position =
            self.names.is_none() && !schema.has_names && self.count == schema.file_columns;
        let ids = match &options.id[..] {
            [] if is_by_position => self.find_all("id", &schema.ids)?,
            [] => schema
                .ids
                .iter()
                .filter_map(|id| self.find_again(id))
                .collect(),
            ids => self.find_all("id", ids)?,
        };
        match &self.names {
            Some(names) if schema.has_names => self.by_name(names, schema, options, ids, use_of),
            _ => {
                let roles = self.by_position(schema, options, ids, use_of)?;
                let is_guess = use_of == LabelUse::Ignored && options.labels.is_empty();
                let is_known = |label: &usize| {
                    let name = self.name(*label);
                    self.names.is_none() || schema.targets.iter().any(|t| t.name == name)
                };
                let mut labels = roles.labels.iter().copied();
                let label = labels.find(|label| is_guess && !is_known(label));
                let notice = |label| {
                    format!(
                        "columns are taken by position, since the model knows no names; {} is left out as the label",
                        self.in_words(label)
                    )
                };
                Ok((roles, label.map(notice).into_iter().collect()))
            }
        }
    }

    fn by_name(
        &self,
        names: &[String],
        schema: &Schema,
        options: &TableOptions,
        ids: Vec<usize>,
        use_of: LabelUse,
    ) -> Result<(Roles, Vec<String>)> {
        let mut places: HashMap<&str, Option<usize>> = HashMap::new();
        for (column, name) in names.iter().enumerate() {
            places
                .entry(name)
                .and_modify(|twice| *twice = None)
                .or_insert(Some(column));
        }
        let find = |column: &SchemaColumn| match places.get(column.name.as_str()) {
            Some(Some(place)) => Ok(*place),
            // Of several with the name it is the one in its place.
            _ if self.count > column.position && self.name(column.position) == column.name => {
                Ok(column.position)
            }
            Some(None) => {
                let expected = format!("one column \"{}\"", column.name);
                Err(Error::format(
                    &self.path,
                    "line 1",
                    expected,
                    excerpt(names),
                ))
            }
            None => self.named("data", &column.name)?.ok_or_else(|| {
                let expected = format!(
                    "a column \"{}\", as the model was trained with",
                    column.name
                );
                Error::format(&self.path, "line 1", expected, excerpt(names))
            }),
        };
        let features: Vec<usize> = schema.columns.iter().map(find).collect::<Result<_>>()?;
        let targets = schema.targets.iter().map(|target| &target.name);
        let named: Vec<String> = match &options.labels[..] {
            [] => targets.cloned().collect(),
            labels => labels.to_vec(),
        };
        let labels = match (use_of, &named[..]) {
            (LabelUse::Needed, []) => vec![self.usual_label(&features)?],
            (LabelUse::Needed, named) => self.find_labels(named)?,
            (LabelUse::Ignored, named) => {
                let labels = named.iter().map(|label| self.named("label", label));
                labels
                    .filter_map(Result::transpose)
                    .collect::<Result<_>>()?
            }
        };
        let mut known = vec![false; self.count];
        let left_out = (options
            .drop
            .iter()
            .chain(&options.weight)
            .chain(&schema.weight))
        .filter_map(|name| self.find_again(name));
        let in_use = features.iter().chain(&ids).chain(&labels).copied();
        in_use
            .chain(left_out)
            .for_each(|column| known[column] = true);
        let further: Vec<String> = (0..self.count)
            .filter(|&c| !known[c])
            .map(|c| self.name(c))
            .collect();
        let notice = format!(
            "columns that the model does not know are not used: {}",
            excerpt(&further)
        );
        let notices = (!further.is_empty()).then_some(notice);
        Ok((
            Roles {
                features,
                labels,
                weight: None,
                ids,
            },
            notices.into_iter().collect(),
        ))
    }

    /// The roles by position: the columns are those of the file that the model was trained on, or its features alone,
    /// or these with a label column.
    fn by_position(
        &self,
        schema: &Schema,
        options: &TableOptions,
        ids: Vec<usize>,
        use_of: LabelUse,
    ) -> Result<Roles> {
        let (width, whole) = (schema.columns.len(), schema.file_columns);
        // Arrays have no label column.
        let is_array = schema.targets.is_empty();
        if self.count == whole && !(is_array && use_of == LabelUse::Needed) {
            let labels = match is_array {
                true => Vec::new(),
                false => self.labels_by_position(schema, options, &ids)?,
            };
            return Ok(Roles {
                features: schema.positions(),
                labels,
                weight: None,
                ids,
            });
        }
        let labelled = width + ids.len() + schema.targets.len().max(1);
        let labels = match use_of == LabelUse::Needed || self.count == labelled {
            true => self.labels_by_position(schema, options, &ids)?,
            false => Vec::new(),
        };
        let features: Vec<usize> = (0..self.count)
            .filter(|c| !labels.contains(c) && !ids.contains(c))
            .collect();
        if features.len() != width {
            let mut expected = format!("{width} columns, or {} with a label column", width + 1);
            if whole > 0 {
                expected.push_str(&format!(", or {whole} as in the training data"));
            }
            return Err(Error::format(
                &self.path,
                "line 1",
                expected,
                self.count.to_string(),
            ));
        }
        Ok(Roles {
            features,
            labels,
            weight: None,
            ids,
        })
    }

    fn labels_by_position(
        &self,
        schema: &Schema,
        options: &TableOptions,
        ids: &[usize],
    ) -> Result<Vec<usize>> {
        let targets = &schema.targets;
        let is_findable =
            |target: &TargetColumn| self.names.is_some() || target.name.parse::<i64>().is_ok();
        if !options.labels.is_empty() {
            self.find_labels(&options.labels)
        } else if !targets.is_empty() && self.count == schema.file_columns {
            Ok(targets.iter().map(|target| target.position).collect())
        } else if !targets.is_empty() && targets.iter().all(is_findable) {
            let labels = targets
                .iter()
                .map(|target| self.find("label", &target.name));
            labels.collect()
        } else {
            self.usual_label(ids).map(|label| vec![label])
        }
    }
}

/// The first names of a list.
pub(super) fn excerpt(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| shorten(name)).collect();
    if names.len() > SHOWN {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

/// The start of a cell, for messages.
pub(super) fn shorten(cell: &str) -> String {
    const MAX_LENGTH: usize = 60;
    let mut start: String = cell.chars().take(MAX_LENGTH).collect();
    if start.len() < cell.len() {
        start.push('…');
    }
    start
}
