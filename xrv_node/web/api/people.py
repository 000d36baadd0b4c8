"""Who may come over HTTP: people and tokens, and how to let one in no more."""

from __future__ import annotations

from typing_extensions import TypedDict

from xrv_node.db.rows import WebTokenRow, WebUserRow
from xrv_node.settings.access import Role
from xrv_node.web.access import tokens, users
from xrv_node.web.node import WebNode


class Access(TypedDict):
    """Who may come, as ``xrv-node users list`` and ``tokens list`` have it."""

    users: list[WebUserRow]
    tokens: list[WebTokenRow]


def access(node: WebNode) -> Access:
    """All people and tokens, and nothing that could be shown in their place."""
    with node.store.read() as db:
        return {"users": users.everybody(db), "tokens": tokens.all_of_them(db)}


def revoke(node: WebNode, token: str) -> None:
    """Let nobody in with a token any more.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    with node.store.begin() as db:
        tokens.revoke(db, token)


def remove(node: WebNode, user: str) -> None:
    """Let a person in no more; the person's sessions end.

    Raises
    ------
    ConfigError
        There is no such person.
    """
    with node.store.begin() as db:
        users.remove(db, user)


def change(node: WebNode, user: str, role: Role) -> None:
    """Let a person do more, or less; the person's sessions end.

    Raises
    ------
    ConfigError
        There is no such person.
    """
    with node.store.begin() as db:
        users.set_role(db, user, role)
