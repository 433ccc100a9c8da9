"""Reports as text: what they say, that they stand alone, and that nothing in them is markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tempreg.report.page import Page, Picture, Section, Table, render
from tempreg.report.study_figures import forest_figure, lines_figure
from tempreg.report.svg import inline_svg, page_style
from tempreg.report.text_tables import latex, markdown
from tempreg.runs.page import write_run_report
from tempreg.study.page.report import write_study_report
from tests.study_folder import make_study

HOSTILE = "</title><script>alert('&\"')</script> <b onmouseover=x> $\\frac{$ ]]> \u202e{{ 7 * 7 }}"


class Outline(HTMLParser):
    """Tags with their attributes, and the headings' levels."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_study(tmp_path_factory.mktemp("report") / "study", failed=HOSTILE)
    write_study_report(folder)
    return folder


def pages(study: Path) -> list[str]:
    write_run_report(study / "runs" / "0" / "000")
    files = (study / "report.html", study / "runs" / "0" / "000" / "report.html")
    return [file.read_text() for file in files]


def test_it_stands_alone_and_can_be_read_without_eyes(study: Path) -> None:
    for text in pages(study):
        outline = Outline(text)
        assert not outline.all("script")
        for tag, attributes in outline.tags:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href"):
                target = attributes.get(name) or "#"
                assert target.startswith(("#", "data:")), (tag, target)
        assert "@import" not in text
        assert not re.search(r"url\((?!#)", text)
        ids = [a["id"] for _, a in outline.tags if "id" in a]
        assert len(ids) == len(set(ids))
        named = [a["aria-labelledby"] for _, a in outline.tags if "aria-labelledby" in a]
        linked = [a["href"] or "" for a in outline.all("a")]
        assert {*named, *(link[1:] for link in linked)} <= set(ids)
        drawings = [a for a in outline.all("div") if a.get("role") == "img"]
        assert len(drawings) == len(outline.all("svg")) == len(outline.all("figcaption")) > 2
        assert len(outline.all("table")) == len(outline.all("caption")) > 0
        assert all(a.get("scope") in ("col", "row") for a in outline.all("th"))
        assert [len(outline.all(name)) for name in ("h1", "main", "nav", "html")] == [1] * 4
        assert outline.all("html")[0]["lang"] == "en"
        assert not outline.all("h3")


def test_what_failed_and_what_is_missing_is_named(study: Path) -> None:
    text = (study / "report.html").read_text()
    part = text[text.index(">Failed and missing runs</h2>") :]
    rows = re.findall(r"<th [^>]*>(\w+)</th>\n<td [^>]*>(\d+)</td>\n<td [^>]*>(\w+)</td>", part)
    assert rows[:2] == [("rate", "004", "failed"), ("step", "004", "missing")]
    assert "&lt;script&gt;alert(&#39;&amp;&#34;&#39;)&lt;/script&gt;" in part
    assert "{{ 7 * 7 }}" in part


def test_figures_say_their_numbers_and_tables_are_right(study: Path) -> None:
    text = (study / "report.html").read_text()
    assert re.search(r"Paired differences from rate\.</strong> .*trt \+[23]\.\d\d \(", text)
    assert re.search(r"TRT reduces overfitting</th>\n<td [^>]*>supported<", text)
    assert "Flatness</h2>" in text
    assert "<p>Not measured in this study: Anytime behaviour.</p>" in text  # in one line
    assert ">Anytime behaviour</h2>" not in text
    lines = (study / "results.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in lines[4:]] == [
        "| rate", "| step", "| step+mse+l2", "| trt", "| anytime",
    ]  # fmt: skip
    tex = (study / "results.tex").read_text()
    assert all(line.count("&") == 8 for line in tex.splitlines() if line.endswith(r"\\"))


def test_rebuilding_gives_the_same_bytes(study: Path) -> None:
    before = (study / "report.html").read_bytes()
    write_study_report(study)
    assert (study / "report.html").read_bytes() == before


def test_names_are_never_markup() -> None:
    table = Table(HOSTILE, [HOSTILE, "n"], [[HOSTILE, "1"]])
    with page_style():
        figures = [
            lines_figure({HOSTILE: ([1, 2], [1, 2]), "<i>": ([1], [1])}, HOSTILE, HOSTILE),
            forest_figure([(HOSTILE, 1.0, 0.0, 2.0)], HOSTILE),
        ]
        pictures = [Picture(figure, HOSTILE, HOSTILE) for figure in figures]
        section = Section(HOSTILE, [HOSTILE], [table], pictures, [HOSTILE])
        text = render(Page(HOSTILE, HOSTILE, [section]))
    names = {tag for tag, _ in Outline(text).tags}
    assert not names & {"script", "b", "i"}
    assert "49" not in re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", text, flags=re.DOTALL)
    assert markdown(table).count("<") == 0
    bare = re.sub(r"\\[&%$#_{}]|\\text\w+\{\}", "", latex(table).split("midrule")[1])
    assert not set("$#_^~<>") & set(bare)


