//! What is wrong with a configuration, and where: all of it at once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::problem::{Problem, Warning};
use crate::settings::Settings;

/// Where a value stands: a line and key path of the file, or a flag of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    /// One-based; `None` on the command line.
    pub(super) line: Option<usize>,
    /// One-based, in characters; only where the syntax itself is wrong.
    pub(super) column: Option<usize>,
    /// `tenant[1].key`, `--cert`, or nothing where the whole file is meant.
    pub(super) key: String,
}

impl At {
    /// The whole configuration.
    pub(super) fn whole() -> Self {
        Self::default()
    }

    /// A flag, with its dashes.
    pub(super) fn flag(name: &str) -> Self {
        Self {
            key: name.to_owned(),
            ..Self::default()
        }
    }
}

/// One error of a configuration.
///
/// Prints as `FILE:LINE: KEY: what is wrong; what would be right`, on one line.
#[derive(Debug)]
pub struct ConfigError {
    file: Option<Arc<Path>>,
    at: At,
    problem: Problem,
}

impl ConfigError {
    /// The file, as its path was given; `None` on the command line.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The line in the file, from one; `None` where no line is at fault.
    pub fn line(&self) -> Option<usize> {
        self.at.line
    }

    /// The column in the line, from one, in characters; syntax errors alone have one.
    pub fn column(&self) -> Option<usize> {
        self.at.column
    }

    /// The key path (`tenant[1].key`, counted from zero) or the flag; empty where the whole file is meant.
    pub fn key(&self) -> &str {
        &self.at.key
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.file.as_deref(), &self.at)?;
        write!(f, "{}", OneLine(&self.problem.to_string()))
    }
}

impl std::error::Error for ConfigError {}

/// All errors of a configuration, in the order of its lines; at least one.
#[derive(Debug)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// Every error, in the order of lines.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.errors.iter()
    }
}

impl fmt::Display for ConfigErrors {
    /// One error a line, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects errors and warnings while a configuration is read and built.
pub(super) struct Report {
    file: Option<Arc<Path>>,
    errors: Vec<ConfigError>,
    warnings: Vec<(At, Warning)>,
}

impl Report {
    /// A report on a file; the path is printed as given here.
    pub(super) fn on_file(path: &Path) -> Self {
        Self {
            file: Some(PathBuf::from(path).into()),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// A report on a command line.
    pub(super) fn on_flags() -> Self {
        Self {
            file: None,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes note of an error.
    pub(super) fn error(&mut self, at: &At, problem: Problem) {
        self.errors.push(ConfigError {
            file: self.file.clone(),
            at: at.clone(),
            problem,
        });
    }

    /// Takes note of what is legal but worth saying.
    pub(super) fn warn(&mut self, at: &At, warning: Warning) {
        self.warnings.push((at.clone(), warning));
    }

    /// Whether there was an error so far.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The settings with the warnings in them, each with its place, in the order of lines.
    ///
    /// # Errors
    /// The errors, if there was one; without settings there has to be.
    pub(super) fn finish(mut self, settings: Option<Settings>) -> Result<Settings, ConfigErrors> {
        let Some(mut settings) = settings.filter(|_| self.errors.is_empty()) else {
            if self.errors.is_empty() {
                self.error(&At::whole(), Problem::Incomplete);
            }
            self.errors
                .sort_by_key(|error| (error.at.line, error.at.column));
            return Err(ConfigErrors {
                errors: self.errors,
            });
        };
        self.warnings.sort_by_key(|(at, _)| at.line);
        let file = self.file;
        let line = |(at, warning): (At, Warning)| {
            let place = Place {
                file: file.as_deref(),
                at: &at,
            }
            .to_string();
            format!("{place}{}", OneLine(&warning.to_string()))
        };
        settings.warnings = self.warnings.into_iter().map(line).collect();
        Ok(settings)
    }
}

struct Place<'a> {
    file: Option<&'a Path>,
    at: &'a At,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.file, self.at)
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, file: Option<&Path>, at: &At) -> fmt::Result {
    if let Some(file) = file {
        write!(f, "{}", OneLine(&file.display().to_string()))?;
        for number in [at.line, at.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        f.write_str(": ")?;
    }
    if !at.key.is_empty() {
        write!(f, "{}: ", OneLine(&at.key))?;
    }
    Ok(())
}

/// A text whose control characters are escaped: names of files and keys come from outside, and an
/// error is one line whatever stands in them.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_stands_in_the_file() {
        let mut report = Report::on_file(Path::new("a\nb.toml"));
        let at = At {
            line: Some(3),
            column: None,
            key: "listener[0].li\u{1b}sten".to_owned(),
        };
        report.error(
            &at,
            Problem::BadAddress {
                given: "x\ny".to_owned(),
            },
        );
        let errors = report.finish(None).err().expect("an error");
        let text = errors.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.starts_with("a\\nb.toml:3: listener[0].li\\u{1b}sten: "),
            "{text}"
        );
    }

    #[test]
    fn errors_come_in_the_order_of_lines() {
        let mut report = Report::on_file(Path::new("g.toml"));
        for line in [9, 2, 5] {
            let at = At {
                line: Some(line),
                ..At::default()
            };
            report.error(&at, Problem::PortZero);
        }
        let errors = report.finish(None).err().expect("errors");
        let lines: Vec<_> = errors.iter().map(ConfigError::line).collect();
        assert_eq!(lines, [Some(2), Some(5), Some(9)]);
    }
}
