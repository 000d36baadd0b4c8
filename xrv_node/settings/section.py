"""What the configuration's tables are made of: a strict table, and checked texts, numbers and paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.fields import FieldInfo

from xrv_node.errors import ConfigError


def _ae_title(value: str) -> str:
    """1 to 16 printable ASCII characters, no backslash, not only spaces (PS3.5 6.2, VR AE)."""
    title = value.strip(" ")
    if not 1 <= len(title) <= 16 or not all(" " <= c <= "~" and c != "\\" for c in title):
        raise ValueError("an AE title is 1 to 16 printable ASCII characters without backslash")
    return title


def _home(value: Any) -> Any:
    return os.path.expanduser(value) if isinstance(value, str) else value


AETitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=0, le=65535)]
"""To listen on; 0: any that is free."""
PeerPort = Annotated[int, Field(ge=1, le=65535)]
"""To connect to."""
ProxyUrl = Annotated[
    str,
    Field(pattern=r"^https?://[^\s/@?#]+/?$", description="an address such as http://proxy:3128"),
]
"""Of a proxy that a service is reached by; none of the environment's is used."""
OneIn = bool | Annotated[int, Field(ge=2, le=10000)]
"""All, none, or one in so many."""
PathText = Annotated[Path, BeforeValidator(_home)]
PathOrEmpty = Annotated[Path | None, BeforeValidator(lambda value: _home(value) or None)]
"""None where the file has an empty text."""


class Section(BaseModel):
    """A table of the file. Frozen, and strict about keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, table: Any) -> Any:
        """``true`` counts as 1 in Python; as text it is refused where a number is needed."""
        if not isinstance(table, dict):
            return table
        numbers = {field.alias or name for name, field in cls.model_fields.items() if _is_number(field)}
        return {
            key: str(value).lower() if isinstance(value, bool) and key in numbers else value
            for key, value in table.items()
        }


def _is_number(field: FieldInfo) -> bool:
    return bool({int, float} & {field.annotation, *get_args(field.annotation)})


def kinds(table: Any) -> dict[str, type[Section]]:
    """The section class of each kind of a table that has kinds, of the type that the table is declared as."""
    union, *_ = get_args(table)
    return {section.model_fields["kind"].default: section for section in get_args(union)}


class Named(Protocol):
    """One of several tables."""

    @property
    def name(self) -> str:
        """By which it is known."""
        ...


N = TypeVar("N", bound=Named)


def named(what: str, tables: Sequence[N], name: str) -> N:
    """The one of that name.

    Parameters
    ----------
    what
        What a table of them is called, for messages.

    Raises
    ------
    ConfigError
        When there is none.
    """
    for one in tables:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in tables) or "none"
    raise ConfigError(f"there is no {what} named {name!r}; configured: {known}")


def below(value: Any, base: Path) -> Any:
    """The same with every relative path, also of the tables in it, below `base`."""
    if isinstance(value, Path):
        return base / value
    if isinstance(value, tuple):
        return tuple(below(one, base) for one in value)
    if isinstance(value, BaseModel):
        return value.model_copy(update={key: below(one, base) for key, one in value})
    return value


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """Read an address of a peer: without its zone, and as IPv4 where it is one in IPv6.

    Raises
    ------
    ValueError
        It is no IP address.
    """
    found = ip_address(text.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found
