"""The index's database: its engine, transactions and schema. It is made anew where it is missing or
damaged."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import alembic.command
import alembic.config
import alembic.util
import structlog
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session

from xrv_node.db.store import engine_of, make_private
from xrv_node.errors import ConfigError
from xrv_node.index.listing import Chosen
from xrv_node.settings import Settings

log = structlog.get_logger("index")

BUSY_SECONDS = 10
"""How long a query waits for another process that writes."""

PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON", "case_sensitive_like=ON")
"""NORMAL may lose the last transactions at a power cut, which are then made again; a header that is removed
is overwritten, for it holds a patient's data."""

_BESIDE = ("", "-wal", "-shm")


class Index:
    """The index of one node.

    Parameters
    ----------
    url
        SQLAlchemy URL.
    root
        Of the spool, to which the rows' paths are relative.
    chosen
        Which results are listed.

    Raises
    ------
    ConfigError
        When the database cannot be opened, or is newer than this program.
    """

    def __init__(self, url: str, root: Path, chosen: Chosen) -> None:
        self.url, self.root, self.chosen = url, root, chosen
        self.turn = threading.Lock()
        """Of the thread that catches up."""
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # its text may quote the password
            raise ConfigError("web.index_url: this is no address of a database") from None
        sqlite = parsed.get_backend_name() == "sqlite"
        self.file = Path(parsed.database) if sqlite and parsed.database else None
        self._seen: int | None = None
        self._opening = threading.RLock()
        self._engine: Engine | None = None
        self._inode = 0
        self._suspect = False
        self._engine = self._open()

    @classmethod
    def open(cls, settings: Settings) -> Index:
        """Open the index of a node, made or upgraded where needed.

        Raises
        ------
        ConfigError
            As for the class.
        """
        return cls(settings.index_url, settings.data_dir, Chosen.by(settings))

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction that writes."""
        engine = self.engine.execution_options(begin="IMMEDIATE")
        with self._watched(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent snapshot."""
        with self._watched(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            self._suspect = self._suspect or is_damaged(error)
            raise

    @property
    def engine(self) -> Engine:
        """Of the file that is there now: another process may have made it anew."""
        with self._opening:
            if self._engine is None or self._is_another():
                self._engine = self._open()
            return self._engine

    @property
    def seen(self) -> int | None:
        """The event of the trail up to which this process knows that the index has everything; None where it
        has to look: at first, and where another process has made it anew."""
        return None if self._engine is None or self._is_another() else self._seen

    @seen.setter
    def seen(self, event: int | None) -> None:
        self._seen = event if self.file else None  # of another database nothing tells that it is another

    def mend(self) -> bool:
        """Make an empty database in place of one that a transaction found damaged; returns whether it did."""
        if not self._suspect:
            return False
        with self._opening:
            damaged, self._suspect = self._suspect and bool(self.complaints()), False
            if damaged:
                log.error("the index is damaged and made anew", file=str(self.file))
                self.renew()
            return damaged

    def complaints(self) -> list[str]:
        """What SQLite finds wrong with the file."""
        if self.file is None:
            return []
        try:
            with self.engine.connect() as connection:
                lines = connection.exec_driver_sql("PRAGMA quick_check").scalars()
                return [str(line) for line in lines if line != "ok"]
        except DBAPIError as error:
            return [str(error.orig)]

    def renew(self) -> None:
        """Remove the database and make an empty one."""
        with self._opening:
            self.close()
            self._remove()
            self._engine = self._open()

    def close(self) -> None:
        """Close all connections."""
        with self._opening:
            if self._engine is not None:
                self._engine.dispose()
            self._engine, self._seen = None, None

    def _is_another(self) -> bool:
        return self.file is not None and _inode(self.file) != self._inode

    def _open(self) -> Engine:
        with self._opening:
            self.close()
            try:
                engine = self._made()
            except DBAPIError as error:
                if not is_damaged(error):
                    raise ConfigError(
                        f"{self.file or 'web.index_url'}: the index cannot be opened ({error.orig})"
                    ) from error
                log.error("the index is damaged and made anew", file=str(self.file))
                self._remove()
                engine = self._made()
            self._inode, self._seen = _inode(self.file) if self.file else 0, None
            return engine

    def _made(self) -> Engine:
        if self.file:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_private(self.file)
        try:
            engine = engine_of(self.url, *PRAGMAS, busy_seconds=BUSY_SECONDS)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigError(f"web.index_url: its driver is not installed ({error})") from error
        try:
            alembic.command.upgrade(_alembic(engine), "head")
        except alembic.util.CommandError as error:
            engine.dispose()
            raise ConfigError(
                f"{self.file or 'web.index_url'}: the index was written by a newer xrv-node ({error}); "
                "upgrade xrv-node, or remove it: it is made anew"
            ) from error
        except BaseException:
            engine.dispose()
            raise
        return engine

    def _remove(self) -> None:
        if self.file is None:
            engine = engine_of(self.url, busy_seconds=BUSY_SECONDS)
            alembic.command.downgrade(_alembic(engine), "base")
            engine.dispose()
            return
        for end in _BESIDE:
            self.file.with_name(self.file.name + end).unlink(missing_ok=True)


def is_damaged(error: BaseException) -> bool:
    """Whether SQLite finds no database in the file, or a broken one."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _inode(file: Path) -> int:
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0


def _alembic(engine: Engine) -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(files("xrv_node.index") / "migrations"))
    config.attributes["engine"] = engine
    return config
