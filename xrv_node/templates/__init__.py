"""The pages that people read, as templates, and how they are filled.

Every value is escaped: markup in it is shown and never counts. A name that a template asks for and nobody
gave is an error.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from xrv_node.documents import words
from xrv_node.product import NOTICE, VERSION
from xrv_node.reasons import revived


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
    environment.filters |= {
        "plain": _plain,
        "number": _number,
        "words": words,
        "revived": revived,
        "utc": _utc,
        "moment": _moment,
        "day": _day,
        "day_before": _day_before,
        "span": _span,
        "size": _size,
        "person": _person,
        "dicom_day": _dicom_day,
    }
    environment.globals |= {"notice": NOTICE, "version": VERSION}
    return environment


def _plain(label: str) -> str:
    """torchxrayvision's label for people."""
    return label.replace("_", " ")


def _number(value: float | None, form: str) -> str:
    """A number in a format of Python's, or nothing."""
    return "" if value is None else format(value, form)


def _utc(at: datetime) -> str:
    """A time as HTML has it."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _moment(at: str) -> str:
    """A time of the trail as the commands print it, in this machine's zone."""
    return words(datetime.fromisoformat(at))


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _day_before(at: datetime) -> str:
    return f"{at - timedelta(days=1):%Y-%m-%d}"


def _span(seconds: float) -> str:
    """How long something takes, in the largest unit that it fills, e.g. ``3.2 min``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _size(number: float) -> str:
    """Bytes, in GiB or MiB."""
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"


def _person(name: str) -> str:
    """A Patient's Name (PS3.5 6.2, VR PN) as people write it."""
    family, _, given = name.partition("=")[0].partition("^")
    return ", ".join(part for part in (family.strip(), given.replace("^", " ").strip()) if part)


def _dicom_day(day: str) -> str:
    """A date (PS3.5 6.2, VR DA) with dashes; anything else as it is."""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 and day.isdecimal() else day
