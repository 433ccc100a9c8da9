"""The site as `make docs` builds it: whole, and nothing in it asks another host."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

import tempreg

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").exists(), reason="there is no site: `make docs` builds it"
)
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}


class Assets(HTMLParser):
    """What a browser loads with a page, and where its text links to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.ids |= {values["id"]} if "id" in values else set()
        if tag in LOADED and LOADED[tag] in values:
            self.loaded.append(values[LOADED[tag]])
        if tag == "a" and "href" in values:
            self.linked.append(values["href"])


def pages() -> list[Path]:
    return sorted(SITE.rglob("*.html"))


def test_every_page_is_there() -> None:
    for source in (ROOT / "docs").rglob("*.md"):
        assert (SITE / source.relative_to(ROOT / "docs")).with_suffix(".html").exists()


def test_nothing_is_loaded_from_elsewhere() -> None:
    loaded = [(page, address) for page in pages() for address in Assets(page).loaded]
    assert loaded
    for page, address in loaded:
        assert not re.match(r"(\w+:)?//", address), (page, address)
        if address.startswith("data:"):  # in the page itself
            continue
        if page.name != "404.html":  # its addresses are those of the site's root
            assert (page.parent / address.split("?")[0].split("#")[0]).exists(), (page, address)
    for style in SITE.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text()), style


def test_links_within_the_site_lead_somewhere() -> None:
    ids = {page.resolve(): Assets(page).ids for page in pages()}
    for page in pages():
        for link in Assets(page).linked:
            path, _, anchor = link.partition("#")
            if page.name == "404.html" or re.match(r"\w+:", path):
                continue
            target = (page.parent / path).resolve() if path else page.resolve()
            target = target / "index.html" if target.is_dir() else target
            assert target in ids or target.is_file(), (page, link)
            assert not anchor or anchor in ids[target], (page, link)


def test_public_names_are_in_the_reference() -> None:
    described = {name for page in (SITE / "reference").glob("*.html") for name in Assets(page).ids}
    ends = {name.rpartition(".")[2] for name in described if name.startswith("tempreg.")}
    rooms = {name for name in tempreg.__all__ if isinstance(getattr(tempreg, name), ModuleType)}
    assert set(tempreg.__all__) - ends - rooms == {"__version__"}
    for room in rooms:  # a module is described by what is in it
        assert any(name.startswith(f"tempreg.{room}.") for name in described), room
