"""WADO-RS as clients see it: dicomweb-client, and raw HTTP for what that does not send."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from made import radiograph
from pydicom import Dataset, dcmread
from pydicom.uid import (
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)
from wado_site import Answer, WebSite, path, running, scene, small

DICOM = 'multipart/related; type="application/dicom"'
OCTETS = "application/octet-stream"
PIXELS = scene() // 2
IMAGES = [small(number, 1, PIXELS + number) for number in (1, 2, 3)]
ODD = small(
    1, 2, np.packbits(np.arange(3 * 35) % 3 == 0, bitorder="little").reshape(1, 1, -1), Rows=5, Columns=7,
    NumberOfFrames=3, BitsAllocated=1, BitsStored=1, HighBit=0,
)  # fmt: skip


def pdf() -> Dataset:
    made = radiograph(1, 4)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(made, keyword)
    made.SOPClassUID, made.Modality = EncapsulatedPDFStorage, "DOC"
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = b"%PDF-1.7 " + bytes(2000) + b"%%EO"
    made.EncapsulatedDocumentLength = len(made.EncapsulatedDocument) - 1
    return made


PDF = pdf()
ODD_PDF = pdf()
"""Says how long its document is in another form than a number."""
ODD_PDF.SOPInstanceUID = "1.2.3.1.1.99"
ODD_PDF.EncapsulatedDocumentLength = None
ODD_PDF.add_new("EncapsulatedDocumentLength", "LO", "-5")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[WebSite]:
    with running(tmp_path_factory.mktemp("wado"), empty_database) as made:
        made.keep(IMAGES[0])
        made.keep(IMAGES[1], JPEG2000Lossless)
        made.keep(IMAGES[2], ImplicitVRLittleEndian)
        made.keep(ODD)
        made.keep(PDF)
        made.keep(ODD_PDF)
        yield made


@pytest.fixture
def client(site: WebSite) -> DICOMwebClient:
    return DICOMwebClient(site.address)


def test_dicomweb_client_gets_studies_series_and_instances(client: DICOMwebClient) -> None:
    whole = client.retrieve_study("1.2.3.1")
    assert [d.SOPInstanceUID for d in whole] == [d.SOPInstanceUID for d in IMAGES]
    for number, found in enumerate(whole, 1):
        assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert np.array_equal(found.pixel_array, PIXELS + number)
    assert len(client.retrieve_series("1.2.3.1", "1.2.3.1.1")) == 3
    compressed = ((OCTETS, JPEG2000Lossless), ("application/dicom", "*"))
    one = client.retrieve_instance("1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.2", media_types=compressed[1:])
    assert one.file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert np.array_equal(one.pixel_array, PIXELS + 2)


def test_a_document_whose_length_is_no_number_comes_whole(site: WebSite) -> None:
    answer = site.ask(f"{path(ODD_PDF)}/rendered", Accept="application/pdf")
    assert (answer.status, answer.body.rstrip(b"\0")) == (200, ODD_PDF.EncapsulatedDocument)


def test_dicomweb_client_gets_metadata_frames_and_bulk_data(client: DICOMwebClient, site: WebSite) -> None:
    headers = client.retrieve_study_metadata("1.2.3.1")
    assert [Dataset.from_json(h).SOPInstanceUID for h in headers] == [d.SOPInstanceUID for d in IMAGES]
    assert len(client.retrieve_series_metadata("1.2.3.1", "1.2.3.1.1")) == 3
    (header,) = json.loads(site.ask(f"{path(IMAGES[0])}/metadata").body)
    uri = header["7FE00010"]["BulkDataURI"]
    assert uri == f"{site.address}{path(IMAGES[0])}/bulkdata/7FE00010"
    assert client.retrieve_bulkdata(uri) == [IMAGES[0].PixelData]
    assert client.retrieve_instance_frames("1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.2", [1]) == [
        (PIXELS + 2).tobytes()
    ]
    assert client.retrieve_instance_frames("1.2.3.2", "1.2.3.2.1", "1.2.3.2.1.1", [2, 1])[1] == bits(0)


def bits(frame: int) -> bytes:
    """A frame of 35 bits, in bytes of its own."""
    return np.packbits((np.arange(3 * 35) % 3 == 0)[35 * frame :][:35], bitorder="little").tobytes()


def test_frames_of_one_bit_that_do_not_end_on_a_byte(site: WebSite) -> None:
    parts = site.ask(f"{path(ODD)}/frames/1,2,3").parts
    assert [data for _, data in parts] == [bits(0), bits(1), bits(2)]
    assert site.ask(f"{path(ODD)}/frames/3", Accept=OCTETS).body == bits(2)


def test_dicomweb_client_gets_pictures(client: DICOMwebClient) -> None:
    picture = client.retrieve_instance_rendered(
        "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.1", media_types=("image/png",)
    )
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED).shape == PIXELS.shape
    assert (
        client.retrieve_series_rendered("1.2.3.1", "1.2.3.1.1", media_types=("image/jpeg",))[:2]
        == b"\xff\xd8"
    )


def test_bulk_data_in_ranges(site: WebSite) -> None:
    whole, size = IMAGES[0].PixelData, len(IMAGES[0].PixelData)
    address = f"{path(IMAGES[0])}/bulkdata/7FE00010"
    for asked, begin, end in (
        ("0-9", 0, 10),
        ("100-", 100, size),
        ("-7", size - 7, size),
        ("5-99999", 5, size),
    ):
        answer = site.ask(address, Range=f"bytes={asked}")
        assert (answer.status, answer.body) == (206, whole[begin:end]), asked
        assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
    for asked in (f"{size}-", f"{size}-{size + 9}", "99999999999999999-", "-0"):
        answer = site.ask(address, Range=f"bytes={asked}")
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{size}"), asked
    for asked in ("bytes=9-5", "bytes=0-1,3-4", "bytes=-", "lines=1-2", f"bytes={'9' * 99}-", "bytes=a-b"):
        assert (site.ask(address, Range=asked).status, site.ask(address, Range=asked).body) == (200, whole)
    assert site.ask(address, Range="bytes=0-9", If_Range='W/"x"').status == 200


def test_a_document_comes_as_pdf(site: WebSite) -> None:
    whole = PDF.EncapsulatedDocument[: PDF.EncapsulatedDocumentLength]
    (header,) = json.loads(site.ask(f"{path(PDF)}/metadata").body)
    address = header["00420011"]["BulkDataURI"].removeprefix(site.address)
    for asked in (
        address,
        f"{address}?accept=application/pdf",
        f"{path(PDF)}/rendered",
        "/studies/1.2.3.4/rendered",
    ):
        answer = site.ask(asked)
        assert (answer.status, answer.type, answer.body) == (200, "application/pdf", whole), asked
    assert site.ask(address, Accept=OCTETS).type == OCTETS
    assert site.ask(f"{path(PDF)}/rendered", Accept="image/png").status == 406
    assert site.ask(f"{path(PDF)}/thumbnail").status == 404


def test_what_a_client_has_already_is_not_sent_again(site: WebSite) -> None:
    for address in (
        "/studies/1.2.3.1",
        "/studies/1.2.3.1/metadata",
        f"{path(IMAGES[0])}/frames/1",
        f"{path(IMAGES[0])}/rendered",
    ):
        first = site.ask(address)
        tag = first.headers["ETag"]
        assert tag.startswith('W/"')
        for named in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
            again = site.ask(address, If_None_Match=named)
            assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag), address
        assert site.ask(address, If_None_Match='W/"other"').status == 200
    frame = f"{path(IMAGES[0])}/frames/1"
    assert site.ask(frame).headers["ETag"] != site.ask(frame, Accept=OCTETS).headers["ETag"]


def test_head_says_what_get_would(site: WebSite) -> None:
    for address in (
        "/studies/1.2.3.1",
        "/studies/1.2.3.1/metadata",
        path(IMAGES[0]),
        f"{path(IMAGES[0])}/frames/1",
        "/studies/1.2.3.1/thumbnail",
    ):
        got, head = site.ask(address), site.ask(address, "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["ETag"] == got.headers["ETag"]
        assert head.headers["Content-Length"] in (None, got.headers["Content-Length"])
        assert head.type.partition("boundary")[0] == got.type.partition("boundary")[0]


def test_lengths_are_told_where_they_are_known(site: WebSite) -> None:
    for address in (path(IMAGES[0]), f"{path(IMAGES[0])}/frames/1", f"{path(ODD)}/bulkdata/7FE00010"):
        answer = site.ask(address)
        assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_json_is_zipped_where_that_is_taken_and_pixels_are_not(site: WebSite) -> None:
    plain = site.ask("/studies/1.2.3.1/metadata")
    for taken in ("gzip", "br;q=0.9, gzip;q=0.1", "*"):
        zipped = site.ask("/studies/1.2.3.1/metadata", Accept_Encoding=taken)
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(zipped.body) == plain.body
    for not_taken in ("gzip;q=0, *", "br", "", "identity"):
        assert site.ask("/studies/1.2.3.1/metadata", Accept_Encoding=not_taken).body == plain.body
    assert site.ask(f"{path(IMAGES[0])}/frames/1", Accept_Encoding="gzip").headers["Content-Encoding"] is None


def test_a_viewer_s_accept_of_metadata_gets_json(site: WebSite) -> None:
    of_ohif = "application/dicom+json, multipart/related; type=application/octet-stream; transfer-syntax=*"
    answer = site.ask("/studies/1.2.3.1/metadata/", Accept=of_ohif)
    assert (answer.status, answer.type) == (200, "application/dicom+json")
    assert len(json.loads(answer.body)) == 3


def test_the_query_s_accept_wins_over_the_header_s(site: WebSite) -> None:
    answer = site.ask(f"{path(IMAGES[0])}/rendered?accept=image/png", Accept="image/jpeg")
    assert answer.type == "image/png"
    assert site.ask("/studies/1.2.3.1/metadata?accept=application/dicom+json", Accept="x/y").status == 200
    assert site.ask("/studies/1.2.3.1/metadata?accept=x/y", Accept="*/*").status == 406


NOT_ACCEPTABLE = {
    "/studies/1.2.3.1": ("application/dicom", "image/jpeg", "multipart/related; type=image/jpeg"),
    "/studies/1.2.3.1/metadata": ("application/xml", "application/dicom+xml", "text/html", DICOM),
    path(IMAGES[0]): (f"{DICOM}; transfer-syntax={JPEGBaseline8Bit}", "image/png"),
    f"{path(IMAGES[0])}/frames/1": (
        "image/jpeg",
        f"multipart/related; type={OCTETS}; transfer-syntax={JPEG2000Lossless}",
    ),
    f"{path(ODD)}/frames/1,2": (OCTETS,),
    f"{path(IMAGES[0])}/rendered": ("image/gif", "video/mpeg", OCTETS),
}


@pytest.mark.parametrize("address", NOT_ACCEPTABLE)
def test_what_is_not_acceptable_is_said_and_not_replaced(site: WebSite, address: str) -> None:
    for accept in NOT_ACCEPTABLE[address]:
        answer = site.ask(address, Accept=accept)
        assert answer.status == 406, accept
        assert answer.body.startswith(b"Not available as asked for. Available: ")


def test_a_study_of_which_some_can_be_sent_as_asked_for(site: WebSite) -> None:
    answer = site.ask("/studies/1.2.3.1", Accept=f"{DICOM}; transfer-syntax={JPEG2000Lossless}")
    assert answer.status == 206
    ((media_type, data),) = answer.parts
    assert media_type == f"application/dicom; transfer-syntax={JPEG2000Lossless}"
    assert dcmread(BytesIO(data)).SOPInstanceUID == IMAGES[1].SOPInstanceUID


HOSTILE = {
    f"{path(IMAGES[0])}/frames/0": 400,
    f"{path(IMAGES[0])}/frames/-1": 400,
    f"{path(IMAGES[0])}/frames/1,,2": 400,
    f"{path(IMAGES[0])}/frames/1.5": 400,
    f"{path(IMAGES[0])}/frames/all": 400,
    f"{path(IMAGES[0])}/frames/%D9%A1": 400,
    f"{path(IMAGES[0])}/frames/{'9' * 30}": 400,
    f"{path(IMAGES[0])}/frames/99999": 404,
    f"{path(IMAGES[0])}/frames/1,1": 404,
    f"{path(IMAGES[0])}/frames/2/rendered": 404,
    f"{path(ODD)}/frames/1,2/rendered": 400,
    "/studies/1.2.3.99": 404,
    "/studies/1.2.3.99/metadata": 404,
    "/studies/1.2.3.99/rendered": 404,
    "/studies/1.2.3.1/series/1.2.3.99": 404,
    "/studies/1.2.3.1/series/1.2.3.1.1/instances/9": 404,
    "/studies/1.2.3.2/series/1.2.3.1.1/instances/1.2.3.1.1.1": 404,
    "/studies/..%2f..%2fetc": 404,
    "/studies/..": 400,
    "/studies/1.2.3.1'": 400,
    f"/studies/{'1' * 65}": 400,
    "/studies/1.2.3.1%00/metadata": 400,
    "/studies/nan/rendered": 400,
    f"{path(IMAGES[0])}/bulkdata/00100010": 404,
    f"{path(IMAGES[0])}/bulkdata/..%2f..%2fetc%2fpasswd": 404,
    f"{path(IMAGES[0])}/bulkdata/xyz": 404,
    f"{path(IMAGES[0])}/bulkdata/00081140/1/00081150": 404,
    f"{path(IMAGES[0])}/bulkdata/00100010/1/00081150": 404,
    f"{path(PDF)}/frames/1": 404,
    f"{path(PDF)}/bulkdata/7FE00010": 404,
}


@pytest.mark.parametrize("address", HOSTILE)
def test_addresses_of_nothing(site: WebSite, address: str) -> None:
    for method in ("GET", "HEAD"):
        answer = site.ask(address, method)
        assert answer.status == HOSTILE[address], answer.body
        assert answer.body.count(b"\n") <= 1


PARAMETERS = (
    "viewport=1000000,1000000", "viewport=0,1", "viewport=nan,5", "viewport=1e400,1", "viewport=5", "viewport=",
    "viewport=5,5,5", "viewport=5,5,-1,0", "viewport=5,5,0,0,inf,1", "viewport=-5,5", "window=1,2",
    "window=nan,1,linear", "window=1,inf,linear", "window=1,0,linear", "window=1,-5,sigmoid", "window=1,0.5,linear",
    "window=1,2,cubic", "window=1_0,2,linear", "window=", "quality=0", "quality=101", "quality=nan", "quality=", "quality=-1",
    "quality=%D9%A1",
)  # fmt: skip


@pytest.mark.parametrize("query", PARAMETERS)
def test_parameters_that_are_none(site: WebSite, query: str) -> None:
    answer = site.ask(f"{path(IMAGES[0])}/rendered?{query}")
    assert answer.status == 400
    assert answer.body.startswith(query.partition("=")[0].encode())


def test_a_header_of_any_length_is_refused_or_read(site: WebSite) -> None:
    for accept in ("*/*," * 5000, 'a/b;c="' + "\\" * 20000, "application/dicom+json," * 1000):
        assert site.ask("/studies/1.2.3.1/metadata", Accept=accept).status in (200, 406)


def shown(answer: Answer) -> np.ndarray:
    assert answer.status == 200, answer.body
    return cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_UNCHANGED)


def test_windows_are_those_of_the_standard(site: WebSite) -> None:
    address = f"{path(IMAGES[0])}/rendered?accept=image/png&window="
    stored = (PIXELS + 1).astype(float)
    linear = np.clip((stored - 1999.5) / 999 + 0.5, 0, 1)
    exact = np.clip((stored - 2000) / 1000 + 0.5, 0, 1)
    sigmoid = 1 / (1 + np.exp(-4 * (stored - 2000) / 1000))
    for function, expected in (("linear", linear), ("linear-exact", exact), ("SIGMOID", sigmoid)):
        found = shown(site.ask(f"{address}2000,1000,{function}"))
        assert np.abs(found - expected * 255).max() <= 1, function
    assert shown(site.ask(f"{address}100000000,1,linear")).max() == 0


def test_viewports_cut_fit_and_mirror(site: WebSite) -> None:
    address = f"{path(IMAGES[0])}/rendered?accept=image/png"
    whole = shown(site.ask(address))
    assert whole.shape == (24, 20)
    assert shown(site.ask(f"{address}&viewport=10,100")).shape == (12, 10)
    assert shown(site.ask(f"{address}&viewport=40,480")).shape == (48, 40)
    region = shown(site.ask(f"{address}&viewport=6,8,5,4,6,8"))
    assert np.array_equal(region, whole[4:12, 5:11])
    mirrored = shown(site.ask(f"{address}&viewport=6,8,5,4,-6,-8"))
    assert np.array_equal(mirrored, region[::-1, ::-1])
    assert shown(site.ask(f"{address}&viewport=9,9,19,23,500,500")).shape == (9, 9)
    assert shown(site.ask(f"{address}&viewport=9,9,500,500")).shape == (9, 9)
    assert max(shown(site.ask(f"{path(IMAGES[0])}/thumbnail")).shape) == 256
    assert shown(site.ask("/studies/1.2.3.1/thumbnail?viewport=12,12")).shape == (12, 10)
    low, high = (len(site.ask(f"{path(IMAGES[0])}/rendered?quality={q}").body) for q in (1, 100))
    assert low < high
