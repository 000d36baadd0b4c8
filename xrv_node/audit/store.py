"""The database: engine, transactions, schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import alembic.command
import alembic.config
import alembic.runtime.migration
import alembic.script
import alembic.util
import sqlalchemy.exc
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.orm import Session

from xrv_node.audit.group import Group
from xrv_node.errors import ConfigError

T = TypeVar("T")

BUSY_SECONDS = 30
"""How long a writer waits for another: SQLite has one writer at a time."""


class Store:
    """The audit database.

    Parameters
    ----------
    url
        SQLAlchemy URL; SQLite is opened in WAL with ``synchronous=FULL``: in WAL the cheaper NORMAL may lose
        the last commits at a power cut, and a lost row is a lost study.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._sqlite = parsed.get_backend_name() == "sqlite"
        if self._sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _engine(url, sqlite=self._sqlite)
        self._group = Group(self.begin)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction that may write: committed at the end, rolled back on any exception.

        It takes SQLite's write lock at once (BEGIN IMMEDIATE): a read that is upgraded later would fail
        with SQLITE_BUSY instead of waiting.
        """
        engine = self.engine.execution_options(begin="IMMEDIATE")
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def together(self, action: Callable[[Session], T]) -> T:
        """Run a step in one transaction with those that other threads bring meanwhile (group commit).

        Returns
        -------
        T
            What `action` returned, once it is committed.

        Raises
        ------
        Exception
            What `action` or the commit raised; the steps beside it are committed all the same.
        """
        return self._group.run(action)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent snapshot that blocks nobody and keeps nothing."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def migrate(self) -> None:
        """Bring the schema up to date.

        Raises
        ------
        ConfigError
            When the database cannot be opened, or is newer than this program.
        """
        try:
            alembic.command.upgrade(self._alembic(), "head")
        except alembic.util.CommandError as error:
            raise ConfigError(
                f"database.url: the database was written by a newer xrv-node ({error}); upgrade xrv-node"
            ) from error
        except sqlalchemy.exc.DBAPIError as error:
            raise ConfigError(f"database.url: the database cannot be opened: {error.orig}") from error

    def require_current(self) -> None:
        """Check that the schema is the one this program knows, changing nothing.

        Raises
        ------
        ConfigError
            When there is no database yet or another version's.
        """
        wanted = alembic.script.ScriptDirectory.from_config(self._alembic()).get_current_head()
        try:
            with self.engine.connect() as connection:
                found = alembic.runtime.migration.MigrationContext.configure(
                    connection
                ).get_current_revision()
        except sqlalchemy.exc.DBAPIError as error:
            raise ConfigError(f"database.url: the database cannot be opened: {error.orig}") from error
        if found != wanted:
            state = "is empty" if found is None else f"has schema {found}, not {wanted}"
            raise ConfigError(
                f"the database {state}: `xrv-node serve` makes and upgrades it; check node.data_dir"
            )

    def _alembic(self) -> alembic.config.Config:
        config = alembic.config.Config()
        config.set_main_option("script_location", str(files("xrv_node.audit") / "migrations"))
        config.attributes["engine"] = self.engine
        return config

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: str, *, sqlite: bool) -> Engine:
    if not sqlite:
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
