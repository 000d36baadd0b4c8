"""The table ``[web]`` of the configuration."""

from __future__ import annotations

from pydantic import model_validator

from xrv_node.settings.section import PathOrEmpty, Port, Section, is_loopback


class WebSection(Section):
    """Where health and metrics are served. Off unless asked for: by default a node opens one port."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 8080
    token_file: PathOrEmpty = None

    @model_validator(mode="after")
    def _guarded(self) -> WebSection:
        if self.token_file is None and not is_loopback(self.host):
            raise ValueError(f"other machines reach {self.host}: name a file with a token in web.token_file")
        return self
