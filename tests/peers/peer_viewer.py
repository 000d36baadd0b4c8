"""OHIF on an archive, in Chromium: what a person sees of a study, and whether the viewer complained."""

from __future__ import annotations

import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from peer_programs import HOST, alive, missing, program, running, until
from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "docker" / "ohif"
"""For nginx and OHIF, as the containers have it."""
OHIF = ROOT / ".tools" / "ohif-3.13.2" / "dist"
"""The ready build inside the npm package ``@ohif/app``; ``make viewer`` fetches it."""

ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",  # there is no graphics card
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",  # the viewer may ask this machine only
]
_IDLE_MS, _IDLE_MAX_MS, _DRAWN_MS = 1200, 25_000, 30_000
_OPENINGS, _LOOKS = 3, 6
_THUMBNAIL = '[data-cy^="study-browser-thumbnail"]'
_COMPLAINT = "wrong|error|could not|not supported|failed|unable"

_BEFORE = """() => {
  localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']));
  window.toasts = [];
  const look = () => document.querySelectorAll('[data-sonner-toast]').forEach(e => {
    const text = e.innerText.replace(/\\s+/g, ' ').trim();
    if (text && !window.toasts.includes(text)) window.toasts.push(text);
  });
  document.addEventListener('DOMContentLoaded', () => new MutationObserver(look).observe(
    document.documentElement, {childList: true, subtree: true, characterData: true}));
}"""

_LOOK = """() => {
  const services = window.services, tools = window.cornerstoneTools, grid = document.querySelector('[data-cy="viewport-grid"]');
  const sets = services?.displaySetService?.getActiveDisplaySets() || [];
  const seen = {toasts: window.toasts, alive: !!grid, text: grid ? grid.innerText : '',
    frames: document.querySelectorAll('object[type="application/pdf"],embed[type="application/pdf"],iframe').length,
    unsupported: sets.filter(d => d.unsupported).map(d => d.SeriesInstanceUID), lit: 0, coloured: 0};
  const canvas = document.querySelector('canvas.cornerstone-canvas');
  if (canvas) {
    const small = document.createElement('canvas'); small.width = 200; small.height = 125;
    const context = small.getContext('2d'); context.drawImage(canvas, 0, 0, 200, 125);
    const data = context.getImageData(0, 0, 200, 125).data;
    for (let i = 0; i < data.length; i += 4) {
      const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
      if (r + g + b > 60) seen.lit += 1 / 25000;
      if (Math.max(r, g, b) - Math.min(r, g, b) > 40) seen.coloured += 1 / 25000;
    }
  }
  const pixels = ids => {
    const counts = {};
    for (const id of ids) {
      const image = window.cornerstone.cache.getImage(id);
      for (const value of image ? image.voxelManager?.getScalarData?.() || image.getPixelData() : [])
        if (value) counts[value] = (counts[value] || 0) + 1;
    }
    return counts;
  };
  seen.segments = (services?.segmentationService?.getSegmentations() || []).flatMap(s => {
    const map = s.representationData?.Labelmap || {};
    const layers = Object.values(map.labelmaps || {}).flatMap(l => l.imageIds || []);
    const counts = pixels([...new Set([...(map.imageIds || []), ...layers])]);
    return Object.values(s.segments).map(g => ({number: g.segmentIndex, label: g.label, pixels: counts[g.segmentIndex] || 0}));
  });
  seen.annotations = (tools?.annotation?.state?.getAllAnnotations() || []).map(a => ({
    text: (a.data?.labels || []).map(l => `${l.label}: ${l.value}`)}));
  return seen;
}"""

_DRAW = "() => (window.cornerstone?.getRenderingEngines() || []).forEach(engine => engine.render())"


@dataclass(frozen=True)
class Seen:
    """What the viewer shows after a series was opened."""

    alive: bool
    """The page is still there; an object that OHIF cannot take leaves it black."""
    complaints: list[str]
    """Messages that popped up and tell of an error."""
    unsupported: bool
    """The series is listed with a warning sign and cannot be opened."""
    text: str
    lit: float
    """Part of the viewport that is not black."""
    coloured: float
    frames: int
    """Embedded documents."""
    segments: list[dict[str, Any]] = field(default_factory=list)
    """Number, label and pixels of each segment that is loaded."""
    annotations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """Opened, and no complaint."""
        return self.alive and not self.complaints and not self.unsupported


def ohif() -> Path:
    """Where OHIF is; without it the test is skipped, or fails as in :func:`peer_programs.find`."""
    if (OHIF / "index.html").is_file():
        return OHIF
    if os.environ.get("XRV_NODE_PEERS") == "required":
        pytest.fail(missing(f"OHIF ({OHIF})"))
    pytest.skip(missing(f"OHIF ({OHIF})"))


