//! The comparison as one page: a bar for each proxy at each kind of work.

use maud::{Markup, html};

use super::{
    load::Kind,
    report::{Comparison, NOTES},
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
    let (effort, quick) = comparison.effort();
    let body = html! {
        p { (host::describe()) }
        @if quick { p class="bad" { "A --quick run: too little work for numbers to be quoted." } }
        p { (effort) "; the thin line goes from the lowest to the highest. Shorter is better." }
        @for kind in Kind::ALL {
            section {
                h2 { (kind.name()) ": " (kind.describe()) " · " (kind.unit()) }
                (chart(comparison, kind))
            }
        }
        ul { @for proxy in comparison.proxies() { li { (proxy.name) ": " (proxy.version) } } }
        @for note in NOTES { p { (note) } }
    };
    page::document("CPU of TLS proxies", &body)
}

fn chart(comparison: &Comparison, kind: Kind) -> Markup {
    let proxies = comparison.proxies();
    let costs: Vec<_> = (0..proxies.len())
        .map(|proxy| comparison.costs(proxy, kind))
        .collect();
    let longest = costs.iter().flatten().map(|[_, _, most]| *most);
    let longest = longest.fold(0.0, f64::max);
    // Work that cost nothing has bars of no length.
    let scale = (RIGHT - LEFT) / longest.max(f64::MIN_POSITIVE);
    let x = |cost: f64| format!("{:.1}", LEFT + cost * scale);
    let height = ROW * proxies.len() as f64;
    let label = format!("{}, {} by proxy", kind.name(), kind.unit());
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(label) {
            @for (at, (proxy, costs)) in proxies.iter().zip(&costs).enumerate() {
                @let top = ROW * at as f64;
                @let middle = top + BAR / 2.0;
                text x=(LEFT - 6.0) y=(middle + 4.0) text-anchor="end" { (proxy.name) }
                @if let Some([median, least, most]) = costs {
                    rect class=(if at == 0 { "bar" } else { "bar other" }) x=(LEFT) y=(top) height=(BAR) width=(format!("{:.1}", median * scale)) {
                        title { (proxy.name) ": " (significant(*median)) " (" (significant(*least)) "–" (significant(*most)) ") " (kind.unit()) }
                    }
                    line class="range" x1=(x(*least)) x2=(x(*most)) y1=(middle) y2=(middle) {}
                    text x=(RIGHT + 8.0) y=(middle + 4.0) {
                        (significant(*median))
                        @if let Some(ratio) = comparison.ratio(at, kind).filter(|_| at > 0) { (format!(", {ratio:.2}×")) }
                    }
                } @else {
                    text x=(LEFT) y=(middle + 4.0) { "–" }
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
        let page = page(&sample());
        assert_self_contained(&page);
        assert_eq!(page.matches("<rect class=\"bar\"").count(), 3);
        assert_eq!(page.matches("<rect class=\"bar other\"").count(), 2);
        // 6 is the most of downloads and echoes, and 3 half of it. Of uploads, 1.5 is half of 3.
        assert_eq!(page.matches("width=\"170.0\"").count(), 3);
        assert!(page.contains(">–</text>"), "{page}");
        assert!(
            page.contains("3.00, 2.00×") && page.contains("other &lt;2&gt;"),
            "{page}"
        );
    }
}
