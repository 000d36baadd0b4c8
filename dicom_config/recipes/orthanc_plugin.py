"""Orthanc sends each radiograph to xrv-node as it arrives, and sends it again later when that failed.

For Orthanc's Python plugin. It does the same as ``orthanc.lua``: use one of the two. The settings that go
with it: ``orthanc.json`` beside this file, with ``PythonScript`` in the place of ``LuaScripts``.
"""

import json
import threading
from typing import Any

import orthanc

NODE = "xrv-node"
"""The node's name in DicomModalities."""
MODALITIES = {"CR", "DX"}
"""What to send; the node itself tells frontal chests from the rest."""
MAKER = "xrv-node project"
"""Manufacturer (0008,0070) of the node's own results."""
PAUSE = 60.0
"""Seconds between rounds of second tries."""

stopped = threading.Event()


def get(path: str) -> Any:
    """What Orthanc's REST interface answers."""
    return json.loads(orthanc.RestApiGet(path))


def aet() -> str:
    """The node's AE title."""
    return str(get(f"/modalities/{NODE}/configuration")["AET"])


def is_wanted(instance: str) -> bool:
    """Whether an instance is a radiograph that is no result of the node.

    Results must not go round: not what the node sent, and not what it made and somebody else sent.
    """
    series = get(f"/instances/{instance}/series")["MainDicomTags"]
    if series.get("Modality") not in MODALITIES or series.get("Manufacturer") == MAKER:
        return False
    if "RemoteAET" not in get(f"/instances/{instance}/metadata"):
        return True  # it came over the web
    sender = orthanc.RestApiGet(f"/instances/{instance}/metadata/RemoteAET").decode()
    return bool(sender != aet())


def on_change(change: int, _level: int, resource: str) -> None:
    """React to what happens in Orthanc."""
    if change == orthanc.ChangeType.NEW_INSTANCE and is_wanted(resource):
        body = json.dumps({"Resources": [resource], "Asynchronous": True})
        orthanc.RestApiPost(f"/modalities/{NODE}/store", body)
    elif change == orthanc.ChangeType.ORTHANC_STARTED:
        threading.Thread(target=try_again, daemon=True).start()
    elif change == orthanc.ChangeType.ORTHANC_STOPPED:
        stopped.set()


def try_again() -> None:
    """Ask for failed jobs again, now and then: the node was down, or its disk was full."""
    while not stopped.wait(PAUSE):
        node = aet()
        for job in get("/jobs?expand"):
            ours = job["Type"] == "DicomModalityStore" and job["Content"]["RemoteAet"] == node
            if ours and job["State"] == "Failure":
                orthanc.RestApiPost(f"/jobs/{job['ID']}/resubmit", "{}")


orthanc.RegisterOnChangeCallback(on_change)
