"""What must be so before a node starts, or takes a new configuration."""

from __future__ import annotations

import os
from pathlib import Path

from xrv_node import settings as configuration
from xrv_node.errors import ConfigError, WeightsError
from xrv_node.settings import Settings


def check(settings: Settings, *, commissioning: bool) -> None:
    """Find what would keep the node from running, before it runs.

    Raises
    ------
    ConfigError
        A directory that cannot be written, or an operating point of what the classifier does not find.
    WeightsError
        Weights that are not there.
    """
    from xrv_node.models import catalog

    data_dir = settings.data_dir
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"node.data_dir: {data_dir} cannot be made ({error.strerror})") from error
    if not os.access(data_dir, os.W_OK):
        raise ConfigError(f"node.data_dir: {data_dir} is not writable for this user")
    views_from_pixels(settings)
    chosen = settings.models
    catalog.find(chosen.classifier, "classifier", settings.models_dir).with_thresholds(chosen.thresholds)
    if not commissioning:
        check_weights(settings)


def views_from_pixels(settings: Settings) -> bool:
    """Whether the worker can tell a view that the header leaves open: the view model's weights are there.

    Raises
    ------
    WeightsError
        No model of that kind has the configured name.
    """
    from xrv_node.models import catalog

    return catalog.find(settings.models.view, "attribute").weights_path(settings.models_dir).is_file()


def check_weights(settings: Settings) -> None:
    """Refuse to serve without weights, with the command that helps, or without codes for what they find.

    Raises
    ------
    WeightsError
        Naming each missing model.
    ConfigError
        Naming a finding that has no code, or a classifier or shadow that a node does not run.
    """
    from xrv_node import models
    from xrv_node.models import catalog
    from xrv_node.report import codes

    missing = models.missing(settings.models.needed, settings.models_dir)
    if missing:
        raise WeightsError(
            f"no weights for {', '.join(missing)} in {settings.models_dir}. Get them with",
            *(f"  xrv-node models pull {name}" for name in missing),
            "or, without internet, `xrv-node models import FILE`. To set up routes and screens first, "
            "`serve --commissioning` answers for phantoms, and for nothing else.",
        )
    # a network that was trained here may know findings without a code: found now, and not in its first report
    chosen = catalog.served(settings.models.classifier, "classifier", settings.models_dir)
    for label, _ in chosen.trained_heads:
        codes.finding(label)
    if settings.models.shadow.classifier:
        catalog.served(settings.models.shadow.classifier, "classifier", settings.models_dir)


def renewed(config: Path | None, before: Settings, *, commissioning: bool) -> Settings:
    """Read the configuration anew, and see that a node would run by it.

    Raises
    ------
    ConfigError, WeightsError
        Where it would not; or could not listen on a port that it did not have `before`.
    """
    from xrv_node.doctor import configuration as files
    from xrv_node.doctor.diagnosis import State
    from xrv_node.receive import server

    new = configuration.load(config)
    wrong = [f"{says}; {remedy}" for state, says, remedy in files.look(new) if state == State.FAIL]
    if wrong:
        raise ConfigError(*wrong)
    check(new, commissioning=commissioning)
    if new.receive.port != before.receive.port:
        server.require_free(new.receive)
    return new
