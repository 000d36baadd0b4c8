"""``python -m xrv_node`` is ``xrv-node``."""

from xrv_node.cli import main

main()
