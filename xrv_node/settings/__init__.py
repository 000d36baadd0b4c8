"""The node's configuration: one TOML file, each key also an environment variable.

It is checked before anything starts. The commented default is ``dicom_config/node.toml``. Unknown keys are
errors: a misspelt key that is silently ignored is a route that silently does not work.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from xrv_node import languages
from xrv_node.errors import ConfigError
from xrv_node.settings import variables
from xrv_node.settings.alerts import OF_PATIENTS, Alert
from xrv_node.settings.archives import Archive, FetchSection, all_of
from xrv_node.settings.audit import AuditSection
from xrv_node.settings.complaints import complaint, keys_of
from xrv_node.settings.constancy import ConstancySection
from xrv_node.settings.destinations import (
    Destination,
    DestinationSection,
    DimseDestination,
    PeerSection,
    ReplyDestination,
    replies,
)
from xrv_node.settings.node import (
    DatabaseSection,
    FrontalSection,
    LogSection,
    ModelsSection,
    NodeSection,
    StudySection,
)
from xrv_node.settings.priority import PrioritySection
from xrv_node.settings.priors import LocalPriors, Priors
from xrv_node.settings.receive import ReceiveSection
from xrv_node.settings.retention import RetentionSection
from xrv_node.settings.section import below, named
from xrv_node.settings.web import WebSection

ENV_PREFIX = "XRV_NODE__"
CONFIG_VARIABLE = "XRV_NODE_CONFIG"


class Settings(BaseSettings):
    """Everything the node can be told. See ``dicom_config/node.toml`` for what each key means."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    node: NodeSection = NodeSection()
    receive: ReceiveSection = ReceiveSection()
    study: StudySection = StudySection()
    frontal: FrontalSection = FrontalSection()
    models: ModelsSection = ModelsSection()
    destinations: tuple[Destination, ...] = ()
    peers: tuple[PeerSection, ...] = ()
    priority: tuple[PrioritySection, ...] = ()
    priors: Priors = LocalPriors()
    archives: tuple[Archive, ...] = ()
    fetch: FetchSection = FetchSection()
    database: DatabaseSection = DatabaseSection()
    audit: AuditSection = AuditSection()
    retention: RetentionSection = RetentionSection()
    constancy: ConstancySection = ConstancySection()
    alerts: tuple[Alert, ...] = ()
    web: WebSection = WebSection()
    log: LogSection = LogSection()

    _written: frozenset[tuple[str, ...]] = PrivateAttr(frozenset())

    @property
    def written(self) -> frozenset[tuple[str, ...]]:
        """The keys that the file has, from the outermost table on; of several tables by number."""
        return self._written

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and dict(self) == dict(other)  # whoever wrote what is in force

    __hash__ = BaseSettings.__hash__

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file: a container is configured without editing it."""
        return (env_settings, init_settings)

    @model_validator(mode="after")
    def _one_name_each(self) -> Settings:
        for table, tables in (
            ("destinations", self.destinations),
            ("peers", self.peers),
            ("archives", self.all_archives),
            ("alerts", self.alerts),
        ):
            names = [one.name for one in tables]
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"two {table} are named {twice[0]}: give each its own name")
        return self

    @model_validator(mode="after")
    def _peers_to_reply_to(self) -> Settings:
        known = sorted({p.ae_title for p in self.peers})
        for destination in self.destinations:
            if not isinstance(destination, ReplyDestination):
                continue
            if not known:
                raise ValueError("a reply destination needs [[peers]]: whom to reply to, and where")
            if strange := sorted(set(destination.when.calling_ae) - set(known)):
                raise ValueError(
                    f"destinations.{destination.name}.when.calling_ae: {strange[0]} is none of the [[peers]] "
                    f"({', '.join(known)})"
                )
        return self

    @model_validator(mode="after")
    def _a_phantom_finds_its_way(self) -> Settings:
        known = [d.name for d in self.destinations]
        if strange := [name for name in self.constancy.destinations if name not in known]:
            raise ValueError(
                f"constancy.destinations: {strange[0]} is none of the destinations "
                f"({', '.join(known) or 'none'})"
            )
        if self.constancy.at and not self.receive.port:
            raise ValueError("constancy.at: the node sends to its own port: give receive.port a number")
        if self.constancy.at and (remedy := self.receive.keeps_itself_out(self.phantom_caller)):
            raise ValueError(f"constancy.at: the node does not let itself in: {remedy}")
        return self

    @property
    def phantom_caller(self) -> str:
        """What the node calls itself when it sends itself a phantom."""
        receive = self.receive
        return self.constancy.calling_ae or next(iter(receive.allowed_calling_ae), receive.ae_title)

    @property
    def data_dir(self) -> Path:
        """The directory that holds all state."""
        return self.node.data_dir

    @property
    def models_dir(self) -> Path:
        """Where the weights are read from."""
        return self.models.dir or self.data_dir / "models"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the audit database."""
        return self.database.url or f"sqlite:///{self.data_dir / 'xrv-node.sqlite'}"

    @property
    def index_url(self) -> str:
        """SQLAlchemy URL of the index."""
        return self.web.index_url or f"sqlite:///{self.index_file}"

    @property
    def index_file(self) -> Path:
        """Where the index lies unless its URL says otherwise."""
        return self.data_dir / "index.sqlite"

    @property
    def committing(self) -> tuple[DimseDestination, ...]:
        """The destinations that are asked for storage commitment."""
        return tuple(d for d in self.destinations if isinstance(d, DimseDestination) and d.commitment)

    def keeps_back(self, destination: DestinationSection) -> bool:
        """Whether nothing leaves for a destination: its results are made and kept."""
        return self.node.silent or not destination.active

    @property
    def web_taker(self) -> DestinationSection:
        """What the node over HTTP wants of results; it speaks as the first destination does, unless told."""
        return self.web.taker(next((d.language for d in self.destinations), languages.ENGLISH))

    @property
    def heard(self) -> tuple[Alert, ...]:
        """The alerts; those of a silent node tell nothing of what the networks say."""
        if not self.node.silent:
            return self.alerts
        return tuple(
            alert.model_copy(update={"on": tuple(what for what in alert.on if what not in OF_PATIENTS)})
            for alert in self.alerts
        )

    def alert(self, name: str) -> Alert:
        """The alert of that name.

        Raises
        ------
        ConfigError
            When there is none.
        """
        return named("alert", self.alerts, name)

    @property
    def all_archives(self) -> tuple[Archive, ...]:
        """What studies are fetched from: ``[[archives]]``, and the one of ``[priors]`` under that name."""
        return all_of(self.archives, self.priors)

    def archive(self, name: str) -> Archive:
        """The archive of that name.

        Raises
        ------
        ConfigError
            When there is none.
        """
        return named("archive", self.all_archives, name)

    def destination(self, name: str) -> Destination:
        """The destination of that name.

        Raises
        ------
        ConfigError
            When there is none.
        """
        return named("destination", self.destinations, name)


