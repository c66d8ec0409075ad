//! The history as one page that needs nothing else: a line for each series, change points marked.

use maud::{Markup, html};

use super::{change, entry::Series};
use crate::page;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 120.0;
/// Room for the outermost marks.
const EDGE: f64 = 6.0;
/// The page.
pub fn page(all: &[Series]) -> String {
    let body = html! {
        p {
            "Each line is one number on one machine, commit by commit; a dashed line is a change point. "
            "Numbers of different days differ by themselves: run the two commits beside each other before you believe one."
        }
        @for series in all { (section(series)) }
    };
    page::document("History of measurements", &body)
}

fn section(series: &Series) -> Markup {
    let values: Vec<_> = series.points.iter().map(|(_, value)| *value).collect();
    let changes = change::points(&values);
    html! {
        section class="history" {
            h2 { (series.name) " · " (series.host) }
            (chart(series, &values, &changes))
            @for at in &changes {
                p { "Changed with " code { (short(&series.points[*at].0)) } ": " (step(&values, &changes, *at)) }
            }
        }
    }
}

fn chart(series: &Series, values: &[f64], changes: &[usize]) -> Markup {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // One level line stands in the middle.
    let span = if most > least { most - least } else { 1.0 };
    let last = (values.len().max(2) - 1) as f64;
    let x = |at: usize| EDGE + at as f64 / last * (WIDTH - 2.0 * EDGE);
    let y = |value: f64| match most > least {
        true => EDGE + (most - value) / span * (HEIGHT - 2.0 * EDGE),
        false => HEIGHT / 2.0,
    };
    let places = values.iter().enumerate();
    let line: Vec<_> = places
        .map(|(at, value)| format!("{:.1},{:.1}", x(at), y(*value)))
        .collect();
    let label = format!(
        "{}: {} values from {least:.4} to {most:.4}",
        series.name,
        values.len()
    );
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            polyline points=(line.join(" ")) {}
            @for at in changes {
                line class="change" x1=(x(*at)) x2=(x(*at)) y1="0" y2=(HEIGHT) {}
            }
            @for (at, (commit, value)) in series.points.iter().enumerate() {
                circle class=[changes.contains(&at).then_some("change")] cx=(format!("{:.1}", x(at))) cy=(format!("{:.1}", y(*value))) r="3" {
                    title { (short(commit)) ": " (value) }
                }
            }
        }
    }
}

/// From what to what it changed: means of the stretches on both sides.
pub fn step(values: &[f64], changes: &[usize], at: usize) -> String {
    let before = changes
        .iter()
        .rev()
        .find(|one| **one < at)
        .copied()
        .unwrap_or(0);
    let until = changes
        .iter()
        .find(|one| **one > at)
        .copied()
        .unwrap_or(values.len());
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let (from, to) = (mean(&values[before..at]), mean(&values[at..until]));
    format!("{from:.1} to {to:.1} ({:+.1} %)", (to / from - 1.0) * 100.0)
}

/// The start of a commit's hash.
pub fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_marked_and_nothing_of_a_name_is_markup() {
        let points = (0..24).map(|n| {
            (
                format!("{n:040}"),
                if n < 12 { 100.0 } else { 110.0 } + f64::from(n % 3),
            )
        });
        let series = Series {
            name: "ab/<b>/cpu".into(),
            host: "a & b".into(),
            points: points.collect(),
        };
        let page = page(&[series]);
        assert!(page.contains("ab/&lt;b&gt;/cpu · a &amp; b"), "{page}");
        assert_eq!(page.matches("<line class=\"change\"").count(), 1);
        assert!(page.contains("101.0 to 111.0 (+9.9 %)"), "{page}");
        crate::page::tests::assert_self_contained(&page);
        assert!(!super::page(&[]).contains("<svg"));
    }

    #[test]
    fn one_value_and_equal_values_have_a_place() {
        for count in [1, 5] {
            let series = Series {
                name: "n".into(),
                host: "h".into(),
                points: vec![("c".into(), 2.0); count],
            };
            let page = page(&[series]);
            assert!(
                page.contains("60.0") && !page.contains("NaN") && !page.contains("inf,"),
                "{page}"
            );
        }
    }
}
