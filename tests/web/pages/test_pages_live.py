"""The trail as it grows, told to whoever listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from xrv_node.db import trail
from xrv_node.db.store import Store
from xrv_node.web.api import live
from xrv_node.web.api.live import Live


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.01)


def happened(store: Store, number: int) -> None:
    with store.begin() as db:
        for _ in range(number):
            trail.record(db, "node.stopped", clean=True)


async def numbers(events: AsyncIterator[Any], until: int) -> list[int]:
    found: list[int] = []
    async for event in events:
        if event.id is not None:
            found.append(int(event.id))
        if found and found[-1] >= until:
            break
    return found


def test_who_comes_back_gets_what_was_missed_and_then_what_happens(store: Store) -> None:
    async def listened() -> list[int]:
        reader = Live(store)
        listening = asyncio.create_task(numbers(reader.listen(1), 5))
        await asyncio.sleep(0)
        await asyncio.to_thread(happened, store, 2)
        return await asyncio.wait_for(listening, 30)

    happened(store, 3)
    assert asyncio.run(listened()) == [2, 3, 4, 5]


def test_many_who_listen_cost_what_one_does(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    behind = Live._behind
    monkeypatch.setattr(Live, "_behind", lambda self, after: looks.append(after) or behind(self, after))

    async def listened() -> list[list[int]]:
        reader = Live(store)
        all_of_them = [asyncio.create_task(numbers(reader.listen(None), 1)) for _ in range(200)]
        while reader._listeners < 200:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        looks.clear()
        await asyncio.to_thread(happened, store, 1)
        return await asyncio.wait_for(asyncio.gather(*all_of_them), 30)

    assert asyncio.run(listened()) == [[1]] * 200
    assert looks.count(0) <= len(looks) < 150  # one after the other, whoever listens
