"""A console over `console_world`, and a real Chromium that looks at it."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright

from serve.console.desk import READ_S
from tests.fakes.console_world import World
from tests.fakes.machine import free_port, missing

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 60_000
"""Machines that run tests are busy: a page that takes a second was seen to take fifteen."""

expect.set_options(timeout=PATIENCE_MS)


def chromium() -> str:
    """Its path; without one the tests are skipped on a laptop and fail in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing("no chromium: make servers installs it (Debian: apt-get install chromium)")
    return found


class Console:
    """A console in a process of its own, as the launcher starts it."""

    def __init__(self, world: World, log: Path, *more: str, port: int | None = None) -> None:
        self.world, self.log, port = world, log, port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serve.console", "--port", str(port), "--api", world.url, *more],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=said, stderr=said,
            )  # fmt: skip
        deadline = time.monotonic() + 180
        while not self._answers():
            assert self.process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, "the console did not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_stcore/health", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> int:
        """Ask it to end; its exit status."""
        self.process.stdin.close()
        try:
            return self.process.wait(90)
        finally:
            self.process.kill()


def begin_browser(*more: str):
    """A browser, with `more` arguments, and what ends it."""
    playwright = sync_playwright().start()
    browser = playwright.chromium.launch(
        executable_path=chromium(), args=["--no-sandbox", *more], timeout=180_000
    )

    def end() -> None:
        browser.close()
        playwright.stop()

    return browser, end


def visit(browser: Browser, console: Console, path: str = "", **how) -> Page:
    """A person of their own at `path`, at the size of a small laptop."""
    page = browser.new_context(
        viewport={"width": 1280, "height": 720}, timezone_id="Europe/Berlin", **how
    ).new_page()
    page.context.set_default_timeout(PATIENCE_MS)
    page.goto(f"{console.url}/{path}")
    return page


def sign_in(page: Page, console: Console, token: str) -> None:
    page.goto(f"{console.url}/signin")
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    """Away from whoever is signed in, to who sits at this machine."""
    # Playwright's own wait for the page that a click leads to may miss it where Streamlit draws at that moment.
    page.get_by_role("link", name="Sign out").click(no_wait_after=True)
    expect(page.get_by_text("this machine")).to_be_visible()


def item_of(page: Page) -> str:
    """The id of the item in a person's hands, once all of the page is there and they have looked at it."""
    expect(page.get_by_text("waiting", exact=False).first).to_be_visible()
    quiet(page)
    page.wait_for_timeout(1_000 * READ_S)
    return page.locator("[data-item]").get_attribute("data-item")


def press(page: Page, key: str) -> None:
    """A key, with nothing focused."""
    page.locator("body").press(key)


def decide(page: Page, key: str, item: str) -> str:
    """A key for an item; the item that comes next."""
    return act_on(page, item, lambda: press(page, key))


def act_on(page: Page, item: str, act: Callable[[], None]) -> str:
    """Do what takes an item out of hand; the item that comes next.

    Done again where nothing comes of it and the page is at rest, as a person does: a key or click may meet a page that is being
    drawn.
    """
    for _ in range(5):
        act()
        with contextlib.suppress(AssertionError):
            expect(page.locator("[data-item]")).not_to_have_attribute("data-item", item, timeout=10_000)
            return item_of(page)
        quiet(page)
    raise AssertionError(f"nothing was done to {item}: {page.inner_text('body')[:3000]}")


def quiet(page: Page) -> None:
    """Wait until the page has nothing to do."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
