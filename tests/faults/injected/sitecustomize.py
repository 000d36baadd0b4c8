"""What Python runs first in every process of a node whose PYTHONPATH names this folder: puts stand-ins in place.

No weights are released with the program, and most tests are about everything but them. So untrained networks
stand in for the three that a node loads; with ``XRV_TEST_NETWORKS=small``, a few layers with inputs and outputs of
the same shapes for the two that take most of the time on a processor. Everything around them is the node's own.
"""

import os
import sys

wanted = os.environ.get("XRV_TEST_NETWORKS")
if wanted and "xrv_node" in sys.orig_argv:
    import untrained

    from xrv_node import models

    if "validate" not in sys.orig_argv:  # which reads what stands in the files, where there are any
        models.missing = untrained.missing
    if wanted == "small":
        import small_networks

        models.get_model = small_networks.get_model
    else:
        models.get_model = untrained.get_model
