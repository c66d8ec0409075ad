//! The result as one page: each cost over what grows, both on logarithmic axes.

use maud::{Markup, html};

use super::report::{Growth, Series, ends, said};
use crate::{page, units::significant};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 625.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 250.0;

/// The page.
pub fn page(growth: &Growth) -> String {
    let body = html! {
        p { (growth.gateway) ", " (growth.host) ". " (growth.effort.words()) "." }
        @if growth.is_quick { p class="bad" { "A --quick run: too little work for numbers to be quoted." } }
        p { "Points are measurements, the line goes through medians, the dashed one is the fitted power." }
        @for series in &growth.series { (section(series)) }
        @for note in growth.notes { p { (note) } }
    };
    page::document("Growth of the gateway's costs", &body)
}

fn section(series: &Series) -> Markup {
    html! {
        section {
            h2 { (series.cost.name()) " · " (series.unit) }
            (chart(series))
            p class=[series.is_super_linear.then_some("bad")] { (said(series)) }
            @if let Some(bound) = &series.bounded_by {
                p { "As far as this machine goes: " (bound) "." }
            }
        }
    }
}

fn chart(series: &Series) -> Markup {
    let sizes: Vec<_> = series
        .points
        .iter()
        .map(|point| point.size as f64)
        .collect();
    let costs: Vec<_> = series
        .points
        .iter()
        .flat_map(|point| point.costs.clone())
        .collect();
    let (x, y) = (
        Scale::of(&sizes, LEFT, RIGHT),
        Scale::of(&costs, BOTTOM, TOP),
    );
    let at = |size: f64, cost: f64| format!("{:.1},{:.1}", x.place(size), y.place(cost));
    let medians: Vec<_> = series
        .points
        .iter()
        .map(|point| at(point.size as f64, point.cost()))
        .collect();
    let label = format!(
        "{}, {} by {}",
        series.cost.name(),
        series.unit,
        series.axis.name()
    );
    let (first, last) = ends(&sizes);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) {
            @for tick in x.ticks() {
                line class="grid" x1=(short(x.place(tick))) x2=(short(x.place(tick))) y1=(TOP) y2=(BOTTOM) {}
                text x=(short(x.place(tick))) y=(BOTTOM + 16.0) text-anchor="middle" { (count(tick)) }
            }
            @for tick in y.ticks() {
                line class="grid" x1=(LEFT) x2=(RIGHT) y1=(short(y.place(tick))) y2=(short(y.place(tick))) {}
                text x=(LEFT - 6.0) y=(short(y.place(tick) + 4.0)) text-anchor="end" { (count(tick)) }
            }
            @if let Some(fit) = &series.whole {
                polyline class="fit" points=(format!("{} {}", at(first, fit.at(first)), at(last, fit.at(last)))) {}
            }
            polyline points=(medians.join(" ")) {}
            @for point in &series.points {
                @for cost in &point.costs {
                    circle cx=(short(x.place(point.size as f64))) cy=(short(y.place(*cost))) r="3" {
                        title { (point.size) " " (series.axis.name()) ": " (significant(*cost)) " " (series.unit) }
                    }
                }
            }
        }
    }
}

/// Decades on a stretch of the picture.
struct Scale {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Whole decades around the values.
    fn of(values: &[f64], from: f64, to: f64) -> Self {
        let (least, most) = ends(values);
        let least = least.max(f64::MIN_POSITIVE).log10().floor();
        let most = most.max(f64::MIN_POSITIVE).log10().ceil();
        Self {
            least,
            most: most.max(least + 1.0),
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).log10() - self.least) / (self.most - self.least);
        // A fitted line may leave the decades of what it was fitted to.
        self.from + share.clamp(-0.05, 1.05) * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        let (least, most) = (self.least as i32, self.most as i32);
        (least..=most).map(|power| 10_f64.powi(power)).collect()
    }
}

fn short(value: f64) -> String {
    format!("{value:.1}")
}

/// `10k` for 10,000.
fn count(value: f64) -> String {
    for (unit, factor) in [("G", 1e9), ("M", 1e6), ("k", 1e3)] {
        if value >= factor * 0.999 {
            return format!("{:.0}{unit}", value / factor);
        }
    }
    let said = significant(value);
    match said.contains('.') {
        true => said.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => said,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{axis::Cost, report::tests::series},
        *,
    };
    use crate::{host::Split, page::tests::assert_self_contained};

    #[test]
    fn every_measurement_is_a_point_and_what_grows_too_fast_is_marked() {
        let split = Split {
            gateway: vec![0],
            load: vec![1],
        };
        let all = vec![
            series(Cost::EchoByConnections, |size| 20.0 * size),
            series(Cost::StartByTenants, |size| 3.0 + size),
        ];
        let page = page(&Growth::new(
            "a & b".into(),
            "sealgate".into(),
            split,
            crate::turns::Effort::of(3),
            all,
        ));
        assert_self_contained(&page);
        assert_eq!(page.matches("<circle").count(), 30);
        assert_eq!(page.matches("<polyline class=\"fit\"").count(), 2);
        assert_eq!(page.matches("<p class=\"bad\">").count(), 1);
        assert!(
            page.contains("a &amp; b") && page.contains(">10k</text>"),
            "{page}"
        );
    }

    #[test]
    fn decades_enclose_the_values_and_flat_ones_have_room() {
        let scale = Scale::of(&[20.0, 950.0], 0.0, 100.0);
        assert_eq!(scale.ticks(), [10.0, 100.0, 1000.0]);
        assert!((scale.place(100.0) - 50.0).abs() < 1e-9);
        let flat = Scale::of(&[10.0], 0.0, 100.0);
        assert_eq!(flat.ticks(), [10.0, 100.0]);
        for (value, said) in [
            (1.0, "1"),
            (10.0, "1"),
            (1e4, "10k"),
            (1e9, "1G"),
            (0.1, "0.1"),
        ] {
            assert!(count(value).starts_with(said), "{value}: {}", count(value));
        }
        assert_eq!(count(100.0), "100");
    }
}
