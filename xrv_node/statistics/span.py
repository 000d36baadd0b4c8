"""Days as a person names them, as times."""

from __future__ import annotations

from datetime import datetime, timedelta

DAYS = 30
"""That are counted where nothing else is asked for."""


def of_days(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """From the beginning of a day, and before the end of another, in this machine's time zone.

    Parameters
    ----------
    since, until
        Midnights without a time zone; None: `DAYS` ago, and today.
    """
    today = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    begin = (since or today - timedelta(days=DAYS)).astimezone()
    return begin, ((until or today) + timedelta(days=1)).astimezone()
