"""C-ECHO to this machine's own receiver, as it is configured: the health check of a container."""

import sys

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.sop_class import Verification

from xrv_node import settings
from xrv_node.deliver import association, way
from xrv_node.errors import XrvNodeError
from xrv_node.network.terms import Terms
from xrv_node.network.wire import BrokenOffError

SECONDS = 10
"""For everything; an engine gives the check a little more."""


def main() -> int:
    """Print what the receiver answers; 0 when it answers Success."""
    try:
        loaded = settings.load()
        title = next(iter(loaded.receive.allowed_calling_ae), "HEALTH")
        own = way.to_itself(loaded, title)
        contexts = [(str(Verification), [ExplicitVRLittleEndian])]
        opened = association.open_peer(own.peer, title, contexts, Terms(total=SECONDS), own.context)
        status = association.echo(opened, opened.accepted[0])
        opened.release()
    except (XrvNodeError, association.NotNowError, BrokenOffError) as error:
        print(error)
        return 1
    print("C-ECHO: no status" if status is None else f"C-ECHO: 0x{status:04X}")
    return 0 if status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