@contextmanager
def viewer(
    directory: Path,
    pages: Path,
    *,
    orthanc: int | None = None,
    node: int = 9,
    port: int = 0,
    config: Path = CONFIGURATION,
) -> Iterator[str]:
    """Serve a viewer's pages beside a DICOMweb, on this machine only.

    Parameters
    ----------
    orthanc, node
        The port of the one that is shown.
    port
        Where it is served; 0: anywhere.
    config
        The folder with the viewer's ``app-config.js``.

    Yields
    ------
    str
        Its address.
    """
    nginx = program("nginx")
    directory.mkdir(exist_ok=True)
    port, other = port or free_port(), free_port()
    settings, log = directory / "nginx.conf", directory / "nginx.log"
    text = (CONFIGURATION / "nginx.conf").read_text()
    for there, here in {
        " /tmp/": f" {directory}/",
        "listen 8080;": f"listen {HOST}:{port if orthanc else other};",
        "listen 8081;": f"listen {HOST}:{other if orthanc else port};",
        "http://orthanc:8042": f"http://{HOST}:{orthanc or 9}",
        "http://node:8080": f"http://{HOST}:{node}",
        "/usr/share/nginx/html": str(pages),
        "/etc/ohif/": f"{config}/",
    }.items():
        assert there in text
        text = text.replace(there, here)
    settings.write_text(text)
    address = f"http://{HOST}:{port}"
    # Its workers may read what only the tests' user may.
    with running([nginx, "-c", str(settings), "-g", "daemon off; user root;"], log) as process:

        def look() -> bool:
            alive(process, log)
            try:
                with urllib.request.urlopen(f"{address}/app-config.js", timeout=5) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, ConnectionError):
                return False

        until("answer of the viewer's server", look, seconds=20)
        yield address


class Browser:
    """Chromium with the viewer in it."""

    def __init__(self, page: Any, address: str, pictures: Path, also: str = "", token: str = "") -> None:
        self._page, self._address, self._pictures = page, address, pictures
        self._also, self._token = also, token
        self.strangers: list[str] = []
        """What the viewer asked of anyone but its own server."""
        page.on("request", self._note)
        page.add_init_script(f"({_BEFORE})()")

    def another(self, address: str, also: str, token: str) -> Browser:
        """The same program at another viewer, which asks one more address and shows it a token."""
        context = self._page.context.browser.new_context(service_workers="block")
        return Browser(context.new_page(), address, self._pictures, also, f"&token={token}")

    def list_studies(self, picture: str, **wanted: str) -> str:
        """Open the study list with these parameters of its address; what it says."""
        self._page.goto(f"{self._address}/?{urllib.parse.urlencode(wanted)}")
        self._settle()
        self._page.screenshot(path=str(self._pictures / f"{picture}.png"))
        return str(self._page.locator("body").inner_text())

    def open_study(self, uid: str, picture: str) -> Seen:
        """Open a study and look at what stands there first."""
        self._page.goto(f"{self._address}/viewer?StudyInstanceUIDs={uid}{self._token}")
        self._settle()
        self._page.wait_for_selector(_THUMBNAIL, timeout=30_000)
        return self._look(picture)

    def open_series(
        self, study: str, description: str, uid: str, picture: str, shows: Callable[[Seen], bool]
    ) -> Seen:
        """Open a series of a freshly opened study with a double click, and answer Yes to what it asks.

        Parameters
        ----------
        shows
            Tells when what is to be seen is there. A busy machine draws late; a parametric map that is loaded
            often shows only once the viewport is drawn again, as it is when a person moves the image.
        """
        for _ in range(_OPENINGS):
            self.open_study(study, picture)
            self._page.locator(_THUMBNAIL, has_text=description).first.dblclick()
            self._settle()
            if "AI anatomy" in description:
                yes = self._page.get_by_role("button", name="Yes", exact=True)
                yes.first.wait_for(timeout=_DRAWN_MS)
                yes.first.click()
                self._settle()
                self._page.locator('[data-cy="panelSegmentation-btn"]').first.click()
                self._page.wait_for_timeout(1500)
            for _ in range(_LOOKS):
                seen = self._look(picture, uid)
                if not seen.fine or shows(seen):
                    return seen
                self._page.evaluate(_DRAW)
                self._page.wait_for_timeout(_IDLE_MS)
        return seen

    def _look(self, picture: str, series: str = "") -> Seen:
        self._page.screenshot(path=str(self._pictures / f"{picture}.png"))
        seen = self._page.evaluate(_LOOK)
        complaints = [t for t in seen.pop("toasts") if re.search(_COMPLAINT, t, re.IGNORECASE)]
        unsupported = series in seen.pop("unsupported")
        return Seen(complaints=complaints, unsupported=unsupported, **seen)

    def _settle(self) -> None:
        """Wait until the page has asked for nothing for a while: OHIF never is idle in the browser's sense."""
        under_way, quiet, waited = [0], 0, 0

        def began(_request: Any) -> None:
            under_way[0] += 1

        def ended(_request: Any) -> None:
            under_way[0] = max(0, under_way[0] - 1)

        listeners = (("request", began), ("requestfinished", ended), ("requestfailed", ended))
        for event, listener in listeners:
            self._page.on(event, listener)
        while quiet < _IDLE_MS and waited < _IDLE_MAX_MS:
            before = under_way[0]
            self._page.wait_for_timeout(150)
            waited += 150
            quiet = 0 if under_way[0] or before else quiet + 150
        for event, listener in listeners:
            self._page.remove_listener(event, listener)

    def _note(self, request: Any) -> None:
        ours = (self._address, self._also or self._address)
        if request.url.startswith("http") and not request.url.startswith(ours):
            self.strangers.append(request.url)


@contextmanager
def browsing(address: str, pictures: Path) -> Iterator[Browser]:
    """Run Chromium without a window; pictures of what it shows go below `pictures`."""
    from playwright.sync_api import sync_playwright

    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program("chromium"), args=ARGUMENTS)
        page = chromium.new_context(
            viewport={"width": 1600, "height": 1000}, service_workers="block"
        ).new_page()
        yield Browser(page, address, pictures)
        chromium.close()
