"""The pieces of a validation's page: tables, figures, notes, numbers with intervals."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

from xrv_node.lab.statistics.intervals import Estimate

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #57606a; --line: #d8dee4;
  --bad: #a40e26; --look: #8a4600; --good: #1a6b34;
  --blue: #0550ae }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #9aa4af;
  --line: #30363d; --bad: #ff8d8d; --look: #f0b35e; --good: #6fcf8a; --blue: #6cb6ff } }
@media screen and (prefers-color-scheme: dark) { figure img { filter: invert(.93) hue-rotate(180deg) } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 74rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h3 { font-size: 1rem }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid var(--ink) }
a { color: inherit } .scroll, figure { overflow-x: auto }
table { border-collapse: collapse; margin: .6rem 0; font-size: .87rem }
th, td { text-align: right; padding: .22rem .45rem; border-bottom: 1px solid var(--line);
  vertical-align: top }
th:first-child, td:first-child, td.words, table.words td { text-align: left }
td:has(svg), th:has(.now) { text-align: left } td { white-space: nowrap }
td.words, table.words td { white-space: normal }
table.words th { min-width: 8rem; vertical-align: top } thead th { border-bottom: 1px solid var(--ink);
  vertical-align: bottom } thead { display: table-header-group } tr { break-inside: avoid }
figure { margin: .8rem 0; break-inside: avoid } figure img { max-width: max(100%, 40rem) }
h2, h3 { break-after: avoid }
.note { color: var(--soft); max-width: 66rem } .note, dl { font-size: .87rem }
dl { columns: 24rem; column-gap: 2.5rem } dt { font-weight: 600; break-after: avoid }
dd { color: var(--soft); margin: 0 0 .6rem; break-inside: avoid }
.warning { position: sticky; top: 0; background: var(--paper); border: 2px solid var(--bad);
  color: var(--bad); padding: .5rem .8rem; font-weight: 600; z-index: 1 }
.bad { color: var(--bad); font-weight: 600 } .look { color: var(--look); font-weight: 600 }
.good { color: var(--good) } .then { fill: var(--soft); color: var(--soft) }
.now { fill: var(--blue); color: var(--blue) } code { font-size: .82rem; overflow-wrap: anywhere }
small { color: var(--soft) }
@media print { :root { --ink: #000; --paper: #fff; --soft: #444; --line: #bbb; --bad: #a40e26;
    --look: #8a4600; --good: #1a6b34; --blue: #0550ae }
  body { max-width: none; margin: 0; padding: 0; font-size: 10px } .scroll, figure { overflow: visible }
  figure img { max-width: 100% } @page { margin: 1.2cm 1cm 1.8cm } th, td { padding: .15rem .3rem }
  .warning { position: static } }
"""
"""Colours by the reader's light or dark, each at 4.5 : 1 or more on its paper (WCAG 2.2, 1.4.3)."""


def document(title: str, heading: str, warning: str, parts: Iterable[str]) -> str:
    """Return a whole page.

    Parameters
    ----------
    title, heading, warning
        Text. A warning stays in sight while the page is scrolled, and stands on every printed page where the
        browser knows margin boxes (CSS Paged Media, section 4); empty: none.
    parts
        Markup, one below the other; empty ones leave nothing.
    """
    body = "\n".join((f"<h1>{escape(heading)}</h1>", *filter(None, parts)))
    style = STYLE
    if warning:
        body = f'<p class="warning">{escape(warning)}</p>\n{body}'
        style += (
            f'@page {{ @bottom-center {{ content: "{warning}"; color: #a40e26; font: 600 9pt sans-serif }} }}'
        )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of cells that are markup."""
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def fields(rows: Iterable[tuple[str, str]]) -> str:
    """Return names with their values, which are markup."""
    lines = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in rows)
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
