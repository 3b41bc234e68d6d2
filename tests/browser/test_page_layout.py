"""The report page as a browser lays it out: it fits a phone, and every text can be read in both colour schemes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from made_studies import studies

from unipelt_search.reporting import page as page_module
from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.page import render_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = 380
SHOWN = (
    "two-labels",
    "two-labels-probable",
    "odd-labels-probable",
    "multi-label-probable",
    "opposite-gates",
    "77-labels",
    "odd-labels",
    "regression",
    "multi-label",
    "not-confirmed",
    "failed",
)
SCHEMES = {"dark": 0, "light": 1}  # Chromium's own numbers
LOWEST_CONTRAST = 4.5  # WCAG 2 AA
MEASURE = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")


def shades() -> str:
    """A heat map with every shade there is, under the page's own style sheet."""
    style = Path(page_module.__file__).with_name("page.css").read_text(encoding="utf-8")
    cells = "".join(f'<tr><td style="--v:{number / 1000:.3f}">{number}</td></tr>' for number in range(1001))
    return f'<style>{style}</style><main><div class="map"><table>{cells}</table></div></main>'


def laid_out(folder: Path, scheme: str) -> dict[str, dict[str, Any]]:
    """Open several pages in one browser, each in a frame as wide as a phone, and measure it."""
    pages = {name: render_html(build_report(studies()[name])) for name in SHOWN} | {"every shade": shades()}
    frames = "".join(
        f'<iframe id="{name}" width="{PHONE}" height="800" style="border:0" srcdoc="{escape(page)}"></iframe>'
        for name, page in pages.items()
    )
    page = folder / "frames.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><script>{MEASURE}</script>{frames}", encoding="utf-8")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--disable-background-networking", f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    found = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    return json.loads(unescape(found[1]))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_page_fits_a_phone_and_can_be_read(tmp_path: Path, scheme: str) -> None:
    found = laid_out(tmp_path, scheme)
    assert set(found) == {*SHOWN, "every shade"}
    for name, page in found.items():
        assert page["texts"] > 300, name
        assert page["dark"] == (scheme == "dark"), name
        assert page["width"] <= PHONE, name
        assert len(page["ratios"]) > 20, name
        assert [found for found in page["ratios"] if found[0] < LOWEST_CONTRAST] == [], name
