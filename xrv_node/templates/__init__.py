"""The pages that people read, as templates, and how they are filled.

Every value is escaped: markup in it is shown and never counts. A name that a template asks for and nobody
gave is an error.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from xrv_node.product import NOTICE, VERSION


def render(name: str, **values: object) -> str:
    """Fill a template.

    Parameters
    ----------
    name
        Of a file in this folder.
    values
        What it asks for: plain values, and no markup.

    Raises
    ------
    jinja2.TemplateError
        There is no such template, or it asks for what is not among the values.
    """
    return _environment().get_template(name).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("xrv_node"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": _plain, "number": _number}
    environment.globals |= {"notice": NOTICE, "version": VERSION}
    return environment


def _plain(label: str) -> str:
    """torchxrayvision's label for people."""
    return label.replace("_", " ")


def _number(value: float | None, form: str) -> str:
    """A number in a format of Python's, or nothing."""
    return "" if value is None else format(value, form)
