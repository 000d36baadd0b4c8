"""The table ``[retention]`` of the configuration."""

from __future__ import annotations

from pydantic import Field

from xrv_node.settings.section import Section


class RetentionSection(Section):
    """For how many days what is kept; 0: for ever.

    The PACS has the images and got the results, so the node keeps them for what may still be asked of it: a
    late image or a reprocessing within a month, a comparison with an earlier study within three. The trail is
    small, holds no patient and answers long after; how long it must be kept differs by country.
    """

    inputs_days: int = Field(default=30, ge=0, le=36500)
    results_days: int = Field(default=90, ge=0, le=36500)
    audit_days: int = Field(default=0, ge=0, le=36500)
