"""The table ``[web]`` of the configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from xrv_node.settings.types import Port, Section, is_loopback


class WebSection(Section):
    """Where health and metrics are served. Off unless asked for: by default a node opens one port."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 8080
    token_file: str = ""

    @model_validator(mode="after")
    def _guarded(self) -> WebSection:
        if not self.token_file and not is_loopback(self.host):
            raise ValueError(f"other machines reach {self.host}: name a file with a token in web.token_file")
        return self

    def below(self, base: Path) -> WebSection:
        """The same with a relative path taken from `base`."""
        if not self.token_file:
            return self
        return self.model_copy(update={"token_file": str(base / Path(self.token_file).expanduser())})
