"""Derived UIDs: valid, the same for the same thing, different for different things."""

from __future__ import annotations

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from xrv_node.product import IMPLEMENTATION_CLASS_UID
from xrv_node.report import uids

ARGUMENTS = ("report", ["1.2.3", "1.2.4"], "f" * 64, "0" * 64)


def test_a_uid_is_the_decimal_form_of_a_version_5_uuid() -> None:
    made = uids.result_uid(*ARGUMENTS)
    assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", made)
    assert UID(made).is_valid
    assert uuid.UUID(int=int(made.removeprefix("2.25."))).version == 5
    assert UID(IMPLEMENTATION_CLASS_UID).is_valid


def test_the_order_of_the_sources_does_not_matter() -> None:
    assert uids.result_uid("sr", ["1.2", "1.3"], "m", "c") == uids.result_uid("sr", ["1.3", "1.2"], "m", "c")


def test_every_part_counts() -> None:
    variants = {
        uids.result_uid(*ARGUMENTS),
        uids.series_uid(*ARGUMENTS),
        uids.result_uid("sr", *ARGUMENTS[1:]),
        uids.result_uid("report", ["1.2.3"], *ARGUMENTS[2:]),
        uids.result_uid(*ARGUMENTS[:2], "e" * 64, ARGUMENTS[3]),
        uids.result_uid(*ARGUMENTS[:3], "1" * 64),
        uids.device_uid("f" * 64),
        uids.tracking_uid("1.2.3", "Effusion"),
        uids.tracking_uid("1.2.4", "Effusion"),
        uids.tracking_uid("1.2.3", "Mass"),
        uids.frame_of_reference_uid("1.2.3"),
        uids.dimension_organization_uid("1.2.3"),
    }
    assert len(variants) == 12


def test_released_uids_stay_what_they_are() -> None:
    """Computed by hand from the namespace: a change here would give every object ever sent a second UID."""
    namespace = uuid.UUID("6c2337dc-1f90-431e-8f88-6e40c4b19fd0")
    expected = uuid.uuid5(namespace, "instance\nreport\n1.2.3\n1.2.4\n" + "f" * 64 + "\n" + "0" * 64).int
    assert uids.result_uid(*ARGUMENTS) == f"2.25.{expected}"


@given(st.lists(st.text(alphabet="0123456789.", max_size=64), max_size=4), st.text(), st.text())
def test_any_parts_give_a_valid_uid(sources: list[str], digest: str, content: str) -> None:
    assert UID(uids.result_uid("seg", sources, digest, content)).is_valid
