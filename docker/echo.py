"""C-ECHO to this machine's own receiver, as it is configured: the health check of a container."""

import sys

from xrv_node import settings
from xrv_node.deliver.dimse import DimseSender
from xrv_node.errors import XrvNodeError
from xrv_node.settings.destinations import DimseDestination


def main() -> int:
    """Print what the receiver answers; 0 when it answers Success."""
    try:
        receive = settings.load().receive
        ourselves = DimseDestination(
            name="ourselves",
            ae_title=receive.ae_title,
            host=receive.host if receive.host.strip("0.:") else "localhost",  # 0.0.0.0 and ::
            port=receive.port,
            send=(),
        )
        answer = DimseSender(ourselves, calling_ae=(*receive.allowed_calling_ae, "HEALTH")[0]).check()
    except XrvNodeError as error:
        print(error)
        return 1
    print(*answer)
    return 0 if answer == ["C-ECHO: 0x0000"] else 1


if __name__ == "__main__":
    sys.exit(main())
