//! For CI: a test case for each metric of each scenario. What could not be told is skipped, never
//! failed. A run that was cut short is an error, in a case of its own.

use std::io;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{AbReport, Compared, ScenarioReport, text};
use crate::ab::decide::Verdict;

/// All of it.
///
/// # Errors
///
/// None that memory does not have.
pub fn whole(report: &AbReport) -> io::Result<Vec<u8>> {
    let all = || {
        report
            .scenarios
            .iter()
            .flat_map(|scenario| &scenario.metrics)
    };
    let of = |verdicts: &[Verdict]| {
        let found = all().filter(|compared| verdicts.contains(&compared.verdict));
        found.count().to_string()
    };
    let failures = of(&[Verdict::Fail]);
    let skipped = of(&[Verdict::Inconclusive, Verdict::Unproven]);
    let errors = usize::from(report.cut_short.is_some());
    let (tests, errors) = ((all().count() + errors).to_string(), errors.to_string());
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 1);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = xml.create_element("testsuites").with_attributes([
        ("tests", tests.as_str()),
        ("failures", failures.as_str()),
        ("errors", errors.as_str()),
    ]);
    suites.write_inner_content(|xml| {
        let suite = xml.create_element("testsuite").with_attributes([
            ("name", "bench ab"),
            ("tests", tests.as_str()),
            ("failures", failures.as_str()),
            ("skipped", skipped.as_str()),
            ("errors", errors.as_str()),
        ]);
        suite.write_inner_content(|xml| {
            for scenario in &report.scenarios {
                for compared in &scenario.metrics {
                    case(xml, scenario, compared)?;
                }
            }
            match &report.cut_short {
                Some(why) => unfinished(xml, why),
                None => Ok(()),
            }
        })?;
        Ok(())
    })?;
    Ok(xml.into_inner())
}

fn case(
    xml: &mut Writer<Vec<u8>>,
    scenario: &ScenarioReport,
    compared: &Compared,
) -> io::Result<()> {
    let change = compared
        .head
        .map_or("not measured".to_owned(), text::interval);
    let margin = compared.margin * 100.0;
    let said = format!(
        "{}: {change}, margin {margin:.0} %",
        compared.verdict.name()
    );
    let case = xml.create_element("testcase").with_attributes([
        ("classname", scenario.name.as_str()),
        ("name", compared.metric.name()),
    ]);
    case.write_inner_content(|xml| {
        let inner = match compared.verdict {
            Verdict::Pass => None,
            Verdict::Fail => Some("failure"),
            Verdict::Inconclusive | Verdict::Unproven => Some("skipped"),
        };
        if let Some(inner) = inner {
            let inner = xml
                .create_element(inner)
                .with_attribute(("message", said.as_str()));
            inner.write_text_content(BytesText::new(&scenario.description))?;
        }
        xml.create_element("system-out")
            .write_text_content(BytesText::new(&said))?;
        Ok(())
    })?;
    Ok(())
}

/// What came between.
fn unfinished(xml: &mut Writer<Vec<u8>>, why: &str) -> io::Result<()> {
    let case = xml
        .create_element("testcase")
        .with_attributes([("classname", "bench ab"), ("name", "all rounds")]);
    case.write_inner_content(|xml| {
        let error = xml
            .create_element("error")
            .with_attribute(("message", text::cut_short(why).as_str()));
        error.write_empty()?;
        Ok(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use quick_xml::{Reader, events::BytesStart};

    use super::{
        super::tests::{cut_short, sample},
        *,
    };

    fn attribute(element: &BytesStart<'_>, name: &str) -> String {
        let found = element
            .try_get_attribute(name)
            .expect("well formed")
            .expect(name);
        quick_xml::escape::unescape(&found.value)
            .expect("well escaped")
            .into_owned()
    }

    #[test]
    fn what_is_written_is_read_back_whole_with_all_its_signs() {
        let xml = whole(&sample([0.05, 0.051, 0.049])).expect("memory");
        let text = String::from_utf8(xml).expect("UTF-8");
        assert!(text.contains("GET &amp; PUT"), "{text}");
        let mut reader = Reader::from_str(&text);
        let (mut cases, mut failed, mut skipped) = (Vec::new(), 0, 0);
        loop {
            match reader.read_event().expect("well formed") {
                Event::Eof => break,
                Event::Start(element) => match element.name().as_ref() {
                    "testcase" => cases.push((
                        attribute(&element, "classname"),
                        attribute(&element, "name"),
                    )),
                    "failure" => {
                        failed += 1;
                        assert!(attribute(&element, "message").contains("+5.1 %"));
                    }
                    "skipped" => skipped += 1,
                    "testsuite" => {
                        assert_eq!(attribute(&element, "failures"), "1");
                        assert_eq!(attribute(&element, "errors"), "0");
                        assert_eq!(attribute(&element, "skipped"), "2");
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        assert_eq!((cases.len(), failed, skipped), (3, 1, 2));
        assert_eq!(cases[0], ("a<b".to_owned(), "CPU per operation".to_owned()));
    }

    #[test]
    fn a_run_that_was_cut_short_is_an_error() {
        let text = String::from_utf8(whole(&cut_short()).expect("memory")).expect("UTF-8");
        let mut reader = Reader::from_str(&text);
        let (mut cases, mut errors) = (0, Vec::new());
        loop {
            match reader.read_event().expect("well formed") {
                Event::Eof => break,
                Event::Start(element) if element.name().as_ref() == "testcase" => cases += 1,
                Event::Start(element) if element.name().as_ref() == "testsuite" => {
                    assert_eq!(attribute(&element, "errors"), "1");
                    assert_eq!(attribute(&element, "tests"), "4");
                }
                Event::Empty(element) if element.name().as_ref() == "error" => {
                    errors.push(attribute(&element, "message"));
                }
                _ => {}
            }
        }
        assert_eq!(cases, 4);
        assert!(matches!(&errors[..], [said] if said.starts_with("CUT SHORT (interrupted)")));
    }
}
