"""What is written for a user to look at: where colour and outlines lie, and what stands beside them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import small_networks
import torch
import untrained
from images_cases import dicom, draw
from pydicom import dcmread
from torch import Tensor

from xrv_node.analyse.attribution import METHODS, grad_cam
from xrv_node.analyse.gate import ssim
from xrv_node.errors import ConfigError, XrvNodeError
from xrv_node.lab.images import batches, drawing, embed, explain, reconstruct, segment
from xrv_node.lab.images.batches import Options
from xrv_node.lab.images.explain import Explained
from xrv_node.lab.images.files import Unread
from xrv_node.lab.images.reconstruct import Reconstructed
from xrv_node.lab.images.segment import Segmented
from xrv_node.models.model import Segmenter
from xrv_node.radiograph.display import display
from xrv_node.radiograph.prepare import frame, prepare
from xrv_node.radiograph.read import Radiograph, read
from xrv_node.report.lettering import RED, WHITE

FINDINGS = ("Infiltration", "effusion")


def rgb(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def explained(path: Path, method: str, **options: object) -> Explained:
    (result,) = explain.explain(path, FINDINGS, method=method, **options)
    assert isinstance(result, Explained)
    return result


# heat maps


@pytest.mark.parametrize(("rows", "columns"), [(700, 1100), (2400, 1500), (300, 300)])
def test_heat_lies_where_it_belongs(rows: int, columns: int) -> None:
    """A hot cell of the map is the hottest place of the picture, in the source's proportions."""
    square = frame(rows, columns)
    heat = np.zeros((7, 7), np.float32)
    heat[1, 5] = 2.0
    legend = drawing.Legend([("Test", WHITE)], 2.0)
    pixels = np.full((rows, columns), 70, np.uint8)
    picture = drawing.heat_picture(pixels, heat, square, legend, phantom=False)
    shown = int(np.clip(rows, drawing.LOWEST, drawing.HIGHEST))
    scale = shown / rows
    image = picture[:shown, : round(columns * scale)].astype(int)
    red = image[..., 0] - image[..., 2]
    row, column = np.unravel_index(cv2.blur(red.astype(np.float32), (9, 9)).argmax(), red.shape)
    cell = square.side / 7
    assert abs(row / scale - (square.top + 1.5 * cell)) < 0.25 * cell
    assert abs(column / scale - (square.left + 5.5 * cell)) < 0.25 * cell
    outside = np.ones(image.shape[:2], bool)
    top, left, side = (round(n * scale) for n in (square.top, square.left, square.side))
    outside[max(top - 1, 0) : top + side + 1, max(left - 1, 0) : left + side + 1] = False
    assert (image[outside] == 70).all()
    cold = image[top + side // 2 : top + side - 3, left + side // 2]
    assert (cold == 70).all()  # no heat: the radiograph as it is


def test_the_panel_has_a_bar_and_the_notice_stands_below() -> None:
    pixels, heat = np.full((800, 800), 90, np.uint8), np.ones((7, 7), np.float32)
    legend = drawing.Legend([("Test", WHITE)], 3.0)
    one, other = (
        drawing.heat_picture(pixels, heat, frame(800, 800), legend, phantom=c) for c in (False, True)
    )
    assert one.shape == other.shape
    assert np.array_equal(one[:800], other[:800])
    band = [int((p[800:] == RED).all(axis=-1).any(axis=0).nonzero()[0].max()) for p in (one, other)]
    assert band[1] > band[0] > 100  # the words for phantoms' networks are added
    panel = one[:800, 800:].astype(int)
    spread = panel.max(axis=2) - panel.min(axis=2)
    coloured = (spread > 10).any(axis=1).nonzero()[0]
    assert coloured.max() - coloured.min() > 200  # the bar
    assert (spread[:20] == 0).all()  # the words are white


def test_a_line_that_is_too_long_is_made_smaller_and_not_cut() -> None:
    from xrv_node.report.lettering import panel

    for words in (
        "gaussian-linear, zero border (skimage.transform.resize)",
        "Where the score comes from " * 2,
    ):
        for rows in (480, 800, 1024, 1200):
            made = panel(rows, [(words, WHITE)])
            assert not made[:, -2:].any(), (words, rows)
            assert made[:, -made.shape[1] // 3 :].any()


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_written_with_what_made_them(tmp_path: Path, method: str) -> None:
    result = explained(draw(tmp_path / "a.png", rows=300, columns=400), method)
    assert result.findings == ("Infiltration", "Effusion")
    assert result.maps.shape[0] == 2
    assert result.maps.any()
    files = explain.write(result, tmp_path / "out")
    assert [f.relative_to(tmp_path / "out").as_posix() for f in files] == [
        f"a/Infiltration-{method}.png",
        f"a/Effusion-{method}.png",
        f"a/{method}.npz",
    ]
    for file in files[:2]:
        picture = rgb(file)[: drawing.LOWEST, : drawing.LOWEST * 4 // 3].astype(int)
        assert (picture.max(axis=2) - picture.min(axis=2) > 60).any()
        assert np.array_equal(picture[:, 10, 0], picture[:, 10, 2])  # outside the square there is no colour
    with np.load(files[2], allow_pickle=False) as kept:
        assert np.array_equal(kept["maps"], result.maps)
        assert kept["findings"].tolist() == ["Infiltration", "Effusion"]
        assert kept["frame"].tolist() == [300, 400, 0, 50, 300]
        assert kept["notice"] == ""
        assert kept["method"] == method
        assert str(kept["resampler"]).startswith("gaussian-linear")
        assert kept["model"] == "densenet121-res224-all"
        assert len(str(kept["sha256"])) == 64


def test_maps_and_scores_are_the_classifier_s(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    result = explained(path, "gradcam", resampler="area")
    model = untrained.get_model("all")
    x = torch.from_numpy(prepare(read(path), 224, "area"))[None, None]
    heads = [model.targets.index(name) for name in result.findings]
    assert np.allclose(result.scores, model(x)[0, heads].numpy(), atol=1e-6)
    assert np.allclose(result.maps, grad_cam(model, x, heads)[0].numpy(), rtol=1e-4, atol=1e-7)


def test_without_names_the_present_findings_are_explained(tmp_path: Path) -> None:
    paths = [draw(tmp_path / f"{n}.png", n) for n in range(2)]
    both = list(explain.explain(paths, batch=2))
    model = untrained.get_model("all")
    for path, result in zip(paths, both, strict=True):
        assert isinstance(result, Explained)
        scores = model(torch.from_numpy(prepare(read(path), 224))[None, None])[0]
        present = [name for name, score in zip(model.targets, scores, strict=True) if score >= 0.5]
        assert list(result.findings) == present
        assert len(result.maps) == len(present) > 1


def test_the_highest_is_explained_where_nothing_is_present(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xrv_node.models.model import Classifier

    real = Classifier.scores
    monkeypatch.setattr(Classifier, "scores", lambda self, logits: real(self, logits) * 0.4)
    (result,) = explain.explain(draw(tmp_path / "a.png"))
    assert isinstance(result, Explained)
    assert len(result.findings) == 1
    assert result.scores[0] < 0.5


def test_what_cannot_be_explained_is_refused(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    for arguments, words in (
        (
            {"findings": ["Lung Lesion"], "weights": "nih"},
            "was not trained on 'Lung Lesion': use one of Atel",
        ),
        ({"method": "lime"}, "use one of gradcam, guided, gradient"),
        ({"weights": "chestx_det"}, r"\(segmenter\)"),
    ):
        with pytest.raises(ConfigError, match=words):
            explain.explain(path, **arguments)


# structures


class Fixed(Segmenter):
    """Outlines two rectangles, where a test is about what is made of masks."""

    def forward(self, x: Tensor) -> Tensor:
        logits = x.new_full((len(x), len(self.targets), 512, 512), -1.0)
        logits[:, self.targets.index("Heart"), 100:300, 200:300] = 1
        logits[:, self.targets.index("Spine"), 50:450, 240:260] = 1
        return logits


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    from xrv_node.lab.images import batches as room

    def load(*arguments: object, **options: object) -> Segmenter:
        model = untrained.get_model("view")  # any small network: its weights are not asked
        from xrv_node.models import catalog

        return Fixed(catalog.find("chestx_det"), model.network, "f" * 64)

    monkeypatch.setattr(room, "get_model", load)


def test_masks_lie_on_the_image_s_own_matrix(tmp_path: Path, fixed: None) -> None:
    path = draw(tmp_path / "a.png", rows=600, columns=800)
    (result,) = segment.segment(path)
    assert isinstance(result, Segmented)
    heart = result.mask("heart")
    rows, columns = heart.nonzero()
    scale = 600 / 512
    assert heart.shape == (600, 800)
    assert abs(rows.min() - 100 * scale) <= 1
    assert abs(rows.max() - 300 * scale) <= 1
    assert abs(columns.min() - (100 + 200 * scale)) <= 1
    assert abs(columns.max() - (100 + 300 * scale)) <= 1
    files = segment.write(result, tmp_path / "out")
    assert len(files) == 15
    kept = cv2.imread(str(tmp_path / "out" / "a" / "Heart.png"), cv2.IMREAD_UNCHANGED)
    assert kept.dtype == np.uint8
    assert np.array_equal(kept, heart * np.uint8(255))
    assert not cv2.imread(str(tmp_path / "out" / "a" / "Left_Lung.png"), cv2.IMREAD_UNCHANGED).any()
    image = rgb(files[0])[:600, :800]
    from xrv_node.report import codes

    drawn = (image == codes.structure("Heart").color).all(axis=-1)
    assert drawn.any()
    near = cv2.morphologyEx(heart.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((7, 7), np.uint8)).astype(
        bool
    )
    assert not (drawn & ~near).any()
    spine = result.mask("Spine")
    touched = image != display(read(path))[..., np.newaxis]
    rims = [cv2.morphologyEx(m.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((7, 7))) for m in (heart, spine)]
    assert not (touched.any(axis=-1) & ~(rims[0] + rims[1]).astype(bool)).any()


def test_chosen_structures_alone_are_drawn(tmp_path: Path, fixed: None) -> None:
    (result,) = segment.segment(draw(tmp_path / "a.png"))
    assert isinstance(result, Segmented)
    files = segment.write(result, tmp_path / "out", ["Spine"])
    assert [f.name for f in files] == ["overlay.png", "Spine.png"]
    with pytest.raises(ConfigError, match="no structure is called 'Liver': use one of"):
        segment.write(result, tmp_path / "out", ["Liver"])


def test_a_dicom_image_gets_a_segmentation(tmp_path: Path, fixed: None) -> None:
    highdicom = pytest.importorskip("highdicom")
    path = dicom(tmp_path / "a.dcm")
    (result,) = segment.segment(path)
    assert isinstance(result, Segmented)
    files = segment.write(result, tmp_path / "out", ["Spine"], seg=True)
    made = highdicom.seg.segread(files[-1])
    source = dcmread(path)
    assert made.StudyInstanceUID == source.StudyInstanceUID
    assert (made.Rows, made.Columns) == (source.Rows, source.Columns)
    labels = [item.SegmentLabel for item in made.SegmentSequence]
    assert labels == ["Heart", "Spine"]  # all structures, whichever are drawn
    frames = made.pixel_array.astype(bool)
    assert np.array_equal(frames[labels.index("Heart")], result.mask("Heart"))
    parameters = made.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters
    assert "classifier=not run" in parameters
    assert "segmenter=chestx_det" in parameters


def test_a_picture_gets_no_segmentation(tmp_path: Path, fixed: None) -> None:
    (result,) = segment.segment(draw(tmp_path / "a.png"))
    assert isinstance(result, Segmented)
    assert all(f.suffix == ".png" for f in segment.write(result, tmp_path / "out", ["Spine"], seg=True))


def test_structures_are_the_network_s(tmp_path: Path) -> None:
    """The real network, once: shapes and names."""
    (result,) = segment.segment(dicom(tmp_path / "a.dcm"))
    assert isinstance(result, Segmented)
    assert result.masks.shape == (14, 512, 512)
    model = untrained.get_model("chestx_det")
    assert isinstance(model, Segmenter)
    x = torch.from_numpy(prepare(read(result.path), 512))[None, None]
    with torch.no_grad():
        assert np.array_equal(model.masks(x)[0].numpy(), result.masks)
    files = segment.write(result, tmp_path / "out", seg=True)
    assert files[-1].name == "seg.dcm"
    made = dcmread(files[-1])
    assert all("PHANTOM" not in item.SegmentLabel for item in made.SegmentSequence)


def test_only_segmenters_segment(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"\(classifier\) outlines nothing: name a segmenter, for example chestx_det"
    ):
        segment.segment(tmp_path / "a.png", "all")


# reconstructions


def test_errors_are_between_input_and_output(tmp_path: Path) -> None:
    skimage = pytest.importorskip("skimage.metrics")
    path = draw(tmp_path / "a.png", rows=500, columns=400)
    (result,) = reconstruct.reconstruct(path)
    assert isinstance(result, Reconstructed)
    model = untrained.get_model("101-elastic")
    x = torch.from_numpy(prepare(read(path), 224))[None, None]
    with torch.no_grad():
        out = model.decode(model.encode(x))[0, 0].numpy()
    assert np.allclose(result.reconstruction, out, atol=1e-2)
    assert result.mae == pytest.approx(float(np.abs(x[0, 0].numpy() - out).mean()), rel=1e-5)
    expected = skimage.structural_similarity(
        (result.image.astype(np.float64) + 1024) / 2048,
        (np.clip(result.reconstruction, -1024, 1024).astype(np.float64) + 1024) / 2048,
        data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    assert result.ssim == pytest.approx(expected, abs=1e-6)
    assert ssim(result.image, result.image) == pytest.approx(1)
    picture = rgb(reconstruct.write(result, tmp_path / "out"))
    side = 448  # 224 is enlarged to be read
    grey = picture[:side, : 3 * side : 2, 0][::2]
    assert np.abs(grey[:, :224].astype(float) - (result.image + 1024) / 2048 * 255).max() <= 1
    assert np.abs(grey[:, 448:].astype(float) - np.abs(result.image - out) / 2048 * 255).max() <= 1
    assert (picture == RED).all(axis=-1).sum() > 50
    with pytest.raises(ConfigError, match="name an autoencoder, for example 101-elastic"):
        reconstruct.reconstruct(path, "all")


# files


def test_grey_is_the_whole_range() -> None:
    pixels = np.array([[100, 600], [1100, 2000]], np.uint16)
    assert display(Radiograph(pixels, 100, 1100)).tolist() == [[0, 127], [255, 255]]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(XrvNodeError, match=r"a\.png cannot be written \(.*\): name another --out"):
        drawing.save(tmp_path / "file" / "a.png", np.zeros((2, 2), np.uint8))


def test_paths_may_be_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in every example: what is read, where results go, where the models are."""
    monkeypatch.setattr(batches, "get_model", small_networks.get_model)
    picture, out = str(draw(tmp_path / "a.png")), str(tmp_path / "out")
    options: Options = {"directory": str(tmp_path)}
    (segmented,) = segment.segment(picture, **options)
    (explained,) = explain.explain([picture], ["Mass"], **options)
    (reconstructed,) = reconstruct.reconstruct(picture, **options)
    (embedded,) = embed.embed(picture, **options)
    assert not {type(one) for one in (segmented, explained, reconstructed, embedded)} & {Unread}
    written = [
        *segment.write(segmented, out),
        *explain.write(explained, out),
        reconstruct.write(reconstructed, out),
    ]
    embed.write([embedded], f"{out}/features.npz")
    assert all(path.is_file() for path in [*written, Path(out, "features.npz")])
