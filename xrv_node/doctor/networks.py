"""The networks: their weights, and what they run on."""

from __future__ import annotations

import os

from xrv_node.db import queries
from xrv_node.db.store import Store
from xrv_node.doctor.diagnosis import Examined, Found, State
from xrv_node.errors import ConfigError, WeightsError


def models(node: Examined) -> Found:
    """Whether the weights are here and as they were imported, and the site's operating points are theirs."""
    from xrv_node.models import catalog, weights

    chosen, place = node.settings.models, node.settings.models_dir
    missing = weights.missing(chosen.needed, place)
    phantoms = node.has_record and _commissioning(node.store)
    if missing:
        remedy = catalog.remedy(*(catalog.find(name, directory=place) for name in missing))
        yield State.WARN if phantoms else State.FAIL, f"no weights of {', '.join(missing)}", remedy
    if phantoms:
        says = "COMMISSIONING: it was last started to answer for phantoms alone"
        yield State.WARN, says, "`xrv-node serve` without --commissioning answers for patients"
    for name in chosen.needed:
        entry = catalog.find(name, directory=place)
        if entry.name in missing:
            continue
        try:
            weights.verify(entry, place)
        except WeightsError as error:
            yield State.FAIL, str(error), f"`xrv-node models pull {name}` or `models import` again"
        else:
            yield State.OK, f"{name} is as it was imported", ""
    try:
        catalog.served(chosen.classifier, "classifier", place).with_thresholds(chosen.thresholds)
    except ConfigError as error:
        yield State.FAIL, str(error), "correct it under [models]"


def devices(node: Examined) -> Found:
    """What the networks would run on."""
    import torch

    from xrv_node.models.device import resolve_device

    try:
        device = resolve_device(node.settings.models.device)
    except ConfigError as error:
        yield State.FAIL, str(error), "correct models.device"
        return
    cores = len(os.sched_getaffinity(0))
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else f"{cores} cores"
    yield State.OK, f"{device}: {name}, torch {torch.__version__} with {torch.get_num_threads()} threads", ""


def _commissioning(store: Store) -> bool:
    with store.read() as db:
        return queries.commissioning(db)
