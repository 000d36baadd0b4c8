"""The code tables against outside lists: pydicom's dictionaries of PS3.16 and torchxrayvision's names."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from xrv_node.errors import ConfigError
from xrv_node.report import codes

ROWS = [*codes.findings().values(), *codes.structures().values()]
OWN = [c for c in vars(codes).values() if isinstance(c, Code)]


def in_dicom(code: Code) -> bool:
    """Whether pydicom's tables, made from PS3.16, have the code with this meaning."""
    tables = concepts.get(code.scheme_designator, {}).values()
    meanings = [table[code.value][0] for table in tables if code.value in table]
    return code.meaning in [meaning.removesuffix(" (procedure)") for meaning in meanings]


def torchxrayvision_list(module: str, name: str) -> list[str]:
    """Read a list of names out of torchxrayvision's source: importing it is slow, and its PSPNet wants
    weights."""
    spec = importlib.util.find_spec("torchxrayvision")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("torchxrayvision is not installed")
    source = Path(spec.submodule_search_locations[0], module).read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and ast.unparse(target) == name:
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{name} is not in {module}")


def test_there_is_a_row_for_every_label_and_structure_of_torchxrayvision() -> None:
    assert list(codes.findings()) == torchxrayvision_list("datasets.py", "default_pathologies")
    assert list(codes.structures()) == torchxrayvision_list(
        "baseline_models/chestx_det/__init__.py", "targets"
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda r: getattr(r, "label", None) or r.target)
def test_a_code_is_from_where_the_table_says(row: codes.FindingCodes | codes.StructureCodes) -> None:
    assert row.status in ("dicom", "snomed", "private")
    assert row.source
    assert in_dicom(row.code) == (row.status == "dicom")
    assert (row.code.scheme_designator == codes.PRIVATE_SCHEME) == (row.status == "private")


@pytest.mark.parametrize("row", codes.findings().values(), ids=lambda r: r.label)
def test_a_finding_site_is_in_dicom(row: codes.FindingCodes) -> None:
    assert in_dicom(row.site)


def test_the_standard_codes_used_outside_the_tables_are_in_dicom() -> None:
    for code in OWN:
        assert code.scheme_designator == codes.PRIVATE_SCHEME or in_dicom(code), code
    assert all(in_dicom(side) for side in codes.LATERALITY.values())


def test_values_and_meanings_fit_their_value_representations() -> None:
    every = [*OWN]
    for row in codes.findings().values():
        every += [row.code, row.own, row.score, row.score_commissioning, row.site]
    every += [row.code for row in codes.structures().values()]
    for code in every:
        assert 0 < len(code.value) <= 16, code
        assert 0 < len(code.meaning) <= 64, code
        assert code.value.isascii(), code
        assert code.meaning.isascii(), code


def test_no_two_things_share_a_private_code() -> None:
    rows = codes.findings().values()
    private = [c.value for c in OWN if c.scheme_designator == codes.PRIVATE_SCHEME]
    private += [c.value for row in rows for c in (row.own, row.score, row.score_commissioning)]
    private += [r.code.value for r in codes.structures().values() if r.status == "private"]
    assert len(private) == len(set(private))
    assert len({(r.code.scheme_designator, r.code.value) for r in rows}) == len(rows)


def test_known_wrong_codes_are_not_used() -> None:
    assert codes.finding("Cardiomegaly").code.value == "8186001"
    # enlarged septal foramen, fracture of lower limb, oedema of any tissue, solitary nodule, plate-like atelectasis
    wrong = {"287272002", "46866001", "79654002", "427359005", "40779009"}
    assert not wrong & {row.code.value for row in ROWS}


def test_the_sides_are_coded_as_they_are_named() -> None:
    for name, row in codes.structures().items():
        side = name.split()[0]
        assert (row.laterality.meaning if row.laterality else None) == (
            side if side in ("Left", "Right") else None
        )


def test_an_unknown_name_says_which_table_to_edit() -> None:
    with pytest.raises(ConfigError, match=r'"Gout" has no row in dicom_config/findings\.toml'):
        codes.finding("Gout")
    with pytest.raises(ConfigError, match=r'"Gills" has no row in dicom_config/anatomy\.toml'):
        codes.structure("Gills")
