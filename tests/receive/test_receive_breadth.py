"""Every transfer syntax, depth and colour through the receiver to the pixels that an analysis gets."""

from __future__ import annotations

from pathlib import Path

import breadth_objects as objects
import numpy as np
import pytest
from breadth_objects import ENCODINGS, run, source, tool, write
from made import CR, radiograph
from pydicom import dcmread
from pydicom.encaps import get_frame
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)
from pynetdicom import AE
from receiving import Receiver
from worded import said

from xrv_node.errors import ImageError
from xrv_node.radiograph.read import read


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_image_arrives_as_it_was_encoded_and_shows_what_it_showed(
    name: str, receiver: Receiver, tmp_path: Path
) -> None:
    encoding = ENCODINGS[name]
    files, seen = [], {}
    for number, sample in enumerate(encoding.takes, 1):
        dataset, pixels = source(sample, number)
        seen[str(dataset.SOPInstanceUID)] = sample, pixels
        files.append(tmp_path / f"{number}.dcm")
        encoding.encode(write(dataset, tmp_path / "plain"), files[-1])
    kept = receiver.take(files, encoding.syntax)
    assert set(kept) == set(seen)
    wrong = {}
    for uid, (sample, pixels) in seen.items():
        got = read(kept[uid]).pixels.astype(np.float64)
        off = np.abs(got - pixels).max() if got.shape == pixels.shape else got.shape
        if off != pytest.approx(0, abs=max(encoding.error, 1e-3 * pixels.max() / 256)):
            wrong[sample] = off
    assert not wrong


@pytest.mark.parametrize("syntax", objects.HT, ids=lambda uid: uid.keyword)
def test_high_throughput_jpeg_2000(syntax: UID, receiver: Receiver, tmp_path: Path) -> None:
    dataset, pixels, error = objects.high_throughput(syntax)
    (path,) = receiver.take([write(dataset, tmp_path / "image.dcm", syntax)], syntax).values()
    assert np.abs(read(path).pixels.astype(np.float64) - pixels).max() <= error


CODECS = ["RLE", "JPEG baseline", "JPEG lossless SV1", "JPEG-LS", "JPEG 2000 lossless"]
WHOLE = "RLE"
"""Its frames are one fragment each (PS3.5 A.4.2)."""


@pytest.mark.parametrize("codec", [*CODECS, "HTJ2K"])
def test_fragments_and_offset_tables_of_any_kind_give_the_same_pixels(
    codec: str, receiver: Receiver, tmp_path: Path
) -> None:
    if codec == "HTJ2K":
        dataset, _, _ = objects.high_throughput(HTJ2KLossless)
    else:
        ENCODINGS[codec].encode(write(source("8 bit")[0], tmp_path / "plain"), tmp_path / "coded")
        dataset = dcmread(tmp_path / "coded")
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    files = []
    for number, pack in enumerate(
        p for name, p in objects.PACKINGS.items() if codec != WHOLE or name != "three"
    ):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
        pack(dataset, frame)
        files.append(write(dataset, tmp_path / f"{number}.dcm", syntax))
    kept = receiver.take(files, syntax)
    assert len(kept) == len(files)
    expected = read(kept["1.2.3.4.0"]).pixels
    for uid, path in kept.items():
        assert np.array_equal(read(path).pixels, expected), uid


REFUSED = {
    "1.2.840.10008.1.2.1.98": "Encapsulated Uncompressed Explicit VR Little Endian",
    "1.2.840.10008.1.2.4.52": "JPEG Extended (Process 3 and 5)",
    "1.2.840.10008.1.2.4.94": "JPIP Referenced",
    "1.2.840.10008.1.2.4.95": "JPIP Referenced Deflate",
    "1.2.840.10008.1.2.4.100": "MPEG2 Main Profile / Main Level",
    "1.2.840.10008.1.2.4.102": "MPEG-4 AVC/H.264 High Profile / Level 4.1",
    "1.2.840.10008.1.2.4.107": "HEVC/H.265 Main Profile / Level 5.1",
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.204": "JPIP HTJ2K Referenced",
    "1.2.840.10008.1.2.4.205": "JPIP HTJ2K Referenced Deflate",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    "1.2.826.0.1.3680043.8.498.7": "1.2.826.0.1.3680043.8.498.7",
}
"""Transfer syntaxes that no decoder reads, by the name that a user is told (PS3.6 table A-1)."""


