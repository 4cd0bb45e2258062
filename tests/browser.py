"""A headless Chromium for tests of pages, driven by Selenium; tests skip, saying why, where there is none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-background-networking")
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
SECONDS = 120  # for one call; a machine may be busy


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Start Chromium with a new profile in this folder; yields Selenium's driver."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install -e .[dev]")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in (*FLAGS, "window-size=1280,900", f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_script_timeout(SECONDS)
    try:
        yield browser
    finally:
        browser.quit()


def promised(browser: Any, expression: str, *words: Any) -> Any:
    """Return what a promise of the page comes to; `words` are its `arguments`. An AssertionError where it is broken."""
    script = f"""const done = arguments[arguments.length - 1];
        Promise.resolve({expression}).then((value) => done([value, null]), (error) => done([null, String(error)]));"""
    value, error = browser.execute_async_script(script, *words)
    assert error is None, error
    return value
