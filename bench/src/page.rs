//! Pages that need nothing else: no script, no font, no file beside them; light and dark.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#0b62c4;--mark:#c4320b;--quiet:color-mix(in srgb,var(--ink) 25%,transparent)}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#14171a;--line:#6db3ff;--mark:#ff8a6b}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:44rem;margin:2rem auto;padding:0 1rem}\
svg{width:100%;height:auto}\
svg text{font:11px system-ui,sans-serif;fill:var(--ink)}\
.history svg{border-bottom:1px solid var(--quiet)}\
polyline{fill:none;stroke:var(--line);stroke-width:1.5}circle{fill:var(--line)}\
.fit{stroke:var(--ink);stroke-dasharray:4 3;stroke-width:1;fill:none}\
.grid{stroke:var(--quiet);stroke-width:.5}\
.bar{fill:var(--line)}.bar.other{fill:color-mix(in srgb,var(--ink) 45%,transparent)}.range{stroke:var(--ink)}\
.change{stroke:var(--mark);stroke-dasharray:4 3}circle.change{fill:var(--mark);stroke:none}\
.bad{color:var(--mark);font-weight:600}\
table{border-collapse:collapse;font-size:.9em}td,th{padding:.1rem .7rem .1rem 0;text-align:right}td:first-child,th:first-child{text-align:left}\
pre{overflow-x:auto;font-size:.85em}\
code{font-size:.9em}h2{font-size:1rem;margin:2rem 0 .25rem}";

/// A page of this title and content.
pub fn document(title: &str, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { h1 { (title) } (body) }
        }
    };
    markup.into_string()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Asserts that a page needs nothing else, and has both colour schemes.
    pub fn assert_self_contained(page: &str) {
        for foreign in [
            "http:", "https:", "<script", "<link", "url(", "@import", "src=",
        ] {
            assert!(!page.contains(foreign), "{foreign}: {page}");
        }
        assert!(page.contains("prefers-color-scheme:dark"), "{page}");
        assert!(!page.contains("NaN") && !page.contains("inf\""), "{page}");
    }

    #[test]
    fn titles_are_text() {
        let page = document("a < b", &html! { p { "c & d" } });
        assert!(
            page.contains("<title>a &lt; b</title>") && page.contains("c &amp; d"),
            "{page}"
        );
        assert_self_contained(&page);
    }
}
