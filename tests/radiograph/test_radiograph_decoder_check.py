"""The net under the decoders: samples with known values, and what happens where one comes out otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from coded import PLAIN, codestream, described, fragments, raw, scene
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless

from xrv_node.doctor import decoders as doctor
from xrv_node.errors import ImageError
from xrv_node.radiograph import decoder_check, decoders
from xrv_node.radiograph.codestream import ImageClaim, Process, claim
from xrv_node.radiograph.read import read
from xrv_node.radiograph.syntaxes import PROCESSES


@pytest.fixture
def _other_jpeg_lossless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A decoder that is off by one in one sample, as after an upgrade."""
    right = decoders._DECODERS[Process.JPEG_LOSSLESS]

    def off(data: bytes, size: ImageClaim) -> np.ndarray:
        samples = right(data, size).copy()
        samples[3, 4] ^= 1
        return samples

    monkeypatch.setitem(decoders._DECODERS, Process.JPEG_LOSSLESS, off)
    decoder_check.wrong.cache_clear()
    yield
    decoder_check.wrong.cache_clear()


def test_every_compressed_transfer_syntax_has_samples() -> None:
    assert {sample.uid for sample in decoder_check.ALL} == set(PROCESSES)
    assert {sample.path for sample in decoder_check.ALL} == set(decoder_check.SAMPLES.iterdir())
    assert sum(path.stat().st_size for path in decoder_check.SAMPLES.iterdir()) < 200_000


@pytest.mark.parametrize("sample", decoder_check.ALL, ids=lambda sample: sample.path.name)
def test_the_samples_are_what_they_say(sample: decoder_check.Sample) -> None:
    assert decoder_check.is_right(sample)
    data = sample.path.read_bytes()
    size = claim(data)
    assert (size is None) == (PROCESSES[sample.uid] == Process.RLE)
    if size:
        assert (size.process, size.precision) == (PROCESSES[sample.uid], sample.bits)


@pytest.mark.parametrize("sample", decoder_check.ALL, ids=lambda sample: sample.path.name)
def test_other_decoders_agree(sample: decoder_check.Sample) -> None:
    if sample.kind == "modulo":
        pytest.skip("pylibjpeg-libjpeg clamps what counts modulo 65536")
    decoder = get_decoder(sample.uid)
    options = {
        "rows": decoder_check.ROWS, "columns": decoder_check.COLUMNS, "samples_per_pixel": 1, "number_of_frames": 1,
        "photometric_interpretation": "MONOCHROME2", "bits_allocated": 8 if sample.bits <= 8 else 16,
        "bits_stored": sample.bits, "pixel_representation": int(sample.signed), "pixel_keyword": "PixelData",
    }  # fmt: skip
    found, _ = decoder.as_array(fragments(sample.path.read_bytes(), end=b""), raw=True, **options)
    expected = decoder_check.picture(sample.bits) - (sample.signed << (sample.bits - 1))
    assert np.abs(found.astype(int) - expected).max() <= sample.tolerance


@pytest.mark.usefixtures("_other_jpeg_lossless")
def test_a_syntax_whose_decoder_is_wrong_is_refused(tmp_path: Path) -> None:
    pixels = scene(12)
    coded = fragments(codestream(pixels, 12, JPEGLosslessSV1))
    for syntax in (JPEGLosslessSV1, JPEGLSLossless, *PLAIN):  # by what the pixel data are
        path = raw(described(12), coded, tmp_path / "image.dcm", syntax)
        with pytest.raises(
            ImageError, match=r"imagecodecs .* decodes JPEG Lossless.* wrongly .* requirements.lock"
        ):
            read(path)
    others = raw(
        described(12),
        fragments(codestream(pixels, 12, JPEGLSLossless)),
        tmp_path / "other.dcm",
        JPEGLSLossless,
    )
    assert np.array_equal(read(others).pixels, pixels)


@pytest.mark.usefixtures("_other_jpeg_lossless")
def test_the_doctor_names_it() -> None:
    findings = list(doctor.decoders(None))
    assert [state for state, _, _ in findings] == ["fail", "fail"]
    assert all("wrongly" in says and "requirements.lock" in remedy for _, says, remedy in findings)


def test_the_doctor_is_content(monkeypatch: pytest.MonkeyPatch) -> None:
    ((state, says, _),) = doctor.decoders(None)
    assert (state, "12 transfer syntaxes" in says) == ("ok", True)
    monkeypatch.setattr(decoders, "find_spec", lambda _name: None)
    ((state, says, remedy),) = doctor.decoders(None)
    assert (state, "not analysed" in says, "imagecodecs" in remedy) == ("warn", True, True)


def test_a_damaged_sample_is_not_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_check, "SAMPLES", tmp_path)
    sample = decoder_check.ALL[0]
    assert not decoder_check.is_right(sample)
    sample.path.write_bytes(b"\xff\xd8 none")
    assert not decoder_check.is_right(sample)
