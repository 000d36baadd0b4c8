"""Studies that were reported and delivered long ago, and what is left of them."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analysed import Site, image
from sqlalchemy import update

from xrv_node.db.tables import Delivery, Job, Study
from xrv_node.retention import purge
from xrv_node.settings import Settings


def files(site: Site) -> list[str]:
    """What is in the spool."""
    return sorted(site.spool.relative(p) for p in (site.spool.root / "spool").rglob("*") if p.is_file())


def kinds(site: Site) -> set[str]:
    """Which of its directories have files."""
    return {path.split("/")[1] for path in files(site)}


def age(site: Site, days: float) -> None:
    """Let time pass since everything."""
    then = datetime.now(UTC) - timedelta(days=days)
    with site.store.begin() as db:
        db.execute(update(Study).values(received_at=then))
        db.execute(update(Study).where(Study.reported_at.is_not(None)).values(reported_at=then))


def aged(path: Path, seconds: float) -> Path:
    """Let time pass since a file was written."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def done(site: Site, study: int = 1, *, images: int = 2, days: float = 40) -> None:
    """A study that was reported and delivered so many days ago."""
    site.analyse(*(image(study, number=n) for n in range(1, images + 1)))
    site.report(study)
    delivered(site)
    age(site, days)


def delivered(site: Site) -> None:
    """Say that the destination has everything."""
    with site.store.begin() as db:
        db.execute(update(Delivery).values(state="delivered"))
        db.execute(update(Job).where(Job.kind == "deliver").values(state="done"))


def expire(site: Site, **days: int) -> int:
    """Purge as the courier does; what is not named is kept for ever."""
    kept = {"inputs_days": 0, "results_days": 0} | days
    return purge.expire(Settings(retention=kept), site.store, site.spool)
