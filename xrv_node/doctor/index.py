"""Whether what is searched over HTTP is what the record has."""

from __future__ import annotations

from contextlib import closing

from xrv_node.doctor.diagnosis import Examined, Found, State
from xrv_node.errors import ConfigError
from xrv_node.index import compare, follow
from xrv_node.index.index import Index
from xrv_node.spool import Spool

_ANEW = "`xrv-node index rebuild` makes it anew"


def index(node: Examined) -> Found:
    """Compare the index with the record, once it has followed."""
    settings = node.settings
    if not node.has_record:
        return
    if not settings.web.index_url and not settings.index_file.exists():
        yield State.OK, "there is no index; the first search over HTTP makes it", ""
        return
    if complaint := compare.damage(settings):
        yield State.WARN, f"the index is damaged: {complaint}", f"{_ANEW}, as does the next search"
        return
    try:
        opened = Index.open(settings)
    except ConfigError as error:
        yield State.FAIL, str(error), _ANEW
        return
    with closing(opened) as there:
        if not follow.catch_up(there, node.store, Spool(settings.data_dir)):
            yield (
                State.WARN,
                "the index is being made; searches do not find everything yet",
                "look again later",
            )
            return
        found = compare.with_record(there, node.store)
    if found.wrong:
        says = f"the index lacks {found.missing} objects of the record and has {found.strange} that are not"
        yield State.FAIL, f"{says} in it", _ANEW
    else:
        yield State.OK, f"the index has all {found.objects} objects of the record", ""
