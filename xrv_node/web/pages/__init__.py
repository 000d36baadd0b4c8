"""The pages for people: ``places.py`` what is looked at, ``acts.py`` what is asked for, ``fetches.py`` and
``people.py`` both of theirs, ``files.py`` what pages load, ``frame.py`` what all of them have."""

from __future__ import annotations

from fastapi import APIRouter

from xrv_node.web.pages import acts, fetches, files, people, places

router = APIRouter(include_in_schema=False)
for _part in (files, places, acts, fetches, people):
    router.include_router(_part.router)
