"""Reports in a browser: nothing fetched, no sideways scrolling, legible in both themes."""

import json
import shutil

import pytest
import report_samples
from selenium import webdriver
from selenium.common.exceptions import WebDriverException

from sentiflow.model.reports import page, run_page

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)

# Everything that can be folded or pointed at is shown, so that it is looked at as well.
OPEN = """
document.querySelectorAll('details').forEach(part => { part.open = true; });
document.querySelectorAll('img').forEach(picture => { picture.loading = 'eager'; });
"""
PICTURES = "return [...document.images].map(picture => picture.naturalWidth)"

# Contrast of every piece of text with what lies behind it; the formulas are those of WCAG 2.2,
# "contrast ratio" and "relative luminance". A canvas turns colours of every notation into red,
# green, blue and opacity.
CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = color => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].map(value => value / 255);
};
const over = (top, below) =>
  [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const behind = element => {
  if (!element) return [1, 1, 1, 1];
  const own = rgba(getComputedStyle(element).backgroundColor);
  return own[3] === 1 ? own : over(own, behind(element.parentElement));
};
const luminance = color => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
  const c = color[i];
  return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
}, 0);
document.querySelectorAll('.tip').forEach(tip => { tip.style.display = 'block'; });
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const found = [];
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
  if (!text || element.namespaceURI.endsWith('svg')) continue;
  const ground = behind(element), color = over(rgba(getComputedStyle(element).color), ground);
  const [dark, light] = [luminance(color), luminance(ground)].sort((a, b) => a - b);
  found.push([(light + 0.05) / (dark + 0.05), text.slice(0, 60)]);
}
document.querySelectorAll('.tip').forEach(tip => { tip.style.display = ''; });
return found;
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    run = report_samples.write_run(tmp_path_factory.mktemp("run"))
    experiments = report_samples.write_set(tmp_path_factory.mktemp("set"))
    return {"run": run_page.write_run(run), "set": page.write_set(experiments)}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if BROWSER is None:
        pytest.skip("there is no Chromium on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    profile = tmp_path_factory.mktemp("profile")
    # A container has no second user to put the browser into, and little shared memory.
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "disable-gpu",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )
    yield driver
    driver.quit()


def open_report(browser, path, *, theme="light", width=1280):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get_log("performance")
    browser.get(path.as_uri())
    browser.execute_script(OPEN)


def requests(browser):
    """Addresses that the browser asked for since the page was opened."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [
        message["params"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return {
        event["request"]["url"] for event in sent if not event["request"]["url"].startswith("data:")
    }


@pytest.mark.parametrize("kind", ["run", "set"])
def test_a_report_stands_alone(browser, reports, kind):
    open_report(browser, reports[kind])
    assert requests(browser) == {reports[kind].as_uri()}
    assert browser.get_log("browser") == []
    assert reports[kind].stat().st_size < 3_000_000
    widths = browser.execute_script(PICTURES)
    assert all(width > 0 for width in widths)
    # Six of the contact sheet in each of its three rows, and those of the predictions.
    assert (len(widths) > 18) == (kind == "run")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("kind", ["run", "set"])
def test_nothing_lies_outside_the_screen(browser, reports, kind, width):
    open_report(browser, reports[kind], width=width)
    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["run", "set"])
def test_text_is_legible(browser, reports, kind, theme):
    open_report(browser, reports[kind], theme=theme)
    dark = browser.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark == (theme == "dark")
    found = browser.execute_script(CONTRAST)
    assert len(found) > 100
    assert [text for contrast, text in found if contrast < 4.5] == []


def test_a_chart_tells_its_values_where_it_is_pointed_at(browser, reports):
    open_report(browser, reports["run"])
    chart = browser.find_element("css selector", "#curves .chart")
    column = chart.find_elements("css selector", ".hit")[1]
    tip = column.find_element("css selector", ".tip")
    assert not tip.is_displayed()
    webdriver.ActionChains(browser).move_to_element(column).perform()
    assert tip.text.split() == ["epoch", "2", "training", "60.0%", "validation", "40.0%"]
    assert chart.find_element("css selector", "svg").aria_role == "image"
    assert (
        "After epoch 3: training 90.0%, validation 60.0%"
        in chart.find_element("css selector", "svg").accessible_name
    )


def test_the_browser_reports_what_goes_wrong(browser, tmp_path):
    """A page that does all that a report must not."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<p style='color:#999'>faint</p><p style='width:2000px'>wide</p><img src='other.png'>"
        "<script>throw new Error('wrong')</script>"
    )
    open_report(browser, page, width=360)
    assert requests(browser) == {page.as_uri(), (tmp_path / "other.png").as_uri()}
    assert any("wrong" in entry["message"] for entry in browser.get_log("browser"))
    assert browser.execute_script("return document.documentElement.scrollWidth") > 360
    assert browser.execute_script(PICTURES) == [0]
    assert min(browser.execute_script(CONTRAST))[1] == "faint"
    assert min(browser.execute_script(CONTRAST))[0] == pytest.approx(2.849, abs=0.001)
    with pytest.raises(WebDriverException):
        browser.execute_script("throw new Error()")
