"""The page for people has everything the document has, and lets nothing in from elsewhere."""

import base64
import hashlib
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

from server.app.application import TITLE, VERSION, operations
from server.openapi.catalogue import catalogue
from server.openapi.document import document
from server.openapi.page import page, policy


class Reader(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.attributes |= given.keys()
        self.ids += [given["id"]] if "id" in given else []
        self.links |= {given["href"]} if "href" in given else set()
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def published() -> Mapping[str, Any]:
    return document(operations(), title=TITLE, version=VERSION)


@pytest.fixture(scope="module")
def html(published: Mapping[str, Any]) -> str:
    return page(published, catalogue(operations()))


def test_everything_is_there_and_every_link_leads_somewhere(published: Mapping[str, Any], html: str) -> None:
    """Each operation, model and error code has its place, once; problem details name codes by it."""
    reader = read(html)
    expected = {operation.name for operation in operations()}
    expected |= {f"model-{name}" for name in published["components"]["schemas"]}
    expected |= {entry["code"] for entry in catalogue(operations())}
    assert expected <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))
    assert reader.links - {"/openapi.json"} == {f"#{name}" for name in reader.ids} & reader.links


def test_nothing_runs_and_nothing_is_loaded(html: str) -> None:
    """No script, no frame, no picture, no style from elsewhere, no handler in an attribute."""
    reader = read(html)
    assert not reader.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert not {name for name in reader.attributes if name.startswith("on")} | reader.attributes & {"style", "src"}
    assert "url(" not in html
    assert "@import" not in html


def test_policy_allows_this_style_and_nothing_else(html: str) -> None:
    """The hash is that of the style on the page: a browser would drop any other."""
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy().split(";"))
    assert rules.pop("style-src") == f"'sha256-{digest}'"
    assert rules == dict.fromkeys(("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'")


def test_what_is_described_cannot_become_markup(published: Mapping[str, Any]) -> None:
    """Descriptions are texts, wherever they come from."""
    evil = "<script>alert(1)</script>"
    spoiled = {**published, "info": {"title": evil, "version": '"><img src=x>'}}
    assert not read(page(spoiled, [])).tags & {"script", "img"}


def test_navigation_names_operations_by_their_first_clause(html: str) -> None:
    """In words: neither cut inside a scope's name nor left with half of its quotes."""
    navigation = html.partition("</nav>")[0]
    assert "Log in with email and password</a>" in navigation
    assert "`" not in navigation
