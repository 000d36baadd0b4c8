"""What a label file may hold, and what becomes of anything else, in every reader: reader by kind of trouble."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from pathlib import Path

import pytest
from owners import all_there
from sheets import LAYOUTS, SHEETS, Sheet, same, save, whole
from small_folders import SMALL

from xrv_node.errors import DatasetError
from xrv_node.lab.datasets.catalog import entries
from xrv_node.lab.datasets.columns import UNKNOWN, Column, Matching, Number, Words
from xrv_node.lab.datasets.load import load
from xrv_node.lab.datasets.readers.padchest_findings import Findings
from xrv_node.lab.datasets.verify import verify


def test_there_is_a_small_folder_of_every_dataset() -> None:
    assert set(SMALL) == {entry.name for entry in entries()}
    assert {sheet.layout.split()[0] for sheet in SHEETS.values()} | {"nlm-tb", "tbx11k"} == set(SMALL)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_small_folder_is_whole(tmp_path: Path, layout: str) -> None:
    name, write = LAYOUTS[layout]
    write(tmp_path)
    table = load(name, tmp_path)
    assert len(table) >= 2
    assert all_there(table)
    assert verify(table) == []
    assert table.notes == ()


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_a_table_may_be_written_again_by_a_spreadsheet(tmp_path: Path, sheet: Sheet) -> None:
    path, rows, read = whole(tmp_path, sheet)
    usual = read()
    at = sheet.above
    blank = [[""] * len(rows[at])] * 2
    save(path, [*rows, *blank])
    found = read()
    same(found, usual)
    assert f"{path.name}: 2 blank rows are passed over" in found.notes
    save(path, [*rows[: at + 2], *blank[:1], *rows[at + 2 :]])
    same(read(), usual)
    for separator, encoding in ((";", "cp1252"), ("\t", "utf-16"), (",", "utf-8-sig"), (";", "utf-16-le")):
        save(path, rows, separator, encoding)
        same(read(), usual)
    save(path, [*rows[:at], [f" {heading.upper()} " for heading in rows[at]], *rows[at + 1 :]])
    same(read(), usual)
    save(path, [[*row, "", ""] for row in rows])
    same(read(), usual)
    save(path, [["Saved on Monday"], [], *rows])
    same(read(), usual)
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    save(path, [[line] for line in text.getvalue().splitlines()])  # each line in one cell
    same(read(), usual)


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_a_table_may_be_packed_by_a_mac(tmp_path: Path, sheet: Sheet) -> None:
    path, _, read = whole(tmp_path, sheet)
    usual, data = read(), path.read_bytes()
    path.unlink()
    packed = path.with_name(f"{path.name}.zip")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"__MACOSX/._{path.name}", b"\0\5\x16\7")
        archive.writestr("notes.txt", b"downloaded on Monday")
        archive.writestr(f"folder/{path.name}", data)
    same(read(), usual)
    packed.unlink()
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data))
    same(read(), usual)
    path.with_name(f"{path.name}.gz").write_bytes(data)  # a browser has unpacked it and kept the name
    same(read(), usual)


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_a_cell_that_is_none_of_the_owners_is_named(tmp_path: Path, sheet: Sheet) -> None:
    path, rows, read = whole(tmp_path, sheet)
    headings = rows[sheet.above]
    tried: list[type[Column]] = []
    for column in sheet.columns:
        if column.heading.removesuffix(".1") not in headings:
            assert not column.needed
            continue
        at = headings.index(column.heading.removesuffix(".1"))
        cells = ["#REF!", "#N/A"]
        if isinstance(column, (Words, Number, Matching, Findings)):
            cells += ["2e9x"] if _any_word(column) else ["some other word", "2e9x"]
        if isinstance(column, Number):
            cells += ["inf", "0x1"]
        for cell in cells[-1:] if type(column) in tried else cells:  # each trouble in a column of each kind
            changed = [list(row) for row in rows]
            changed[-1][at] = cell
            save(path, changed)
            line = f"{re.escape(str(path))}, line {len(rows)}, column {re.escape(column.heading.removesuffix('.1'))}"
            with pytest.raises(DatasetError, match=f"{line}: '{re.escape(cell)}' "):
                read()
        tried.append(type(column))
    assert len(tried) >= sum(column.needed for column in sheet.columns)


def _any_word(column: Column) -> bool:
    """Views of BRAX and of the COVID-19 collection are kept as they are written: they are no labels."""
    return isinstance(column, Matching) and column.heading.casefold().startswith("view")


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_a_blank_cell_is_what_its_reader_says(tmp_path: Path, sheet: Sheet) -> None:
    path, rows, read = whole(tmp_path, sheet)
    headings = rows[sheet.above]
    for column in sheet.columns:
        if column.heading not in headings:
            continue
        for cell in ("", "NaN") if column is sheet.columns[0] else ("",):
            changed = [list(row) for row in rows]
            changed[-1][headings.index(column.heading)] = cell
            save(path, changed)
            if not column.blank:
                with pytest.raises(DatasetError, match=rf"line {len(rows)}, column .*is no value"):
                    read()
            elif not _in_a_box(column):
                noted = f"{path.name}: {column.heading} is blank in 1 of {len(rows) - 1 - sheet.above} rows"
                assert any(note.startswith(noted) for note in read().notes) is (column.blank == UNKNOWN)


def _in_a_box(column: Column) -> bool:
    """Where a box is blank the row's other cells must agree: rules of their own."""
    return column.blank in ("no box", "none") or column.heading in ("Target", "EncodedPixels")


