//! For a comment at a change: the verdict first, one row for each metric.

use std::fmt::Write as _;

use super::{AbReport, text};

/// All of it.
pub fn whole(report: &AbReport) -> String {
    let mut out = format!("**{}**\n\n", text::words(report.verdict));
    let (base, head) = (&report.base, &report.head);
    let _ = writeln!(
        out,
        "{} (`{}`) beside {} (`{}`), {}\n",
        cell(&head.name),
        &head.commit[..12],
        cell(&base.name),
        &base.commit[..12],
        cell(&report.host)
    );
    if let Some(why) = &report.cut_short {
        let _ = writeln!(out, "{}\n", cell(&text::cut_short(why)));
    }
    out +=
        "| scenario | rounds | | head beside base (95 %) | margin | control | base | verdict |\n";
    out += "|---|---:|---|---|---:|---|---|---|\n";
    for scenario in &report.scenarios {
        for compared in &scenario.metrics {
            let change = |change| Option::map_or(change, "–".to_owned(), text::interval);
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {:.0} % | {} | {} | {} |",
                cell(&scenario.name),
                scenario.rounds,
                compared.metric.name(),
                change(compared.head),
                compared.margin * 100.0,
                change(compared.control),
                text::base(compared),
                compared.verdict.name(),
            );
        }
    }
    out
}

/// Text that cannot end its cell, and is no markup.
pub fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' => out.extend(['\\', one]),
            '\n' | '\r' => out.push(' '),
            _ => out.push(one),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{cut_short, sample},
        *,
    };

    #[test]
    fn every_row_has_the_cells_of_the_head() {
        let text = whole(&sample([0.05, 0.051, 0.049]));
        assert!(text.starts_with("**FAIL"), "{text}");
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 2 + 3);
        let cells = |row: &str| row.replace("\\|", "").matches('|').count();
        assert!(rows.iter().all(|row| cells(row) == 9), "{text}");
        assert!(text.contains("a\\<b"), "{text}");
        assert_eq!(cell("a|b\nc"), "a\\|b c");
        assert!(!text.contains("CUT SHORT"), "{text}");
        let text = whole(&cut_short());
        assert!(text.contains("\n\nCUT SHORT (interrupted): "), "{text}");
    }
}