def default_text(*, report_skipped: str = "false") -> str:
    """The commented default configuration, as ``xrv-node init`` writes it.

    Parameters
    ----------
    report_skipped
        The value of that key, as TOML has it.
    """
    text = (files("dicom_config") / "node.toml").read_text(encoding="utf-8")
    line = "report_skipped = false".ljust(34)
    return text.replace(line, f"report_skipped = {report_skipped}".ljust(34), 1)


def find(path: Path | None) -> Path | None:
    """The configuration file to use: the one given, ``$XRV_NODE_CONFIG``, ``./node.toml``, or none."""
    if path is not None:
        return path
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    here = Path("node.toml")
    return here if here.is_file() else None


def load(path: Path | None = None) -> Settings:
    """Read and check the configuration.

    Parameters
    ----------
    path
        The TOML file; see :func:`find` for what is used when it is None.

    Raises
    ------
    ConfigError
        With one line for each thing that is wrong: file, key, and what is accepted.
    """
    file = find(path)
    table: dict[str, Any] = {}
    if file is not None:
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"{file}: cannot be read ({error.strerror}); `xrv-node init` writes one to start from"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: not valid TOML: {error}") from error
    _unknown_variables()
    try:
        settings = Settings(**table)
    except ValidationError as error:
        raise ConfigError(*(_line(one, file, table) for one in error.errors())) from error
    except (
        ValueError
    ) as error:  # pydantic-settings: an environment value that is not JSON where a list is needed
        if variable := variables.no_json(error, ENV_PREFIX):
            says = 'a list or a table is needed here, in JSON, for example ["PACS"]'
            raise ConfigError(f"environment: {variable}: {says}") from error
        raise ConfigError(f"environment: {error}") from error
    settings._written = frozenset(_leaves(table))
    found = _in_force(settings, file.resolve().parent if file else Path.cwd())
    try:
        _speak(found)
    except ConfigError as error:
        raise ConfigError(f"{file or 'environment'}: {error}") from error
    return found


def _leaves(value: Any, *keys: str) -> Iterator[tuple[str, ...]]:
    """The keys of a table that hold no table."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, *keys, str(key))
    else:
        yield keys


def _speak(settings: Settings) -> None:
    """Let the process know the site's own languages, and see that there are those that are asked for."""
    folder = settings.node.languages_dir
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"node.languages_dir: {folder} is no folder")
    languages.use(folder)
    for table, tables in (("destinations", settings.destinations), ("alerts", settings.alerts)):
        for one in tables:
            try:
                languages.table(one.language)
            except ConfigError as error:
                raise ConfigError(f"{table}.{one.name}.language: {error}") from error


def _line(error: ErrorDetails, file: Path | None, table: dict[str, Any]) -> str:
    """What is wrong, behind where it stands: in a variable, which wins over the file, or there."""
    if variable := variables.behind(keys_of(Settings, error), ENV_PREFIX):
        return f"environment: {variable}: {complaint(Settings, error)}"
    return f"{file or 'environment'}: {complaint(Settings, error, table)}"


def _unknown_variables() -> None:
    """Complain of ``XRV_NODE__...`` variables that name no table (pydantic-settings ignores them)."""
    known = tuple(f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields)
    for variable in os.environ:
        if variable.upper().startswith(ENV_PREFIX) and not any(
            variable.upper() == k or variable.upper().startswith(k + "__") for k in known
        ):
            raise ConfigError(
                f"environment: {variable} names no table; accepted: {', '.join(Settings.model_fields)}"
            )


def _in_force(settings: Settings, base: Path) -> Settings:
    """With a destination of each peer that is replied to, and every path absolute, relative ones from the
    file's own directory: a service starts in ``/``."""
    destinations = replies(settings.destinations, settings.peers)
    made: Settings = below(settings.model_copy(update={"destinations": destinations}), base)
    return made
