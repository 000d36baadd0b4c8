"""Signing in with a real browser: without scripts, by keyboard, in both themes, and by a link from elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from access_site import PASSWORD, Site, serving
from peers.peer_programs import program

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.peers

STUDY = "/studies/1.2.3"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Site]:
    with serving(
        tmp_path_factory.mktemp("site"), empty_database, "open_loopback = false\n", routes=(STUDY,)
    ) as made:
        yield made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def elsewhere(tmp_path: Path, site: Site) -> Iterator[str]:
    """A page of another site that links to a study."""
    (tmp_path / "index.html").write_text(f'<a href="http://localhost:{site.port}{STUDY}">the study</a>')
    handler = partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_a_person_signs_in_by_keyboard_and_without_scripts(
    site: Site, chromium: Browser, elsewhere: str
) -> None:
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.set_default_timeout(30_000)
    page.goto(f"http://localhost:{site.port}{STUDY}")
    assert page.title() == "Sign in · xrv-node"
    page.keyboard.type("viewer")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="is wrong").wait_for()
    page.get_by_label("Name").fill("viewer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("seen").wait_for()
    assert page.url.endswith(STUDY)
    page.goto(elsewhere)
    page.get_by_text("the study").click()  # the cookie is not sent with it
    page.get_by_text("seen").wait_for()
    assert page.url.endswith(STUDY)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_for_everybody(site: Site, chromium: Browser, theme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = chromium.new_context(color_scheme=theme, bypass_csp=True).new_page()  # type: ignore[arg-type]
    page.goto(f"http://localhost:{site.port}/sign-in")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_nothing_on_the_page_is_against_its_policy(site: Site, chromium: Browser) -> None:
    page = chromium.new_context().new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"http://localhost:{site.port}/sign-in")
    assert (
        page.locator("main").evaluate("one => getComputedStyle(one).maxWidth") == "352px"
    )  # its style counts
    assert said == []
