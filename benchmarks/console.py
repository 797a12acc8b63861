"""`console-*`: a real Chromium on the console with 10,000 open items: the first paint of triage, and from a key to the next item.

The API is the mesh's own over SQLite in this process, the console is a process of its own, and all are on one machine.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.results import Row, at_most, skipped

ITEMS: Final = 10_000
VISITS: Final = 8
ACTIONS: Final = 40
_ROOT: Final = Path(__file__).resolve().parents[1]


def rows() -> list[Row]:
    """Both, or why not."""
    sys.path.insert(0, str(_ROOT / "tests" / "integration"))
    try:
        import console_browser as driving
    except ImportError as error:
        return _skipped(f"no {error.name}")
    if shutil.which("chromium") is None:
        return _skipped("no chromium")
    from tests.fakes.console_world import start

    folder = Path(tempfile.mkdtemp())
    world = start(folder, time.time_ns() // 1_000_000, many=ITEMS)
    console, (browser, end) = driving.Console(world, folder / "console.log"), driving.begin_browser()
    try:
        warm = driving.visit(browser, console, "?as=warm")
        warm.locator(".js-plotly-plot .main-svg").first.wait_for()
        warm.context.close()
        paints = [_paint(browser, console, n) for n in range(VISITS)]
        taken = _actions(driving, browser, console)
    finally:
        end()
        console.close()
        world.close()
    note = f"Chromium, {ITEMS:,} open items"
    return [
        at_most("console-first-paint", "s p95", [_p95(paints)], 2.0, note),
        at_most(
            "console-action", "ms p95", [_p95(taken)], 300.0, f"{note}; key to the next item on the screen"
        ),
    ]


def _skipped(reason: str) -> list[Row]:
    return [skipped("console-first-paint", "s p95", reason), skipped("console-action", "ms p95", reason)]


def _paint(browser: Any, console: Any, n: int) -> float:
    """Seconds from asking for the page until the item with its buttons is there, in a fresh browser profile."""
    page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    began = time.perf_counter()
    page.goto(f"{console.url}/?as=visit-{n}", wait_until="commit")
    page.locator("[data-item]").wait_for()
    page.get_by_role("button", name="Skip").wait_for()
    took = time.perf_counter() - began
    page.context.close()
    return took


def _actions(driving: Any, browser: Any, console: Any) -> list[float]:
    """Milliseconds from a key until the next item is on the screen."""
    page = driving.visit(browser, console, "?as=fast")
    taken, item = [], driving.item_of(page)
    shown = "before => document.querySelector('[data-item]')?.dataset.item !== before"
    for _ in range(ACTIONS):
        began = time.perf_counter()
        page.keyboard.press("s")
        page.wait_for_function(shown, arg=item, polling=10)
        taken.append((time.perf_counter() - began) * 1e3)
        item = driving.item_of(page)
        page.wait_for_timeout(300)
    return taken


def _p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]
