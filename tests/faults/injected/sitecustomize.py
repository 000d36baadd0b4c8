"""What Python runs first in every process of a node whose PYTHONPATH names this folder: puts small networks in place.

The soak is about the node, and two of the three networks take most of its time on a processor. In their places
come a few layers with inputs and outputs of the same shapes; everything around them is the node's own.
"""

import sys

if "worker" in sys.orig_argv:
    import small_networks

    small_networks.install()