@pytest.mark.parametrize("syntax", REFUSED)
def test_what_no_decoder_reads_is_kept_and_its_study_says_why(
    syntax: str, receiver: Receiver, tmp_path: Path
) -> None:
    dataset = radiograph()
    if "JPIP" in REFUSED[syntax]:
        del dataset.PixelData
        dataset.PixelDataProviderURL = "https://pacs.example/jpip"
    else:
        objects.enclose(dataset, [b"\0" * 64])
    sent = write(dataset, tmp_path / "image.dcm", syntax)
    if "Referenced Deflate" in REFUSED[syntax]:
        objects.rewrite(sent, objects.deflated)
    assert objects.stored(receiver.port, sent) == 0
    assert objects.body_of(receiver.kept()) == objects.body_of(sent)
    assert receiver.analysed() == [f"The transfer syntax {REFUSED[syntax]!r} cannot be decoded."]


@pytest.mark.parametrize("coded", [False, True])
def test_two_frames_are_kept_and_their_study_says_why(
    coded: bool, receiver: Receiver, tmp_path: Path
) -> None:
    dataset, pixels = source("8 bit")
    dataset.NumberOfFrames = 2
    syntax = RLELossless if coded else ExplicitVRLittleEndian
    frame = pixels.astype(np.uint8)
    if coded:
        dataset.compress(RLELossless, np.stack([frame, frame]), generate_instance_uid=False)
    else:
        dataset.PixelData = frame.tobytes() * 2
    receiver.take([write(dataset, tmp_path / "image.dcm", syntax)], syntax)
    with pytest.raises(ImageError, match="2 frames"):
        read(receiver.kept())
    (instance,) = receiver.study()["instances"]
    assert instance["state"] == "skipped"
    assert any("2 frames" in said(reason) for reason in instance["reasons"])


OFFERED: list[tuple[list[str], str]] = [
    (["1.2.840.10008.1.2.4.110", JPEG2000Lossless, ExplicitVRLittleEndian], JPEG2000Lossless),
    (["1.2.840.113619.5.2", "1.2.840.10008.1.2.4.102", ImplicitVRLittleEndian], ImplicitVRLittleEndian),
    ([JPEGLosslessSV1, ExplicitVRLittleEndian], JPEGLosslessSV1),
    ([ExplicitVRLittleEndian, JPEGLosslessSV1], ExplicitVRLittleEndian),
    (["1.2.840.10008.1.2.4.110", "1.2.840.113619.5.2"], "1.2.840.10008.1.2.4.110"),
]


@pytest.mark.parametrize(("offered", "chosen"), OFFERED)
def test_of_several_transfer_syntaxes_the_first_that_decodes_is_chosen(
    offered: list[str], chosen: str, receiver: Receiver
) -> None:
    ae = AE(ae_title="PACS")
    ae.add_requested_context(CR, offered)
    made = ae.associate("127.0.0.1", receiver.port, ae_title="XRVNODE")
    assert [c.transfer_syntax for c in made.accepted_contexts] == [[chosen]]
    made.release()


REAL = [
    ("chest/udacity_test1.dcm", "dcmcjpeg", "+e1"),
    ("chest/barre_CR-MONO1-10-chest_noheader.dcm", "dcmcjpls", "+el"),
    ("not_chest/wg04_RG3_tibia_UNC.dcm", "dcmconv", "+td"),
]


@pytest.mark.parametrize(("name", "program", "option"), REAL)
def test_real_radiographs_survive_another_encoding(
    name: str, program: str, option: str, receiver: Receiver, data: Path, tmp_path: Path
) -> None:
    original = data / "dicom" / name
    lossless = ["+tl"] if program == "dcmcjpeg" else []
    run(tool(program), option, *lossless, original, tmp_path / "coded.dcm")
    syntax = dcmread(tmp_path / "coded.dcm", stop_before_pixels=True).file_meta.TransferSyntaxUID
    (path,) = receiver.take([tmp_path / "coded.dcm"], syntax).values()
    assert np.array_equal(read(path).pixels, read(original).pixels)
