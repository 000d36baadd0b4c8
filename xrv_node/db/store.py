"""The database: engine, transactions, schema."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import alembic.command
import alembic.config
import alembic.runtime.migration
import alembic.script
import alembic.util
import sqlalchemy.exc
import structlog
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.orm import Session

from xrv_node.db import backup
from xrv_node.db.group_commit import GroupCommit
from xrv_node.errors import ConfigError
from xrv_node.reasons import Reason

log = structlog.get_logger("audit")

T = TypeVar("T")

_OTHERS = 0o007
"""Of a mode: what everybody may."""

BUSY_SECONDS = 30
"""How long a writer waits for another: SQLite has one writer at a time."""

LASTING = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
"""Of a database that nothing may be lost of."""


class Store:
    """The audit database.

    Parameters
    ----------
    url
        SQLAlchemy URL; SQLite is opened in WAL with ``synchronous=FULL``: in WAL the cheaper NORMAL may lose
        the last commits at a power cut, and a lost row is a lost study.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # its text may quote the password
            raise ConfigError("database.url: this is no address of a database") from None
        self._sqlite = parsed.get_backend_name() == "sqlite"
        self._file = Path(parsed.database) if self._sqlite and parsed.database else None
        if self._file:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_private(self._file)
        try:
            self.engine = engine_of(url, *LASTING, busy_seconds=BUSY_SECONDS)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigError(f"database.url: its driver is not installed ({error})") from error
        self._group = GroupCommit(self.begin)

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
        context = copy_context()  # another thread may run the step: whose it is stays so
        return self._group.run(lambda db: context.run(action, db))

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent snapshot that blocks nobody and keeps nothing."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def migrate(self) -> None:
        """Bring the schema up to date; a database that has rows already is copied first, where it is a file.

        Raises
        ------
        ConfigError
            When the database cannot be opened or copied, or is newer than this program.
        """
        found = self.revision()
        try:
            if found is not None and self._is_behind(found):
                self._back_up(found)
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
        found, wanted = self.revision(), self._scripts().get_current_head()
        if found != wanted:
            state = "is empty" if found is None else f"has schema {found}, not {wanted}"
            raise ConfigError(
                f"the database {state}: `xrv-node serve` makes and upgrades it; check node.data_dir"
            )

    def revision(self) -> str | None:
        """The schema that the database has; None while it is empty.

        Raises
        ------
        ConfigError
            When the database cannot be opened.
        """
        try:
            with self.engine.connect() as connection:
                context = alembic.runtime.migration.MigrationContext.configure(connection)
                return context.get_current_revision()
        except sqlalchemy.exc.DBAPIError as error:
            raise ConfigError(f"database.url: the database cannot be opened: {error.orig}") from error

    def integrity(self) -> list[str]:
        """What SQLite finds wrong with its file, a line each; PostgreSQL looks after its own."""
        if not self._sqlite:
            return []
        with self.engine.connect() as connection:
            lines = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
            return [str(line) for line in lines if line != "ok"]

    def _is_behind(self, found: str) -> bool:
        """Whether `found` is an older schema of ours (an unknown one is for Alembic to refuse)."""
        ours = [script.revision for script in self._scripts().walk_revisions()]  # the newest first
        return found in ours[1:]

    def _back_up(self, found: str) -> None:
        if not self._file:
            log.warning("the schema is upgraded without a backup: back PostgreSQL up yourself", schema=found)
            return
        try:
            copy = backup.before_upgrade(self._file, found)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"{self._file.parent / 'backups'}: the database cannot be copied there before its upgrade "
                f"({getattr(error, 'strerror', None) or error}); make room or give this user the directory"
            ) from error
        log.info("the schema is upgraded; a copy of the database is kept", schema=found, copy=str(copy))

    def _scripts(self) -> alembic.script.ScriptDirectory:
        return alembic.script.ScriptDirectory.from_config(self._alembic())

    def _alembic(self) -> alembic.config.Config:
        config = alembic.config.Config()
        config.set_main_option("script_location", str(files("xrv_node.db") / "migrations"))
        config.attributes["engine"] = self.engine
        return config

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def make_private(file: Path) -> None:
    """Make a database that is not there yet as a file of its user alone, as all others are; SQLite gives the
    files beside it the same mode. Of one that is there, what others may is taken away."""
    with suppress(OSError):  # of another user; that it cannot be opened is said where it is
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        if file.stat().st_mode & _OTHERS:
            file.chmod(file.stat().st_mode & 0o770)


def no_room(error: BaseException) -> Reason | None:
    """Say, of an exception, which disk is full; None when it has another cause.

    Told by errno of the operating system, SQLite's result code, and PostgreSQL's SQLSTATE 53100 (disk_full).
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Reason("data-disk-full")
    cause = getattr(error, "orig", None)
    if (
        getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        or getattr(cause, "sqlstate", None) == "53100"
    ):
        return Reason("database-disk-full")
    return None


def is_busy(error: BaseException | None) -> bool:
    """Whether another process held the database's lock for longer than `BUSY_SECONDS`."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY  # extended codes have their kind in the low byte


def engine_of(url: str, *pragmas: str, busy_seconds: float) -> Engine:
    """Return an engine whose transactions begin as their connection's option ``begin`` says.

    Parameters
    ----------
    pragmas
        For each connection, where it is SQLite.
    busy_seconds
        How long such a connection waits for a lock.
    """
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": busy_seconds})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        mode = connection.get_execution_options().get("begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
