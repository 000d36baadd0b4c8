"""What this program calls itself, to peers, in files and in every object that it makes."""

from __future__ import annotations

VERSION = "0.1.0"
NOTICE = "Research software, not a medical device."

IMPLEMENTATION_CLASS_UID = "2.25.96116369569352597390691838276327498482"
"""Names this implementation to peers and in files (PS3.7 D.3.3.2); from a UUID (PS3.5 B.2)."""
IMPLEMENTATION_VERSION_NAME = f"XRVNODE {VERSION}"
MANUFACTURER, MODEL_NAME = "xrv-node project", "xrv-node"
"""In every result: by them a node knows its own and those of other xrv-nodes again."""
