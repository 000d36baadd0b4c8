"""The table ``[receive]`` of the configuration."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from pydantic import Field, IPvAnyNetwork, model_validator

from xrv_node.settings.section import AETitle, Port, Section, is_loopback, plain_address
from xrv_node.settings.tls import TlsSection

_EVERY = ("0.0.0.0", "::", "")  # noqa: S104  # told from the others, not listened on
"""What is reached at the loopback address too."""


class ReceiveSection(Section):
    """Where the node listens, to whom, and how much of it at once."""

    ae_title: AETitle = "XRVNODE"
    host: str = "127.0.0.1"
    port: Port = 11112
    processes: int = Field(default=1, ge=1, le=16)
    allowed_calling_ae: tuple[AETitle, ...] = ()
    allowed_addresses: tuple[IPvAnyNetwork, ...] = ()
    max_associations: int = Field(default=32, ge=1, le=1000)
    max_associations_per_peer: int = Field(default=16, ge=1, le=1000)
    max_associations_per_minute: int = Field(default=1200, ge=0)
    max_objects_per_minute: int = Field(default=0, ge=0)
    """Both for one address, which waits when it goes faster; 0: no such limit. Objects have none of their own
    accord: a sender waits for each answer, so that its associations limit it already."""
    max_object_mb: int = Field(default=1024, ge=1, le=1024)
    """Not more than ``radiograph.header`` reads."""
    min_free_mb: int = Field(default=2048, ge=0)
    """Room for some hundred radiographs on their way, and for what is made of them; 0: no such limit."""
    resume_free_mb: int = Field(default=4096, ge=0)
    other_storage: Literal["keep", "refuse"] = "keep"
    """What becomes of storage classes that are never analysed (``intake.classes``). Kept, a study with an odd
    object does not fail at the sender as a whole."""
    idle_seconds: float = Field(default=60, ge=1, le=86400)
    tls: TlsSection | None = None

    @model_validator(mode="after")
    def _one_port(self) -> ReceiveSection:
        if self.processes > 1 and self.port == 0:
            raise ValueError("several processes share a port that is named: give receive.port a number")
        return self

    @model_validator(mode="after")
    def _marks(self) -> ReceiveSection:
        if self.resume_free_mb < self.min_free_mb:
            raise ValueError(
                f"resume_free_mb ({self.resume_free_mb}) is below min_free_mb ({self.min_free_mb}): what was "
                "refused for lack of room is taken again when there is more, not less"
            )
        return self

    @property
    def own_address(self) -> str:
        """Where it is reached from this machine, and from where it is then."""
        return "127.0.0.1" if self.host in _EVERY else self.host

    def lets_in(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether an address may connect."""
        return not self.allowed_addresses or any(address in network for network in self.allowed_addresses)

    def keeps_itself_out(self, calling_ae: str) -> str | None:
        """What to change where a process of this machine, that calls itself so, is not let in; else None."""
        if self.allowed_calling_ae and calling_ae not in self.allowed_calling_ae:
            return f"receive.allowed_calling_ae: add {calling_ae}"
        try:
            known = self.lets_in(plain_address(self.own_address))
        except ValueError:  # a name: where it leads is for the network to say
            return None
        return None if known else f"receive.allowed_addresses: add {self.own_address}"

    @property
    def open_to_all(self) -> str | None:
        """What to change when anybody may send from other machines, else None."""
        if is_loopback(self.host) or self.allowed_addresses or (self.tls and self.tls.ca):
            return None
        if self.allowed_calling_ae:
            return None
        return (
            f"any AE title may send from any machine that reaches {self.host}: name the senders in "
            "receive.allowed_calling_ae or their addresses in receive.allowed_addresses"
        )
