//! Reads TOML leniently: a wrong value is reported and passed over, and reading goes on.
//!
//! serde stops at the first error of a document, and the promise is all of them at once; so the
//! spanned tree of the `toml` parser is read here by hand.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::draft::{Field, Located, Texts};
use super::errors::{At, Report};
use super::nearest::nearest;
use super::problem::Problem;

/// The keys of one kind of table.
pub(super) struct Kind {
    /// As a file writes it: `[limits]`, `[[tenant]]`.
    pub(super) header: &'static str,
    /// Every key that may stand in it.
    pub(super) keys: &'static [&'static str],
}

/// Byte offsets of a text to lines and columns.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(newlines.map(|(offset, _)| offset + 1))
            .collect();
        Self { text, starts }
    }

    /// The line of a byte offset, from one.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// The column of a byte offset, from one, in characters.
    pub(super) fn column(&self, offset: usize) -> usize {
        let start = self.starts[self.line(offset) - 1];
        let before = self.text.as_bytes().get(start..offset).unwrap_or_default();
        String::from_utf8_lossy(before).chars().count() + 1
    }
}

/// One table of the file.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    kind: &'static Kind,
    /// `tenant[1]`; empty for the whole file.
    path: String,
    line: usize,
    lines: &'a Lines<'a>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(table: &'a DeTable<'a>, kind: &'static Kind, lines: &'a Lines<'a>) -> Self {
        Self {
            table,
            kind,
            path: String::new(),
            line: 1,
            lines,
        }
    }

    /// Where the section begins.
    pub(super) fn at(&self) -> At {
        At {
            line: Some(self.line),
            column: None,
            key: self.path.clone(),
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn value(&self, key: &'static str) -> Option<(At, &'a DeValue<'a>)> {
        debug_assert!(
            self.kind.keys.contains(&key),
            "{key} is missing in the table of keys"
        );
        let value = self.table.get(key)?;
        Some((self.at_value(value, self.path_of(key)), value.get_ref()))
    }

    fn at_value(&self, value: &Spanned<DeValue<'_>>, key: String) -> At {
        At {
            line: Some(self.lines.line(value.span().start)),
            column: None,
            key,
        }
    }

    fn scalar<T>(
        &self,
        key: &'static str,
        wanted: &'static str,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
        report: &mut Report,
    ) -> Field<T> {
        let Some((at, value)) = self.value(key) else {
            return Field::Absent;
        };
        match read(value) {
            Some(value) => Field::Given(Located { value, at }),
            None => {
                report.error(
                    &at,
                    Problem::WrongType {
                        given: described(value),
                        wanted,
                    },
                );
                Field::Broken
            }
        }
    }

    /// A text that says something.
    pub(super) fn text(
        &self,
        key: &'static str,
        example: &'static str,
        report: &mut Report,
    ) -> Field<String> {
        let field = self.scalar(
            key,
            example,
            |value| value.as_str().map(str::to_owned),
            report,
        );
        match field {
            Field::Given(located) if located.value.is_empty() => {
                report.error(&located.at, Problem::Empty { example });
                Field::Broken
            }
            other => other,
        }
    }

    /// A text that has to be there.
    pub(super) fn required_text(
        &self,
        key: &'static str,
        example: &'static str,
        report: &mut Report,
    ) -> Field<String> {
        let field = self.text(key, example, report);
        self.demand(field, key, example, report)
    }

    fn demand<T>(
        &self,
        field: Field<T>,
        key: &str,
        example: &'static str,
        report: &mut Report,
    ) -> Field<T> {
        if !field.is_absent() {
            return field;
        }
        let at = At {
            key: self.path_of(key),
            ..self.at()
        };
        report.error(&at, Problem::Missing { example });
        Field::Broken
    }

    /// A whole number.
    pub(super) fn integer(&self, key: &'static str, report: &mut Report) -> Field<i64> {
        self.scalar(
            key,
            "a whole number, without quotes",
            |value| value.as_integer().and_then(number),
            report,
        )
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, key: &'static str, report: &mut Report) -> Field<bool> {
        self.scalar(
            key,
            "true or false, without quotes",
            DeValue::as_bool,
            report,
        )
    }

    /// A text or a list of texts; not an empty one.
    pub(super) fn texts(
        &self,
        key: &'static str,
        example: &'static str,
        report: &mut Report,
    ) -> Texts {
        let Some((at, value)) = self.value(key) else {
            return Field::Absent;
        };
        let Some(array) = value.as_array() else {
            return match self.text(key, example, report) {
                Field::Given(one) => Field::Given(Located {
                    at: one.at.clone(),
                    value: vec![one],
                }),
                Field::Absent | Field::Broken => Field::Broken,
            };
        };
        if array.is_empty() {
            report.error(&at, Problem::Empty { example });
            return Field::Broken;
        }
        let mut texts = Vec::with_capacity(array.len());
        for (index, element) in array.iter().enumerate() {
            let element_at = self.at_value(element, format!("{}[{index}]", at.key));
            match element.get_ref().as_str() {
                Some("") => report.error(&element_at, Problem::Empty { example }),
                Some(text) => texts.push(Located {
                    value: text.to_owned(),
                    at: element_at,
                }),
                None => {
                    let given = described(element.get_ref());
                    report.error(
                        &element_at,
                        Problem::WrongType {
                            given,
                            wanted: example,
                        },
                    );
                }
            }
        }
        // Elements that were passed over are reported; without them, what depends on the list still holds
        // for the rest.
        if texts.is_empty() {
            Field::Broken
        } else {
            Field::Given(Located { value: texts, at })
        }
    }

    /// A list that has to be there.
    pub(super) fn required_texts(
        &self,
        key: &'static str,
        example: &'static str,
        report: &mut Report,
    ) -> Texts {
        let field = self.texts(key, example, report);
        self.demand(field, key, example, report)
    }

    /// A table below this one.
    pub(super) fn table(
        &self,
        key: &'static str,
        kind: &'static Kind,
        report: &mut Report,
    ) -> Field<Section<'a>> {
        let Some((at, value)) = self.value(key) else {
            return Field::Absent;
        };
        match value.as_table() {
            Some(table) => {
                let section = self.below(table, kind, &at);
                Field::Given(Located { value: section, at })
            }
            None => {
                report.error(
                    &at,
                    Problem::WrongType {
                        given: described(value),
                        wanted: kind.header,
                    },
                );
                Field::Broken
            }
        }
    }

    /// The tables of a `[[list]]` below this one.
    pub(super) fn tables(
        &self,
        key: &'static str,
        kind: &'static Kind,
        report: &mut Report,
    ) -> Vec<Section<'a>> {
        let Some((at, value)) = self.value(key) else {
            return Vec::new();
        };
        let Some(array) = value.as_array() else {
            report.error(
                &at,
                Problem::WrongType {
                    given: described(value),
                    wanted: kind.header,
                },
            );
            return Vec::new();
        };
        let mut sections = Vec::with_capacity(array.len());
        for (index, element) in array.iter().enumerate() {
            let at = self.at_value(element, format!("{}[{index}]", at.key));
            match element.get_ref().as_table() {
                Some(table) => sections.push(self.below(table, kind, &at)),
                None => {
                    let given = described(element.get_ref());
                    report.error(
                        &at,
                        Problem::WrongType {
                            given,
                            wanted: kind.header,
                        },
                    );
                }
            }
        }
        sections
    }

    fn below(&self, table: &'a DeTable<'a>, kind: &'static Kind, at: &At) -> Section<'a> {
        Section {
            table,
            kind,
            path: at.key.clone(),
            line: at.line.unwrap_or(1),
            lines: self.lines,
        }
    }

    /// Reports every key that has no meaning here.
    pub(super) fn refuse_unknown_keys(&self, all: &[&'static Kind], report: &mut Report) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.kind.keys.contains(&name) {
                continue;
            }
            let line = Some(self.lines.line(key.span().start));
            let at = At {
                line,
                column: None,
                key: self.path_of(name),
            };
            report.error(&at, self.unknown(name, all));
        }
    }

    fn unknown(&self, name: &str, all: &[&'static Kind]) -> Problem {
        if let Some(nearest) = nearest(name, self.kind.keys.iter().copied()) {
            return Problem::UnknownKey {
                nearest: Some(nearest.to_owned()),
                known: Vec::new(),
            };
        }
        let homes: Vec<&str> = all
            .iter()
            .filter(|kind| kind.keys.contains(&name))
            .map(|kind| kind.header)
            .collect();
        if homes.is_empty() {
            let known = self.kind.keys.iter().map(|key| (*key).to_owned()).collect();
            return Problem::UnknownKey {
                nearest: None,
                known,
            };
        }
        Problem::ForeignKey {
            here: self.kind.header,
            home: homes.join(" or "),
        }
    }
}

/// Whole numbers that fit; others are of the wrong type as far as we care.
fn number(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(integer) if number(integer).is_none() => "a number that is too large",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let lines = Lines::of("ab\ncé=x\n");
        assert_eq!((lines.line(0), lines.column(0)), (1, 1));
        assert_eq!((lines.line(2), lines.column(2)), (1, 3));
        assert_eq!((lines.line(3), lines.column(3)), (2, 1));
        let equals = "ab\ncé".len();
        assert_eq!((lines.line(equals), lines.column(equals)), (2, 3));
        assert_eq!(lines.line(1000), 3);
        assert_eq!(lines.column(1000), 1);
    }
}
