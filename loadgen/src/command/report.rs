//! `loadgen report`: a stored report in another form.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use super::CommandError;
use crate::{
    cli::ReportArgs,
    exit::Exit,
    report::{
        html::{self, Run},
        model::Report,
        parse::parse,
        render::{Format, render},
    },
    text,
};

/// The largest report that is read. A second at 400 operations takes some 6.5 kB, a day 560 MB.
const MAX_REPORT_BYTES: u64 = 1 << 30;

/// Of what does not begin as a report, as much is looked at.
const MAX_FOREIGN_BYTES: usize = 64;

/// `loadgen report`.
///
/// # Errors
///
/// When a file cannot be read, is no report, or the result cannot be written.
pub fn report(args: &ReportArgs) -> Result<Exit, CommandError> {
    let by_name = || Format::of_path(args.output.as_deref()?);
    let format = args.format.or_else(by_name).unwrap_or(Format::Summary);
    let text = match &args.files[..] {
        [file] => render(&read(file)?, format)?,
        files if format == Format::Html => together(files)?,
        _ => return Err(CommandError::OneReport),
    };
    write(args.output.as_deref(), &text)?;
    Ok(Exit::Ok)
}

/// A page of several runs, named by their files.
fn together(files: &[PathBuf]) -> Result<String, CommandError> {
    let reports = files.iter().map(|file| read(file));
    let reports = reports.collect::<Result<Vec<_>, _>>()?;
    let stem = |file: &PathBuf| {
        file.file_stem()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let stems: Vec<_> = files.iter().map(stem).collect();
    let named = files.iter().zip(&reports).map(|(file, report)| {
        let short = stem(file).filter(|_| {
            let same = stems.iter().filter(|other| **other == stem(file));
            same.count() == 1
        });
        let name = short.unwrap_or_else(|| file.display().to_string());
        Run { name, report }
    });
    let runs: Vec<_> = named.collect();
    Ok(html::page(&runs)?)
}

/// Reads a stored report; `-` is standard input.
pub fn read(path: &Path) -> Result<Report, CommandError> {
    let text = match path == Path::new("-") {
        true => stored(io::stdin().lock()),
        false => File::open(path).and_then(|file| stored(BufReader::new(file))),
    };
    let text = text.map_err(|error| CommandError::Input {
        path: path.to_owned(),
        error,
    })?;
    parse(&text).map_err(|error| CommandError::Report {
        path: path.to_owned(),
        error,
    })
}

/// A report begins with a brace. Of what does not, the first bytes are enough to say what is wrong with
/// it, however long it goes on.
fn stored(mut source: impl BufRead) -> io::Result<String> {
    let first = source.fill_buf()?;
    match first.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') | None => text::read(source, MAX_REPORT_BYTES),
        Some(_) => {
            let foreign = &first[..first.len().min(MAX_FOREIGN_BYTES)];
            Ok(String::from_utf8_lossy(foreign).into_owned())
        }
    }
}

/// Writes a result to a file, or to standard output.
pub fn write(path: Option<&Path>, text: &str) -> Result<(), CommandError> {
    match path {
        Some(path) if path != Path::new("-") => {
            fs::write(path, text).map_err(|error| CommandError::Output {
                path: path.to_owned(),
                error,
            })
        }
        Some(_) | None => {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            Ok(out.flush()?)
        }
    }
}
