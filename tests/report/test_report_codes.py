"""The code tables against outside lists: pydicom's dictionaries of PS3.16 and torchxrayvision's names."""

from __future__ import annotations

import ast
import importlib.util
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import report_cases as cases
from pydicom import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.coding import Code

from xrv_node import report
from xrv_node.errors import ConfigError
from xrv_node.report import codes
from xrv_node.result_kinds import KINDS

Row = codes.FindingCodes | codes.StructureCodes | codes.MeasurementCodes
ROWS: list[Row] = [
    *codes.findings().values(),
    *codes.structures().values(),
    *codes.measurements().values(),
]
TABLES = {"findings.toml": "finding", "anatomy.toml": "structure", "measurements.toml": "measurement"}
TRAPS = {
    # codes that lists, tools and other projects carry for something of the chest, by (scheme, value): what they are
    ("SCT", "287272002"): "enlarged septal foramen of heart; in lists of DICOM codes as cardiomegaly",
    ("SCT", "46866001"): "fracture of lower limb, not of a rib",
    ("SCT", "79654002"): "edema of any tissue",
    ("SCT", "427359005"): "solitary nodule",
    ("SCT", "40779009"): "plate-like atelectasis only",
    ("SCT", "51282000"): "vertebra, not spine",
    ("SCT", "123037004"): "body structure, not anatomical structure",
    ("RADLEX", "RID4872"): "effusion of any cavity",
    ("SRT", "G-C0E3"): "finding site, retired with its scheme",
    ("99IHE", "Newcode1"): "processing algorithm, a draft of IHE AI Results",
    ("LN", "11864-6"): "transverse thoracic diameter of a fetus",
    ("LN", "59074-5"): "cardiothoracic circumference ratio of a fetus",
    ("LN", "59076-0"): "cardiothoracic area ratio of a fetus",
    ("DCM", "122157"): "probability, which a score is not",
    ("DCM", "111047"): "probability of cancer",
    ("DCM", "111012"): "certainty of finding, which is a probability",
}
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


def name_of(row: Row) -> str:
    return str(getattr(row, "label", None) or getattr(row, "target", None) or getattr(row, "key", None))


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_code_is_from_where_the_table_says(row: Row) -> None:
    assert row.status in ("dicom", "snomed", "private")
    assert row.source
    assert in_dicom(row.code) == (row.status == "dicom")
    assert (row.code.scheme_designator == codes.PRIVATE_SCHEME) == (row.status == "private")


@pytest.mark.parametrize("row", [*codes.findings().values(), *codes.measurements().values()], ids=name_of)
def test_a_site_is_in_dicom(row: codes.FindingCodes | codes.MeasurementCodes) -> None:
    assert in_dicom(row.site)


@pytest.mark.parametrize(("table", "rows"), TABLES.items())
def test_each_row_has_code_status_source_and_equivalents(table: str, rows: str) -> None:
    content = tomllib.loads(files("dicom_config").joinpath(table).read_text(encoding="utf-8"))
    assert content[rows]
    for row in content[rows]:
        assert {"code", "status", "source", "other"} <= set(row), row
        scheme, value, meaning = row["code"]
        assert scheme in {*concepts, codes.PRIVATE_SCHEME}
        assert value
        assert meaning
        for code in row["other"]:  # "SCHEME VALUE Meaning", or "HP:VALUE Meaning" as that ontology writes it
            scheme, _, rest = code.partition(":" if code.startswith("HP:") else " ")
            assert scheme in ("SCT", "RADLEX", "HP"), code
            assert rest, code


def test_what_can_have_a_side_says_so() -> None:
    paired = {"Lung", "Pleural structure"}
    assert all(row.sided == (row.site.meaning in paired) for row in codes.findings().values())


def test_the_standard_codes_used_outside_the_tables_are_in_dicom() -> None:
    for code in OWN:
        of_ours = code.scheme_designator == codes.PRIVATE_SCHEME
        assert of_ours or in_dicom(code) or code == codes.OF_HUNDRED, (
            code
        )  # UCUM: any unit that can be formed
    assert all(in_dicom(side) for side in codes.LATERALITY.values())