@pytest.mark.parametrize("sheet", [one for one in SHEETS.values() if one.once], ids=lambda one: one.file)
def test_an_image_that_is_there_twice(tmp_path: Path, sheet: Sheet) -> None:
    path, rows, read = whole(tmp_path, sheet)
    usual = read()
    save(path, [*rows, rows[-1]])
    found = read()
    same(found, usual)
    assert any("1 rows repeat what another says" in note for note in found.notes)
    other = list(rows[-1])
    for column in sheet.columns:  # any column that may be blank, or another row's value
        if column.heading in rows[0] and column.heading != sheet.once:
            at = rows[0].index(column.heading)
            if other[at] != rows[-2][at]:
                other[at] = rows[-2][at]
                break
    assert other != rows[-1]
    save(path, [*rows, other])
    with pytest.raises(
        DatasetError, match=f"line {len(rows) + 1}, column {sheet.once}.*another row with other"
    ):
        read()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html><html><body>Log in</body></html>", "it is a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "a pointer of Git LFS",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "a workbook of Excel"),
        (b"%PDF-1.7\n", "a PDF file"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"data.csv".ljust(257, b"\0") + b"ustar  \0".ljust(255, b"\0"), "a tar archive"),
    ],
)
@pytest.mark.parametrize("name", ["nih", "siim-acr", "tbx11k", "chexpert"])
def test_a_label_file_that_is_something_else_is_called_that(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    SMALL[name](tmp_path)
    file = {
        "nih": "Data_Entry_2017.csv",
        "siim-acr": "train-rle.csv",
        "tbx11k": "annotations/json/TBX11K_train.json",
        "chexpert": "train.csv",
    }[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        load(name, tmp_path)


def test_a_workbook_in_place_of_the_table(tmp_path: Path) -> None:
    SMALL["nih"](tmp_path)
    (tmp_path / "Data_Entry_2017.csv").unlink()
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    (tmp_path / "Data_Entry_2017.xlsx").write_bytes(book.getvalue())
    with pytest.raises(DatasetError, match="is a workbook of a spreadsheet; save its table as CSV"):
        load("nih", tmp_path)
    (tmp_path / "Data_Entry_2017.xlsx").rename(tmp_path / "Data_Entry_2017.csv")
    with pytest.raises(DatasetError, match="is a workbook of a spreadsheet; save it as CSV"):
        load("nih", tmp_path)


def test_an_archive_with_a_password_and_one_of_other_files(tmp_path: Path) -> None:
    SMALL["nih"](tmp_path)
    path = tmp_path / "Data_Entry_2017.csv"
    packed = tmp_path / "Data_Entry_2017.csv.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(path.name, path.read_bytes())
    path.unlink()
    data = bytearray(packed.read_bytes())
    data[6] |= 1  # the flag of encryption, in the member's own header and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    packed.write_bytes(data)
    with pytest.raises(DatasetError, match=r"cannot be read as a table.*needs a password"):
        load("nih", tmp_path)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "y")
    with pytest.raises(DatasetError, match=r"none of the 2 files in it is called data_entry_2017\.csv"):
        load("nih", tmp_path)
