"""The page of a run, opened and clicked through in a real browser, light and dark."""

import os
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# Where to keep pictures for people to look at; not at all unless it is set.
PICTURES = os.environ.get("REPORT_PICTURES")


@pytest.fixture(scope="module")
def browser():
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium and driver, "install chromium and chromium-driver; scripts/test does"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, sample, loadgen, tmp_path):
    """Opens the page of some samples, or of a sweep, in a color scheme; at the end the console has to be empty."""

    def open_page(scheme, *kinds):
        path = tmp_path / "page.html"
        if kinds == ("sweep",):
            path.write_bytes(sample("sweep").read_bytes())
        else:
            loadgen("report", *[sample(kind) for kind in kinds], "-o", path)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        browser.set_window_size(1400, 1000)
        browser.get(path.as_uri())
        if PICTURES:
            browser.set_window_size(1400, browser.execute_script("return document.body.scrollHeight"))
            browser.save_screenshot(Path(PICTURES) / f"{'-'.join(kinds)}-{scheme}.png")
            browser.set_window_size(1400, 1000)
        return browser

    yield open_page
    assert browser.get_log("browser") == []


def shown(browser, selector):
    return [element for element in browser.find_elements(By.CSS_SELECTOR, selector) if element.is_displayed()]


def contrast(browser, selector):
    """Of an element's text to the nearest background that is painted (WCAG 2)."""
    return browser.execute_script(
        """
        const parts = (color) => color.match(/[0-9.]+/g).map(Number);
        const light = (color) => {
          const [r, g, b] = parts(color).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const element = document.querySelector(arguments[0]);
        let behind = element;
        const paint = (e) => getComputedStyle(e).backgroundColor;
        while (parts(paint(behind))[3] === 0) behind = behind.parentElement;
        const style = getComputedStyle(element);
        const ink = element.ownerSVGElement ? (style.stroke === "none" ? style.fill : style.stroke) : style.color;
        const [a, b] = [light(ink), light(paint(behind))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        """,
        selector,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_legible_and_its_verdict_is_first(page, scheme):
    browser = page(scheme, "stalled")
    background = browser.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    assert background == {"light": "rgba(246, 247, 249, 1)", "dark": "rgba(15, 18, 22, 1)"}[scheme]
    for selector in ["h1", ".note", ".verdict h2", ".verdict li", ".missed", "dt", "thead th", ".grid text", ".brand"]:
        assert contrast(browser, selector) >= 4.5, selector
    for color in range(5):
        assert contrast(browser, f"#latency-response path.c{color}") >= 3, color
    first = browser.find_element(By.CSS_SELECTOR, "main > section")
    assert "Degraded" in first.text and "p99<5ms missed" in first.text
    titles = [title.text for title in shown(browser, ".plot h3")]
    for title in ["Latency by percentile", "Operations per second", "CPU", "Failures per second", "acme", "initech"]:
        assert title in titles
    # Nothing sticks out.
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_legend_buttons_hide_and_show_lines(page):
    browser = page("light", "stalled")
    lines = "#latency-response path.line[d^=M][data-series]"
    assert len(shown(browser, lines)) == 5
    button = browser.find_element(By.CSS_SELECTOR, "#latency-response button[data-series='4']")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert [line.get_attribute("data-series") for line in shown(browser, lines)] == ["0", "1", "2", "3"]
    button.click()
    assert len(shown(browser, lines)) == 5


def test_tabs_change_the_time_that_is_shown(page):
    browser = page("light", "calm")
    assert shown(browser, "#latency-response") and not shown(browser, "#latency-lag")
    browser.find_element(By.CSS_SELECTOR, "button[data-tab=lag]").click()
    assert shown(browser, "#latency-lag") and not shown(browser, "#latency-response")
    assert shown(browser, "#latency-lag svg .grid text")


def test_pointer_and_keys_tell_the_numbers(page):
    browser = page("light", "stalled")
    canvas = browser.find_element(By.CSS_SELECTOR, "#rate .canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(browser).move_to_element(canvas).perform()
    tip = browser.find_element(By.CSS_SELECTOR, "#rate .tip")
    assert tip.is_displayed() and "planned" in tip.text and "400" in tip.text
    # The last second is not whole, so its rate would look like a fall: the line ends before it.
    browser.execute_script("arguments[0].focus()", canvas)
    canvas.send_keys(Keys.END)
    assert tip.text.split() == ["29", "s"]
    # By keys: the thirteenth second is the first bad one.
    canvas.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * 12)
    assert tip.text.split() == ["12", "s", "planned", "400", "sent", "400", "done", "375"]
    browser.find_element(By.CSS_SELECTOR, "#rate button[data-series='0']").click()
    canvas.send_keys(Keys.ARROW_LEFT)
    assert "planned" not in tip.text and "done" in tip.text
    canvas.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_two_runs_lie_over_one_another_and_each_can_be_hidden(page):
    browser = page("dark", "calm", "slower")
    lines = "#percentiles path.line[d^=M][data-run='1']"
    assert len(shown(browser, lines)) == 3
    browser.find_element(By.CSS_SELECTOR, "header button[data-run='1']").click()
    assert not shown(browser, "main path.line[data-run='1']")
    assert len(shown(browser, "#percentiles path.line[d^=M][data-run='0']")) == 3
    # The seed is what the configurations differ in.
    differing = [row.text.split()[0] for row in shown(browser, ".facts tr.differs")]
    assert differing == ["seed"]


def test_hostile_text_stays_text(page):
    browser = page("light", "hostile")
    title = browser.find_element(By.TAG_NAME, "h1").text
    assert "<script>alert(1)</script>" in title
    scripts = browser.find_elements(By.CSS_SELECTOR, "script:not([type='application/json'])")
    assert len(scripts) == 1, "ours"
    assert not browser.find_elements(By.TAG_NAME, "img")
    # The plots have a tenant of that name, and still work.
    browser.find_element(By.CSS_SELECTOR, "#rate button[data-series='0']").click()
    assert len(shown(browser, "#rate path.off")) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_held_connections_has_its_line(page, scheme):
    browser = page(scheme, "conns")
    titles = [title.text for title in shown(browser, ".plot h3")]
    assert "Memory against connections" in titles
    lines = shown(browser, "#held path.line[d^=M][data-series]")
    assert len(lines) == 3, "target, its line, and the generator"
    for line in range(3):
        assert contrast(browser, f"#held path.c{line}") >= 3, line
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "10,000" in text.replace("\u202f", ",") or "10000" in text
    for phase in ["before", "during", "after"]:
        assert phase in text
    canvas = browser.find_element(By.CSS_SELECTOR, "#held .canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", canvas)
    canvas.send_keys(Keys.END)
    tip = browser.find_element(By.CSS_SELECTOR, "#held .tip")
    assert tip.is_displayed() and "connections" in tip.text and "target" in tip.text
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_run_on_agents_has_a_row_for_each(page, scheme):
    browser = page(scheme, "agents")
    section = browser.find_element(By.CSS_SELECTOR, "section[aria-labelledby=agents]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", section)
    assert contrast(browser, "section[aria-labelledby=agents] td") >= 4.5
    names = [head.text for head in section.find_elements(By.CSS_SELECTOR, "thead th")]
    rows = [row.find_elements(By.CSS_SELECTOR, "th, td") for row in section.find_elements(By.CSS_SELECTOR, "tbody tr")]
    rows = [dict(zip(names, [cell.text for cell in row], strict=True)) for row in rows]
    assert [row["agent"] for row in rows] == ["load1.example:7500", "load2.example:7500"]
    assert [row["cores"] for row in rows] == ["8", "4"]
    assert rows[1]["failed"] == "3" and rows[1]["never sent"] == "1"
    assert rows[0]["verdict"] == "degraded: waited_for_core"
    assert rows[1]["verdict"].startswith("lost: ")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_sweep_has_a_line_for_each_size(page, scheme):
    browser = page(scheme, "sweep")
    assert "sweep request" in browser.find_element(By.TAG_NAME, "h1").text
    for selector in ["h1", "thead th", ".grid text", ".brand"]:
        assert contrast(browser, selector) >= 4.5, selector
    plots = [plot for plot in shown(browser, ".plot") if plot.find_elements(By.CSS_SELECTOR, "path.line[d^=M]")]
    assert len(plots) >= 2, "rate and latency"
    for plot in plots:
        assert plot.find_elements(By.CSS_SELECTOR, ".grid text")
    assert len(shown(browser, "tbody tr")) >= 6, "a row for each cell"
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "size 100" in text and "size 16k" in text
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_only_the_script_of_the_page_may_run(page):
    browser = page("light", "calm")
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s)"
    )
    assert browser.title.startswith("loadgen: request")
    refused = browser.get_log("browser")
    assert len(refused) == 1 and "Content Security Policy" in refused[0]["message"]
