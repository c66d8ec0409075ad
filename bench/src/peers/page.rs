//! The comparison as one page: a bar for each proxy at each kind of work.

use maud::{Markup, html};

use super::{
    report::{Comparison, NOTES, Series},
    work::{Amount, Work},
};
use crate::{host, page, units::significant};

const WIDTH: f64 = 640.0;
/// A bar, and the space below it.
const ROW: f64 = 24.0;
const BAR: f64 = 14.0;
const LEFT: f64 = 160.0;
/// Where the longest range ends; behind it is room for numbers.
const RIGHT: f64 = 500.0;

/// The page.
pub fn page(comparison: &Comparison) -> String {
    let (effort, amount) = comparison.effort();
    let body = html! {
        p { (host::describe()) }
        @if amount == Amount::Quick { p class="bad" { "A --quick run: too little work for numbers to be quoted." } }
        p { (effort) "; the thin line goes from the lowest to the highest. Shorter is better." }
        @for (work, series) in comparison.works() {
            section {
                h2 { (work.name()) ": " (work.describe()) " · " (work.unit()) }
                (chart(comparison, work, &series))
            }
        }
        ul { @for proxy in comparison.proxies() { li { (proxy.name) ": " (proxy.version) } } }
        @for note in NOTES { p { (note) } }
    };
    page::document("TLS proxies", &body)
}

fn chart(comparison: &Comparison, work: Work, series: &[&Series]) -> Markup {
    let costs: Vec<[f64; 3]> = series.iter().map(|series| series.costs()).collect();
    let longest = costs.iter().fold(0.0, |most, costs| costs[2].max(most));
    // Work that cost nothing has bars of no length.
    let scale = (RIGHT - LEFT) / longest.max(f64::MIN_POSITIVE);
    let x = |cost: f64| format!("{:.1}", LEFT + cost * scale);
    let height = ROW * series.len() as f64;
    let label = format!("{}, {} by proxy", work.name(), work.unit());
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(label) {
            @for (at, (series, [median, least, most])) in series.iter().zip(&costs).enumerate() {
                @let name = comparison.proxies()[series.proxy].name;
                @let top = ROW * at as f64;
                @let middle = top + BAR / 2.0;
                text x=(LEFT - 6.0) y=(middle + 4.0) text-anchor="end" { (name) }
                rect class=(if at == 0 { "bar" } else { "bar other" }) x=(LEFT) y=(top) height=(BAR) width=(format!("{:.1}", median * scale)) {
                    title { (name) ": " (significant(*median)) " (" (significant(*least)) "–" (significant(*most)) ") " (work.unit()) }
                }
                line class="range" x1=(x(*least)) x2=(x(*most)) y1=(middle) y2=(middle) {}
                text x=(RIGHT + 8.0) y=(middle + 4.0) {
                    (significant(*median))
                    @if at > 0 { (format!(", {:.2}×", median / costs[0][0])) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::sample, *};
    use crate::page::tests::assert_self_contained;

    #[test]
    fn every_proxy_has_a_bar_of_its_length_at_each_kind_of_work() {
        let page = page(&sample(1.0));
        assert_self_contained(&page);
        assert_eq!(page.matches("<rect class=\"bar\"").count(), 2);
        assert_eq!(page.matches("<rect class=\"bar other\"").count(), 2);
        // 6 is the most, and the medians are a third and a sixth of it.
        assert_eq!(page.matches("width=\"113.3\"").count(), 2, "{page}");
        assert_eq!(page.matches("width=\"56.7\"").count(), 2, "{page}");
        assert!(
            page.contains("2.00, 2.00×") && page.contains("other &lt;2&gt;"),
            "{page}"
        );
    }
}
