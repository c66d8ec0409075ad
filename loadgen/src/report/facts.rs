//! What a run was asked to do and where it ran, as flat names and values: to list and to compare.

use serde::Serialize;
use serde_json::Value;

use super::model::Report;

/// A name such as `tls.groups`, and its value as text.
pub type Fact = (String, String);

/// The configuration, by the names of the report's fields.
pub fn configuration(report: &Report) -> Vec<Fact> {
    let mut facts = vec![("operation".to_owned(), report.operation.clone())];
    facts.extend(flat(&report.configuration));
    facts
}

/// The host, by the names of the report's fields.
pub fn host(report: &Report) -> Vec<Fact> {
    flat(&report.host)
}

fn flat(value: &impl Serialize) -> Vec<Fact> {
    let mut facts = Vec::new();
    // A report was read from JSON, so it can be written as such.
    if let Ok(value) = serde_json::to_value(value) {
        collect("", &value, &mut facts);
    }
    facts
}

/// The depth is that of the model: a report nests three deep.
fn collect(name: &str, value: &Value, facts: &mut Vec<Fact>) {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Array(items) => {
            if items.is_empty() {
                return facts.push((name.to_owned(), "none".to_owned()));
            }
            let items: Vec<_> = items.iter().map(text).collect();
            return facts.push((name.to_owned(), items.join(", ")));
        }
        Value::Null => return facts.push((name.to_owned(), "–".to_owned())),
        _ => return facts.push((name.to_owned(), text(value))),
    };
    for (field, value) in fields {
        let name = match name {
            "" => field.clone(),
            name => format!("{name}.{field}"),
        };
        collect(&name, value, facts);
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(k, v)| format!("{k} {}", text(v)))
                .collect();
            fields.join(" ")
        }
        Value::Number(number) => match number.as_f64() {
            Some(number) => number.to_string(),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}
