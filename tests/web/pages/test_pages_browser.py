"""A person's way through every page in Chromium: both themes, by keyboard, with axe-core, and without scripts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from paged import Node, running
from playwright.sync_api import Browser, Page, sync_playwright

from xrv_node.db import trail
from xrv_node.db.tables import Study

pytestmark = pytest.mark.peers

STUDY, HOSTILE = "/studies/1.2.3.1", "/studies/1.2.3.2"
PAGES = (
    *("/", "/studies", STUDY, HOSTILE, "/studies/1.2.3.3", "/jobs", "/jobs/6", "/trail?whole=yes"),
    *("/models", "/settings", "/statistics", "/connect", "/fetches", "/access", "/studies/9.9"),
)
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LONG_MS = 60_000


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("node"), empty_database) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    where = shutil.which("chromium")
    if where is None:
        if os.environ.get("XRV_NODE_PEERS") == "required":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=where, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    return []


def opened(chromium: Browser, complaints: list[str], **options: Any) -> Page:
    """A page that notes whatever the browser complains of: a script that was kept from running, too."""
    page = chromium.new_context(viewport={"width": 1280, "height": 900}, **options).new_page()
    page.set_default_timeout(LONG_MS)
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append("a script ran"), dialog.dismiss()))
    return page


@pytest.mark.parametrize(
    ("theme", "rules"), [("dark", RULES), ("light", {"type": "rule", "values": ["color-contrast"]})]
)  # but for its colours a page is the same in both
def test_every_page_is_for_everybody(
    node: Node, chromium: Browser, complaints: list[str], theme: Any, rules: Any
) -> None:
    page, axe, found = opened(chromium, complaints, color_scheme=theme), Axe(), []
    for path in PAGES:
        page.goto(node.address + path)
        for box in page.locator("[data-viewer]").all():
            box.scroll_into_view_if_needed()
        if page.locator("[data-viewer]").count():
            page.wait_for_function(
                "() => [...document.querySelectorAll('[data-viewer]')].every(b => b.dataset.ready)"
            )
            for summary in page.locator("summary").all():
                summary.click()
        told = axe.run(page, options={"runOnly": rules, "resultTypes": ["violations"]}).response["violations"]
        found += [(path, one["id"], one["nodes"][0]["html"]) for one in told]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
    assert not found
    # 200 % of a window of 1280: as wide as one of 640
    page.set_viewport_size({"width": 640, "height": 450})
    for path in ("/", STUDY, "/jobs"):
        page.goto(node.address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 640, path
    assert [one for one in complaints if "404" not in one] == []
    page.context.close()


def test_the_keyboard_alone_leads_to_the_image_and_through_it(
    node: Node, chromium: Browser, complaints: list[str]
) -> None:
    page = opened(chromium, complaints, reduced_motion="reduce")
    page.goto(node.address + STUDY)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    viewer = page.locator("[data-viewer]").first
    page.wait_for_selector('[data-viewer][data-ready="yes"]')
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "CANVAS":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.wait_for_function("() => document.querySelector('[data-viewer]').dataset.window")
    before, zoom = viewer.get_attribute("data-window"), float(viewer.get_attribute("data-zoom") or 0)
    for key in ("i", "]", ".", "+", "ArrowLeft"):
        page.keyboard.press(key)
    page.wait_for_function(
        "zoom => Number(document.querySelector('[data-viewer]').dataset.zoom) > zoom", arg=zoom
    )
    _, width, inverted = (viewer.get_attribute("data-window") or "").split()
    assert inverted == "true"
    assert (before or "").split()[1] > width
    page.keyboard.press("1")
    page.wait_for_function("() => document.querySelector('[data-viewer]').dataset.zoom === '1.0000'")
    page.keyboard.press("r")
    page.wait_for_function(
        "was => document.querySelector('[data-viewer]').dataset.window === was", arg=before
    )
    assert page.locator("[data-shown]").count() == 0  # nothing is laid over it unasked
    page.locator("summary", has_text="Findings and scores").press("Enter")
    for name in ("Region", "Heat map"):
        page.get_by_role("button", name=name).first.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('[data-shown]').length === 2")
    page.locator("summary", has_text="Findings and scores").press("Enter")
    page.wait_for_function("() => document.querySelectorAll('[data-shown]').length === 0")
    assert not complaints
    page.context.close()


def test_an_image_that_cannot_be_shown_is_said_to_be(
    node: Node, chromium: Browser, complaints: list[str]
) -> None:
    page = opened(chromium, complaints)
    page.route("**/pixels", lambda route: route.fulfill(status=404))
    page.goto(node.address + STUDY)
    page.get_by_text("This image cannot be shown").first.wait_for()
    assert page.locator(".stage.broken img").count() == 0
    page.context.close()


def test_an_image_has_the_grey_of_its_file(node: Node, chromium: Browser, complaints: list[str]) -> None:
    page = opened(chromium, complaints)
    page.goto(node.address + STUDY)
    page.wait_for_selector('[data-viewer][data-ready="yes"]')
    page.locator("[data-act=one]").first.click()
    page.wait_for_function("() => document.querySelector('[data-viewer]').dataset.zoom === '1.0000'")
    shown = page.evaluate(
        """async () => {
          const box = document.querySelector('[data-viewer]'), canvas = box.querySelector('canvas');
          const answer = await fetch(box.dataset.pixels);
          const number = name => Number(answer.headers.get('Image-' + name));
          const levels = new Uint16Array(await answer.arrayBuffer());
          const low = number('Low'), high = number('High'), columns = number('Columns'), rows = number('Rows');
          const left = (canvas.width - columns) / 2, top = (canvas.height - rows) / 2;
          const grey = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          let worst = 0;
          for (let y = 2; y < rows - 2; y += 7) for (let x = 2; x < columns - 2; x += 5) {
            const wanted = Math.min(Math.max((levels[y * columns + x] - low) / (high - low), 0), 1) * 255;
            const at = 4 * (Math.round(top + y) * canvas.width + Math.round(left + x));
            worst = Math.max(worst, Math.abs(grey[at] - wanted));
          }
          return worst;
        }"""
    )
    assert shown < 6  # a half pixel of a smooth picture, where the canvas has an odd size
    page.context.close()


def test_what_happens_is_on_the_page_that_is_open(
    node: Node, chromium: Browser, complaints: list[str]
) -> None:
    page = opened(chromium, complaints)
    page.goto(node.address + "/studies")
    page.wait_for_function("() => document.getElementById('live').textContent === 'Live'")
    assert page.locator(".state.failed").count() == 0
    with node.store.begin() as db:
        study = db.get_one(Study, 3)
        study.state = "failed"
        trail.record(db, "study.reopened", study=study.study_instance_uid, revision=1)
    page.wait_for_selector(".state.failed")
    assert not complaints
    page.context.close()


def test_nothing_needs_a_script(node: Node, chromium: Browser, complaints: list[str]) -> None:
    page = opened(chromium, complaints, java_script_enabled=False)
    page.goto(node.address + STUDY)
    assert page.locator(".stage img").first.evaluate("image => image.naturalWidth") == 260
    page.locator("summary", has_text="Findings and scores").click()
    assert page.locator(".score").first.is_visible()
    page.get_by_role("button", name="Dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name="Retry job 6").click()
    assert page.locator("main").inner_text().splitlines()[2] == "queued again: 6"
    page.context.close()
