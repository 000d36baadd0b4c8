"""Batches of fresh images and of some that were seen before: drawing an image takes as long as learning it.

Which images are in a batch depends on the seed and the step alone, not on how fast they come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from xrv_node.lab.train.steps.drawing import Example, Order, Origin, filled
from xrv_node.lab.train.steps.plan import Plan


def batches(plan: Plan, origin: Origin, first: int) -> Iterator[list[Example]]:
    """Yield the images of each step.

    Parameters
    ----------
    plan
        ``steps``, ``batch``, ``fresh``, ``memory``, ``seed`` and ``processes``.
    origin
        Of the images.
    first
        The step to begin with; what was kept before it is made again.

    Yields
    ------
    list of Example
        ``batch`` images: ``fresh`` new ones, and others of the last ``memory``. While there are too few of
        those, images are in a batch more than once.
    """
    seen = -(-plan.memory // plan.fresh)  # steps whose images are still kept
    begin = max(0, first - seen)
    orders = (
        Order(origin, plan.kind, step * plan.fresh, (step + 1) * plan.fresh)
        for step in range(begin, plan.steps)
    )
    kept: deque[Example] = deque(maxlen=seen * plan.fresh)
    for step, fresh in enumerate(filled(orders, plan.processes), begin):
        kept.extend(fresh)
        if step < first:
            continue
        random = np.random.default_rng((plan.seed, step))
        again, older = plan.batch - plan.fresh, len(kept) - len(fresh)
        few = older < again
        chosen = random.choice(len(kept) if few else older, again, replace=few).tolist()
        yield [*fresh, *(kept[number] for number in chosen)]