def test_svg_takes_its_colours_from_the_page() -> None:
    with page_style():
        svg = inline_svg(
            lines_figure({"a": ([1, 2], [3, 4]), "b": ([1, 2], [4, 3])}, "x", "y"), "k"
        )
    assert "var(--c1)" in svg
    assert "currentColor" in svg
    assert not re.search(r"#[0-9a-fA-F]{6}\b", svg)
    assert all(match.startswith("k-") for match in re.findall(r'\bid="([^"]*)"', svg))
    assert "<text" in svg


STUDY = "arms: [{name: rate}, {name: trt}]\nreplicates: [{name: '000'}, {name: '001'}]\n"
BREAKAGES = [
    ("study.yaml", "arms: [", "this is not YAML"),
    ("study.yaml", "arms: 3", "doesn't describe a study"),
    ("study.yaml", f"{STUDY}base: {{data: {{folds: null}}}}\n", "base.data.folds can't be None"),
    ("study.yaml", f"{STUDY}base: {{data: {{folds: 2, validation: 1}}}}\n", "can't be 1"),
    ("study.yaml", f"{STUDY}base: [data]\n", "base can't be \\['data'\\]"),
    ("study.yaml", f"{STUDY}overlap: -1\n", "overlap can't be -1"),
    ("study.yaml", f"{STUDY}margin: .nan\n", "margin can't be nan"),
    ("results.csv", "arm,seed\n", "no column 'replicate'"),
    ("results.csv", "arm,replicate,seed,split,status\nrate,000\n", "expected 5 values"),
    ("results.csv", "arm,replicate,seed,split,status\nno,000,0,0,finished\n", "has no run 'no'"),
    ("results.csv", "arm,replicate,seed,split,status,x\nrate,000,0,0,finished,inf\n", "got 'inf'"),
    ("results.csv", "arm,replicate,seed,split,status,run\nrate,000,0,0,finished,../x\n", "inside"),
    ("results.csv", "arm,replicate,seed,split,status,run\nrate,000,0,0,finished,a\0\n", "inside"),
    ("results.csv", "arm,replicate,seed,split,status,x\nrate,000,0,0,finished,1e300\n", "'1e300'"),
    ("runs/0/000/metrics.jsonl", "3\n", "expected an object"),
    ("runs/0/000/metrics.jsonl", "{}\n", "expected an epoch"),
    ("runs/0/000/test_items.npz", "PK\3\4", "is damaged"),
    ("runs/0/000/analysis/fisher.json", '{"arrays": {}}', "not the result of an analysis"),
    ("runs/0/000/analysis/fisher_over_training.jsonl", "{}\n", "expected an epoch"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "sentence"), BREAKAGES)
def test_damaged_files_get_one_sentence(
    tmp_path: Path, name: str, content: str, sentence: str
) -> None:
    from tempreg.errors import RequestError

    folder = make_study(tmp_path, effects={"rate": 0.0, "trt": 0.1}, replicates=2)
    (folder / name).write_text(content)
    with pytest.raises(RequestError, match=sentence) as caught:
        write_study_report(folder)
    assert Path(name).name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (folder / "report.html").exists()


def test_an_unfinished_run(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", effects={"rate": 0.0, "trt": 0.1}, replicates=1)
    run = folder / "runs" / "0" / "000"
    (run / "summary.json").unlink()
    (run / "metrics.jsonl").write_text(
        json.dumps({"epoch": 1, "split": "train", "loss": 1}) + "\n{"
    )
    text = write_run_report(run).read_text()
    assert "the run is not finished" in text
    assert "train from 1 to 1" in text


def test_powers_of_ten_are_numbers() -> None:
    """Not the markup that stands for them while names are not read as mathematics."""
    with page_style():
        figure = lines_figure({"a": ([1e-5, 1e-3, 1.0], [1.0, 2.0, 3.0])}, "x", "y")
        figure.axes[0].set_xscale("log")
        drawn = inline_svg(figure, "k")
    assert "mathdefault" not in drawn
    assert {"0.001", "1"} <= set(re.findall(r">([^<>]+)</text>", drawn))
