//! Whether two runs asked the same of the same kind of machine.

use std::fmt;

use crate::report::{
    facts::{self, Fact},
    model::Report,
};

/// Keys in which comparable runs may differ: a port that the kernel chose, and the seed of a process
/// that is the same process with any seed.
const FREE: [&str; 2] = ["configuration.address", "configuration.seed"];

/// A key whose values differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its path in the report.
    pub key: String,
    /// Of the first run.
    pub base: String,
    /// Of the second run.
    pub head: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Foreign text stays within its line.
        let line = |text: &str| text.replace(char::is_control, " ");
        let (base, head) = (line(&self.base), line(&self.head));
        write!(f, "{}: {base} / {head}", line(&self.key))
    }
}

/// Prints each difference on a line of its own.
#[derive(Debug)]
pub struct Listed<'a>(pub &'a [Difference]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|one| writeln!(f, "  {one}"))
    }
}

/// The keys in which two runs differ and should not.
pub fn differences(base: &Report, head: &Report) -> Vec<Difference> {
    let (base, head) = (facts_of(base), facts_of(head));
    let value = |facts: &[Fact], key: &str| {
        let of_key = facts.iter().find(|(of, _)| of == key);
        of_key.map_or("–".to_owned(), |(_, value)| value.clone())
    };
    let only_head = head
        .iter()
        .filter(|(key, _)| base.iter().all(|(of, _)| of != key));
    let keys = base.iter().chain(only_head).map(|(key, _)| key);
    let differing = keys.filter(|key| !FREE.contains(&key.as_str()));
    let differing = differing.map(|key| Difference {
        key: key.clone(),
        base: value(&base, key),
        head: value(&head, key),
    });
    differing.filter(|of| of.base != of.head).collect()
}

fn facts_of(report: &Report) -> Vec<Fact> {
    let named = |room: &str, (key, value): Fact| (format!("{room}.{key}"), value);
    let configuration = facts::configuration(report).into_iter();
    let configuration = configuration.map(|fact| named("configuration", fact));
    let host = facts::host(report)
        .into_iter()
        .map(|fact| named("host", fact));
    let looped = (
        "loop".to_owned(),
        format!("{:?}", report.looped).to_lowercase(),
    );
    // Another generator measures otherwise.
    let version = ("tool.version".to_owned(), report.tool.version.clone());
    [looped, version]
        .into_iter()
        .chain(configuration)
        .chain(host)
        .collect()
}
