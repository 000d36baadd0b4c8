"""Fixtures of the models' tests: images, and files of the released kinds."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import recipes
import torch
from recipes import recipe

from xrv_node.models import catalog


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Threads that wait for a busy core cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def golden_image() -> torch.Tensor:
    """``[1, 1, 512, 512]``: 00000001_000.png of torchxrayvision's tests."""
    try:
        return recipes.golden_image()
    except FileNotFoundError as error:
        pytest.skip(f"{error.filename} is not here")


@pytest.fixture(scope="session")
def golden_224(golden_image: torch.Tensor) -> torch.Tensor:
    """The same at 224 by the resampler of the written down numbers (scikit-image)."""
    return recipes.shrunk(golden_image, 224)


@pytest.fixture(scope="session")
def image() -> torch.Tensor:
    """``[1, 1, 512, 512]`` in [-1024, 1024]: smooth structure, from a generator of its own."""
    return recipes.smooth_image()


@pytest.fixture
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue without digests, for files that only stand in for the released ones."""
    entries = tuple(replace(entry, sha256=None, bytes=None) for entry in catalog.entries())
    monkeypatch.setattr(catalog, "entries", lambda *_: entries)


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory):
    """A folder with three files named and made as the released ones are, which torchxrayvision loads too.

    DenseNet: the whole module in the format before PyTorch 1.6. Autoencoder: a state dict (zip). PSPNet: a
    state dict of DataParallel.
    """
    import torchxrayvision

    folder = tmp_path_factory.mktemp("released")
    module = torchxrayvision.models.DenseNet(weights=None)
    module.load_state_dict(recipe("densenet121", "F"))
    torch.save(module, folder / catalog.find("all").file, _use_new_zipfile_serialization=False)
    torch.save(recipe("resnet_autoencoder", "F2"), folder / catalog.find("101-elastic").file)
    wrapped = {f"module.{key}": value for key, value in recipe("pspnet", "F2").items()}
    torch.save(wrapped, folder / catalog.find("chestx_det").file)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def served(released, monkeypatch):
    """A catalogue whose addresses are those of a server on this machine; yields the paths asked for."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    asked: list[str] = []
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Handler(*a, directory=str(released)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/{catalog.find('all').file}"
    entries = tuple(
        replace(entry, url=base, mirror=None, sha256=None, bytes=None)
        if entry.name == catalog.find("nih").name
        else entry
        for entry in catalog.entries()
    )
    monkeypatch.setattr(catalog, "entries", lambda *_: entries)
    yield asked
    server.shutdown()
    server.server_close()
