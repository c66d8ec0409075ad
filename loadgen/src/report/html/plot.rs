//! A plot: lines in SVG, a legend of buttons, and the numbers for who points at it.

use maud::{Markup, PreEscaped, html};
use serde_json::json;

use super::axis::{Axis, Unit};

/// Lines over a common row of places.
#[derive(Debug)]
pub struct Plot<'a> {
    /// Unique in the page.
    pub id: String,
    /// What it shows.
    pub title: &'a str,
    /// How to read it.
    pub note: &'a str,
    /// How large it is.
    pub size: Size,
    /// The places, each with its name.
    pub places: Vec<(f64, String)>,
    /// Where the places stand.
    pub x: Axis,
    /// Where the values stand.
    pub y: Axis,
    /// What the values are.
    pub unit: Unit,
    /// Names of the series.
    pub series: Vec<String>,
    /// Names of the runs.
    pub runs: &'a [String],
    /// At most one for each run and series.
    pub lines: Vec<Line>,
}

/// How large a plot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// One of few.
    Large,
    /// One of many that are compared.
    Small,
}

/// One line.
#[derive(Debug)]
pub struct Line {
    /// Which run.
    pub run: usize,
    /// Which series.
    pub series: usize,
    /// A value for each place that has one.
    pub values: Vec<Option<f64>>,
}

/// The area of the lines in a picture, in its units.
struct Frame {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Size {
    fn frame(self) -> Frame {
        let (width, height, left, bottom) = match self {
            Size::Large => (640.0, 290.0, 62.0, 30.0),
            Size::Small => (320.0, 190.0, 56.0, 26.0),
        };
        Frame {
            width,
            height,
            left,
            right: width - 14.0,
            top: 10.0,
            bottom: height - bottom,
        }
    }
}

impl Frame {
    fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.position(value) * (self.right - self.left)
    }

    fn y(&self, axis: &Axis, value: f64) -> f64 {
        self.bottom - axis.position(value) * (self.bottom - self.top)
    }
}

impl Plot<'_> {
    /// The figure.
    pub fn render(&self) -> Markup {
        let frame = self.size.frame();
        let (title, note) = (format!("{}-title", self.id), format!("{}-note", self.id));
        let small = self.size == Size::Small;
        html! {
            figure.plot.small[small] id=(self.id) {
                figcaption {
                    h3 id=(title) { (self.title) }
                    @if !self.note.is_empty() { p.note id=(note) { (self.note) } }
                }
                @if self.series.len() > 1 && !small { (self.legend()) }
                div.canvas tabindex="0" role="group" aria-labelledby=(title) {
                    svg viewBox=(format!("0 0 {} {}", frame.width, frame.height))
                        role="img" aria-labelledby=(title) {
                        (self.grid(&frame))
                        @for line in &self.lines { (self.line(&frame, line)) }
                        line.cross x1="0" x2="0" y1=(frame.top) y2=(frame.bottom) {}
                    }
                    div.tip role="status" aria-live="polite" hidden {}
                }
                script.data type="application/json" { (PreEscaped(self.data(&frame))) }
            }
        }
    }

    fn legend(&self) -> Markup {
        html! {
            div.legend role="group" aria-label="Lines" {
                @for (n, name) in self.series.iter().enumerate() {
                    button type="button" aria-pressed="true" data-series=(n) {
                        (swatch(&self.style(None, n))) (name)
                    }
                }
            }
        }
    }

    fn grid(&self, frame: &Frame) -> Markup {
        html! {
            g.grid {
                @for (value, name) in &self.y.ticks {
                    @let y = round(frame.y(&self.y, *value));
                    line x1=(frame.left) x2=(frame.right) y1=(y) y2=(y) {}
                    text.y x=(frame.left - 8.0) y=(y) dy="0.32em" { (name) }
                }
                @for (x, name) in self.marks(frame) {
                    line x1=(x) x2=(x) y1=(frame.bottom) y2=(frame.bottom + 4.0) {}
                    text.x x=(x) y=(frame.bottom + 17.0) { (name) }
                }
            }
        }
    }

    /// Marks below the lines, but for those that would run into the one before.
    fn marks(&self, frame: &Frame) -> Vec<(f64, &str)> {
        let mut marks: Vec<(f64, &str)> = Vec::new();
        for (value, name) in &self.x.ticks {
            let x = round(frame.x(&self.x, *value));
            if marks.last().is_none_or(|(before, _)| x - before > 36.0) {
                marks.push((x, name));
            }
        }
        marks
    }

    fn line(&self, frame: &Frame, line: &Line) -> Markup {
        let mut path = String::new();
        let mut pen = 'M';
        for ((place, _), value) in self.places.iter().zip(&line.values) {
            // A place without a value is a gap, not a zero.
            let Some(value) = value else {
                pen = 'M';
                continue;
            };
            let (x, y) = (frame.x(&self.x, *place), frame.y(&self.y, *value));
            path.push_str(&format!("{pen}{} {}", round(x), round(y)));
            pen = 'L';
        }
        let style = self.style(Some(line.run), line.series);
        html! { path class=(style) data-run=(line.run) data-series=(line.series) d=(path) {} }
    }

    /// Colours tell runs apart where there are several, and else the series.
    fn style(&self, run: Option<usize>, series: usize) -> String {
        match (self.runs.len(), run) {
            // Of few lines, those that lie on one another show through by their dashes.
            (0 | 1, _) if self.series.len() <= 3 => format!("line c{0} d{0}", series % 5),
            (0 | 1, _) => format!("line c{}", series % 6),
            (_, Some(run)) => format!("line c{} d{}", run % 6, series % 5),
            (_, None) => format!("line plain d{}", series % 5),
        }
    }

    /// Places and values in the units of the picture, and as text.
    fn data(&self, frame: &Frame) -> String {
        let lines = self.lines.iter().map(|line| {
            let at = |value: &Option<f64>| value.map(|value| round(frame.y(&self.y, value)));
            let text = |value: &Option<f64>| value.map(|value| self.unit.text(value));
            let series = self.series.get(line.series).map_or("", String::as_str);
            let name = match (self.runs.len(), self.series.len()) {
                (0 | 1, _) => series.to_owned(),
                (_, 0 | 1) => self.runs[line.run].clone(),
                _ => format!("{} · {series}", self.runs[line.run]),
            };
            json!({
                "run": line.run,
                "series": line.series,
                "name": name,
                "style": self.style(Some(line.run), line.series),
                "y": line.values.iter().map(at).collect::<Vec<_>>(),
                "text": line.values.iter().map(text).collect::<Vec<_>>(),
            })
        });
        let places = self.places.iter();
        let data = json!({
            "x": places.clone().map(|(x, _)| round(frame.x(&self.x, *x))).collect::<Vec<_>>(),
            "names": places.map(|(_, name)| name).collect::<Vec<_>>(),
            "width": frame.width,
            "lines": lines.collect::<Vec<_>>(),
        });
        // Within a script element only `<` could end it; in JSON it only stands in strings.
        data.to_string().replace('<', "\\u003c")
    }
}

/// A piece of a line, for legends.
pub fn swatch(style: &str) -> Markup {
    html! {
        svg.swatch viewBox="0 0 22 8" aria-hidden="true" {
            path class=(style) d="M1 4L21 4" {}
        }
    }
}

/// Tenths are finer than a pixel.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