def test_values_and_meanings_fit_their_value_representations() -> None:
    every = [*OWN]
    for row in codes.findings().values():
        every += [row.code, row.own, row.score, row.score_phantom, row.site]
    every += [row.code for row in codes.structures().values()]
    every += [c for row in codes.measurements().values() for c in (row.code, row.phantom, row.site)]
    for code in every:
        assert 0 < len(code.value) <= 16, code
        assert 0 < len(code.meaning) <= 64, code
        assert code.value.isascii(), code
        assert code.meaning.isascii(), code


def test_no_two_things_share_a_private_code() -> None:
    rows = codes.findings().values()
    private = [c.value for c in OWN if c.scheme_designator == codes.PRIVATE_SCHEME]
    private += [c.value for row in rows for c in (row.own, row.score, row.score_phantom)]
    private += [r.code.value for r in codes.structures().values() if r.status == "private"]
    private += [row.phantom.value for row in codes.measurements().values()]
    private += [r.code.value for r in codes.measurements().values() if r.status == "private"]
    assert len(private) == len(set(private))
    assert len({(r.code.scheme_designator, r.code.value) for r in rows}) == len(rows)


def coded(item: Any) -> Iterator[Dataset]:
    """Every code in a dataset, however deep."""
    for element in item:
        if element.VR == "SQ":
            for child in element.value:
                if "CodeValue" in child:
                    yield child
                yield from coded(child)


def test_no_trap_is_in_a_table_or_an_object() -> None:
    assert codes.finding("Cardiomegaly").code.value == "8186001"
    used = {
        (c.scheme_designator, c.value) for row in ROWS for c in (row.code, getattr(row, "site", row.code))
    }
    used |= {(c.scheme_designator, c.value) for c in OWN}
    for table, rows in TABLES.items():
        content = tomllib.loads(files("dicom_config").joinpath(table).read_text(encoding="utf-8"))
        for row in content[rows]:
            used |= {(scheme, rest.split()[0]) for scheme, rest in (c.split(" ", 1) for c in row["other"])}
    study = cases.outcome(
        cases.frontal(cases.header(), scores=dict.fromkeys(cases.LABELS, 0.9), seg=cases.chest())
    )
    for result in report.build(study, tuple(KINDS)):
        used |= {(c.CodingSchemeDesignator, c.CodeValue) for c in coded(result.dataset)}
    assert len(used) > len(ROWS)
    assert not used & set(TRAPS)


def test_every_scheme_in_an_object_is_the_standard_s_or_declared_there() -> None:
    study = cases.outcome(
        cases.frontal(cases.header(), scores=dict.fromkeys(cases.LABELS, 0.9), seg=cases.chest())
    )
    standard = {*concepts, "RFC5646"}  # PS3.16 table 8-1; pydicom has no language tags
    for result in report.build(study, tuple(KINDS)):
        declared = {item.CodingSchemeDesignator for item in result.dataset.CodingSchemeIdentificationSequence}
        assert {c.CodingSchemeDesignator for c in coded(result.dataset)} <= standard | declared, result.kind


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
    with pytest.raises(ConfigError, match=r'"Girth" has no row in dicom_config/measurements\.toml'):
        codes.measurement("Girth")


def test_every_finding_has_its_place_in_the_order_of_urgency() -> None:
    order = sorted(codes.findings(), key=lambda label: codes.findings()[label].urgency)
    assert len({row.urgency for row in codes.findings().values()}) == len(order)
    assert order[:2] == ["Pneumothorax", "Effusion"]
    theirs = ["Pneumothorax", "Effusion", "Infiltration", "Edema", "Atelectasis", "Cardiomegaly", "Mass"]
    assert [label for label in order if label in theirs] == theirs


def test_what_a_finding_lies_over_is_a_structure_of_the_anatomy_network() -> None:
    assert {name for row in codes.findings().values() for name in row.over} <= set(codes.structures())
