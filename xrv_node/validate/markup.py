"""The pieces of a validation's page: tables, figures, notes, numbers with intervals."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

from xrv_node.validate.intervals import Estimate

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 64rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #1b1f24 }
table { border-collapse: collapse; margin: .6rem 0; font-size: .87rem }
th, td { text-align: right; padding: .22rem .55rem; border-bottom: 1px solid #d8dee4; vertical-align: top }
th:first-child, td:first-child, table.words td { text-align: left }
table.words th { width: 15rem } thead th { border-bottom: 1px solid #1b1f24 }
thead { display: table-header-group } tr, figure { break-inside: avoid } h2, h3 { break-after: avoid }
figure { margin: .8rem 0 } img { max-width: 100% } .note { color: #57606a; font-size: .87rem }
.warning { border: 2px solid #a40e26; color: #a40e26; padding: .5rem .8rem; font-weight: 600 }
code { font-size: .82rem; overflow-wrap: anywhere } small { color: #57606a; white-space: nowrap }
@media print { body { max-width: none; margin: 0; font-size: 11px } }
"""


def document(title: str, parts: Iterable[str]) -> str:
    """Return a whole page of parts that are markup; empty ones leave nothing."""
    body = "\n".join(filter(None, parts))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of cells that are markup."""
    titles = "".join(f"<th>{title}</th>" for title in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


def fields(rows: Iterable[tuple[str, str]]) -> str:
    """Return names with their values, which are markup."""
    lines = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows)
    return f'<table class="words">{lines}</table>'


def figure(svg: bytes, words: str) -> str:
    """Return a picture, which carries its bytes; `words` are for whoever cannot see it."""
    data = base64.b64encode(svg).decode()
    return f'<figure><img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}"></figure>'


def note(words: str) -> str:
    """Return what has to be known of the figures above; `words` are text."""
    return f'<p class="note">{escape(words, quote=False)}</p>'


def plain(label: str) -> str:
    """Return torchxrayvision's label for people."""
    return escape(label.replace("_", " "))


def figure_of(estimate: Estimate | None) -> str:
    """Return a figure with its interval; empty where it is not defined."""
    if estimate is None or estimate.value is None:
        return ""
    return f"{estimate.value:.3f} {interval(estimate)}".rstrip()


def interval(estimate: Estimate) -> str:
    """Return the ends of an interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"<small>({estimate.low:.3f} to {estimate.high:.3f})</small>"


def percent(estimate: Estimate) -> str:
    """Return a share with its interval."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return ""
    return f"{estimate.value:.1%} <small>({estimate.low:.0%} to {estimate.high:.0%})</small>"


def number(value: float | None, form: str = ".2f") -> str:
    """Return a number, or nothing."""
    return "" if value is None else format(value, form)
