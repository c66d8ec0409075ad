//! One report in any of its forms.

use std::{io, path::Path};

use clap::ValueEnum;
use hdrhistogram::serialization::{V2DeflateSerializeError, interval_log::IntervalLogWriterError};
use thiserror::Error;

use super::{
    csv, hgrm, hlog, html, markdown,
    model::{Distribution, Report},
    summary::Summary,
};
use crate::measure::histogram::EncodingError;

/// A form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A screenful of text.
    Summary,
    /// One line for each second, comma-separated.
    Csv,
    /// One line for each percentile of each distribution, comma-separated.
    CsvPercentiles,
    /// One line for each agent, comma-separated.
    CsvAgents,
    /// Tables for a pull request.
    Markdown,
    /// HdrHistogram's interval log: every second's histograms, without loss.
    Hlog,
    /// Distribution of response times as HdrHistogram for Java prints it, in milliseconds.
    Hgrm,
    /// The same of service times.
    HgrmService,
    /// The same of send lags.
    HgrmLag,
    /// A page with plots, in one file that needs nothing else.
    Html,
    /// The report itself.
    Json,
}

impl Format {
    /// The form that the name of a file asks for; none when its ending says nothing.
    pub fn of_path(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()? {
            "txt" => Format::Summary,
            "csv" => Format::Csv,
            "md" => Format::Markdown,
            "hlog" => Format::Hlog,
            "hgrm" => Format::Hgrm,
            "html" | "htm" => Format::Html,
            "json" => Format::Json,
            _ => return None,
        })
    }
}

/// A report that cannot be rendered, because a histogram in it was damaged.
#[derive(Debug, Error)]
pub enum RenderError {
    /// A histogram cannot be decoded.
    #[error("the report is damaged: {0}")]
    Encoding(#[from] EncodingError),
    /// A histogram cannot be written into an interval log.
    #[error("the report is damaged: {0}")]
    IntervalLog(#[from] IntervalLogWriterError<V2DeflateSerializeError>),
    /// A table cannot be written.
    #[error("cannot write a table: {0}")]
    Table(#[from] ::csv::Error),
    /// The report cannot be written as JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Memory cannot be written to.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Renders a report; the text ends with a line break.
///
/// # Errors
///
/// When a histogram in the report was damaged.
pub fn render(report: &Report, format: Format) -> Result<String, RenderError> {
    let latency = &report.totals.latency;
    Ok(match format {
        Format::Summary => Summary(report).to_string(),
        Format::Csv => csv::seconds(report)?,
        Format::CsvPercentiles => csv::percentiles(report)?,
        Format::CsvAgents => csv::agents(report)?,
        Format::Markdown => markdown::write(report),
        Format::Hlog => hlog::write(report)?,
        Format::Hgrm => distribution(&latency.response)?,
        Format::HgrmService => distribution(&latency.service)?,
        Format::HgrmLag => distribution(&latency.lag)?,
        Format::Html => html::page(&[html::Run::new(report)])?,
        Format::Json => serde_json::to_string_pretty(report)? + "\n",
    })
}

fn distribution(times: &Distribution) -> Result<String, RenderError> {
    Ok(hgrm::write(&times.histogram()?))
}
