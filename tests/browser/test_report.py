"""Reports in Chromium: they load without errors, every figure shows, nothing overflows."""

from __future__ import annotations

import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tempreg.runs.page import write_run_report
from tempreg.study.page.report import write_study_report
from tests.study_folder import make_study

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)"
)

# A page that shows the report in a frame of a phone's or a desk's width, and measures it. Its
# own script may look inside, for both come from one server.
WRAPPER = """<!DOCTYPE html><html><head><link rel="icon" href="data:,"></head>
<body style="margin:0"><iframe id="f" style="border:0;width:%(width)dpx;height:900px"
src="%(report)s"></iframe><pre id="out">waiting</pre>
<script>
document.getElementById("f").onload = function () {
  const d = this.contentDocument, w = this.contentWindow;
  const light = c => {
    const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(Number).map(
      v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const paper = w.getComputedStyle(d.body).backgroundColor;
  const outside = [...d.querySelectorAll("main *")].filter(e => {
    const box = e.getBoundingClientRect();
    return box.right > %(width)d + 0.5 && !e.closest(".scroll") && !e.closest("svg");
  }).map(e => e.tagName);
  const figures = [...d.querySelectorAll("figure svg")].map(s => {
    const box = s.getBoundingClientRect();
    const text = [...s.querySelectorAll("text")];
    const lines = [...s.querySelectorAll("path")].map(p => w.getComputedStyle(p).stroke)
      .filter(c => c.startsWith("rgb"));
    return {
      width: box.width, height: box.height, texts: text.length,
      smallest: Math.min(...text.map(t => t.getBoundingClientRect().height)),
      text_contrast: Math.min(...text.map(t => contrast(w.getComputedStyle(t).fill, paper))),
      line_contrast: Math.min(...lines.map(c => contrast(c, paper))),
    };
  });
  document.getElementById("out").textContent = "measured " + JSON.stringify({
    title: d.title, scroll: d.documentElement.scrollWidth, outside, figures, paper,
    inner: w.innerWidth, body: contrast(w.getComputedStyle(d.body).color, paper),
  });
};
</script></body></html>"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with a study's and a run's report, and its address."""
    root = tmp_path_factory.mktemp("served")
    error = "<script>document.title = 'pwned'; console.error('pwned')</script>" + "x" * 300
    study = make_study(root / "study", failed=error)
    write_study_report(study)
    write_run_report(study / "runs" / "1" / "000")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def browse(profile: Path, address: str, *flags: str) -> tuple[str, str]:
    """The page's final DOM, and what the browser's console said."""
    assert CHROMIUM is not None
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", f"--user-data-dir={profile}", "--enable-logging=stderr",
             "--virtual-time-budget=20000", "--window-size=1500,1000", *flags, "--dump-dom",
             address]  # fmt: skip
    result = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in result.stderr.splitlines() if ":CONSOLE" in line]
    return result.stdout, "\n".join(console)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("page", ["study/report.html", "study/runs/1/000/report.html"])
def test_it_shows_and_fits(
    served: tuple[Path, str], tmp_path: Path, page: str, width: int, scheme: str
) -> None:
    root, address = served
    name = f"wrapper-{page.count('/')}-{width}.html"
    (root / name).write_text(WRAPPER % {"width": width, "report": page})
    setting = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    dom, console = browse(tmp_path, f"{address}/{name}", setting)
    found = re.search(r"measured (\{.*?\})</pre>", dom, flags=re.DOTALL)
    assert found, dom[-2000:]
    measured = json.loads(html.unescape(found[1]))
    assert console == ""
    assert measured["title"].startswith(("Study: study", "Run: 000"))
    assert measured["inner"] == width
    assert measured["scroll"] <= width
    assert measured["outside"] == []
    assert len(measured["figures"]) >= 4
    for figure in measured["figures"]:
        assert figure["width"] > 250
        assert figure["height"] > 60
        assert figure["texts"] > 3
        assert figure["smallest"] > 7
        assert figure["text_contrast"] >= 4.5
        assert figure["line_contrast"] >= 3
    assert measured["body"] >= 7
    dark = sum(map(int, re.findall(r"\d+", measured["paper"])[:3])) < 200
    assert dark == (scheme == "dark")


def test_it_opens_from_the_disk(served: tuple[Path, str], tmp_path: Path) -> None:
    root, _ = served
    dom, console = browse(tmp_path, (root / "study" / "report.html").as_uri())
    assert console == ""
    assert "<title>Study: study</title>" in dom
