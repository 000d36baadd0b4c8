"""What holds for every page, whatever it is of."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import jinja2
import pytest

from xrv_node import templates
from xrv_node.product import NOTICE, VERSION

FOLDER = Path(str(files("xrv_node.templates")))


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A template beside the others, for this test alone."""
    loader = jinja2.ChoiceLoader([jinja2.FileSystemLoader(tmp_path), jinja2.FileSystemLoader(FOLDER)])
    monkeypatch.setattr(templates._environment(), "loader", loader)
    return tmp_path / "page.html"


def test_values_are_text(page: Path) -> None:
    page.write_text(
        """{% extends "base.html" %}{% from "macros.html" import field, row, table %}
        {% block content %}<p title="{{ said }}">{{ said }}</p>{{ field(said, said) }}
        {% call table([said]) %}{{ row(said) }}{% endcall %}{% endblock %}"""
    )
    said = """<script>"it's" & more</script>"""
    shown = templates.render("page.html", warning=said, said=said)
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;&#34;it&#39;s&#34; &amp; more&lt;/script&gt;") == 8


def test_a_value_that_is_not_given_is_an_error(page: Path) -> None:
    page.write_text("{{ forgotten }}")
    with pytest.raises(jinja2.UndefinedError, match="forgotten"):
        templates.render("page.html")


def test_every_page_says_what_this_program_is_not(page: Path) -> None:
    page.write_text("""{% extends "base.html" %}""")
    assert f"xrv-node {VERSION}. {NOTICE}" in templates.render("page.html", warning="")
    assert "warning" not in templates.render("page.html", warning="").partition("</style>")[2]


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.html")), ids=lambda path: path.name)
def test_no_template_lets_markup_through_or_runs_a_script(path: Path) -> None:
    ours = re.sub(r'<script type="module" src="/static/[a-z]+\.js"></script>', "", path.read_text())
    assert not re.search(r"\|\s*safe\b|autoescape|<script|\bon[a-z]+=|javascript:", ours)
