"""Writes the samples by which the node checks its decoders: ``python tests/radiograph/decoder_samples.py``.

Each is encoded by a library that is not the one that decodes it, where there is such an encoder.
"""

from __future__ import annotations

import imagecodecs
import jpeg_ls
import numpy as np
from coded import lossless_jpeg, narrow, segments
from openjpeg.utils import encode_array

from xrv_node.radiograph.decoder_check import ALL, SAMPLES, Sample, picture


def encoded(sample: Sample) -> bytes:
    bits, pixels = sample.bits, narrow(picture(sample.bits).astype(np.uint16), sample.bits)
    if sample.syntax in ("JPEGBaseline8Bit", "JPEGExtended12Bit"):
        return bytes(imagecodecs.jpeg8_encode(pixels, level=100, bitspersample=bits))
    if sample.syntax.startswith("JPEGLossless"):
        predictor = int(sample.kind[-1]) if sample.kind.startswith("predictor") else 1
        return lossless_jpeg(pixels, bits, predictor, signed=sample.kind == "modulo")
    if sample.syntax.startswith("JPEGLS"):
        size = {"rows": pixels.shape[0], "columns": pixels.shape[1], "samples_per_pixel": 1}
        depth = {"bits_allocated": pixels.itemsize * 8, "bits_stored": bits}
        return bytes(jpeg_ls.encode_pixel_data(pixels.tobytes(), sample.tolerance, **size, **depth))
    if sample.syntax == "RLELossless":
        return segments(pixels)
    if sample.syntax.startswith("HTJ2K"):
        reversible = sample.syntax != "HTJ2K"
        return bytes(imagecodecs.htj2k_encode(pixels, None if reversible else 0.001, reversible=reversible))
    values = pixels if not sample.signed else (pixels.astype(np.int32) - (1 << (bits - 1))).astype(np.int16)
    ratios = {"compression_ratios": [1.5]} if sample.syntax == "JPEG2000" else {}
    return bytes(
        encode_array(values, bits_stored=bits, photometric_interpretation=2, codec_format=0, **ratios)
    )


if __name__ == "__main__":
    SAMPLES.mkdir(exist_ok=True)
    for one in ALL:
        one.path.write_bytes(encoded(one))
