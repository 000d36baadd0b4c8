"""Who reaches the node, and whom it reaches: ports and destinations."""

from __future__ import annotations

import errno
import ipaddress
import socket

from xrv_node.doctor.diagnosis import Examined, Found, State
from xrv_node.errors import ConfigError, DestinationError
from xrv_node.network import outgoing


def ports(node: Examined) -> Found:
    """Whether the node answers at its ports, or could listen there while it does not run."""
    settings = node.settings
    listeners = [("receive", settings.receive.host, settings.receive.port)]
    if settings.web.enabled:
        listeners.append(("web", settings.web.host, settings.web.port))
    for table, host, port in listeners:
        if port == 0:
            yield State.WARN, f"{table}.port is 0: another port at each start", f"give {table}.port a number"
        elif node.serving:
            yield _answers(table, host, port)
        else:
            yield _is_free(table, host, port)


def destinations(node: Examined) -> Found:
    """Whether each would take results: C-ECHO and negotiation, as a delivery does it."""
    from xrv_node.deliver.senders import sender

    destinations = node.settings.destinations
    if not destinations:
        yield State.WARN, "there is none: results stay here", "add a [[destinations]] table"
    for destination in destinations:
        try:
            sender(destination, node.settings.receive.ae_title).check()
        except (DestinationError, ConfigError) as error:
            says = "; ".join(error.lines)
            remedy = f"`xrv-node destinations check {destination.name}` says more"
            yield State.FAIL, f"{destination.name}: {says}", remedy
        else:
            yield State.OK, f"{destination.name} would take results", ""
        if node.settings.keeps_back(destination):
            key = "[node] silent = true" if node.settings.node.silent else "active = false"
            says = f"{destination.name}: nothing leaves for it ({key}), results are kept"
            yield State.WARN, says, "change that to send what is reported from then on"


def _answers(table: str, host: str, port: int) -> tuple[State, str, str]:
    try:
        outgoing.reach(_reachable(host), port, 5).close()
    except OSError as error:
        return (
            State.FAIL,
            f"nothing answers at {host}:{port} ({error.strerror or 'no answer'})",
            f"see the log of the node, and whether {table}.host is of this machine",
        )
    return State.OK, f"the node answers at {host}:{port}", ""


def _is_free(table: str, host: str, port: int) -> tuple[State, str, str]:
    try:
        # As the servers do it: a port in TIME_WAIT is free.
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except (OSError, UnicodeError) as error:
        known = {errno.EACCES: "it needs privileges", errno.EADDRINUSE: "another program listens there"}
        other = getattr(error, "strerror", None) or "no host is called so"
        says = f"{host}:{port} cannot be listened on: {known.get(getattr(error, 'errno', 0), other)}"
        return State.FAIL, says, f"choose another {table}.port, or stop what has it"
    return State.OK, f"{host}:{port} is free", ""


def _reachable(host: str) -> str:
    """Where a host that is listened on is reached from here: "any address" is none to connect to."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    loopback = "127.0.0.1" if address.version == 4 else "::1"
    return loopback if address.is_unspecified else host
