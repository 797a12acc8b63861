"""The pictures of docs/console.md: `PYTHONPATH=. python tests/integration/console_screenshots.py [FOLDER] [light|dark]`."""

import sys
import tempfile
import time
from pathlib import Path

import httpx
from console_browser import ROOT, Console, begin_browser, quiet, visit
from PIL import Image

from tests.fakes.console_world import start

PAGES = ("triage", "alerts", "assets", "models", "routes", "rollouts", "quality", "cost", "audit")
MOST_BYTES = 100_000


def decide(url: str) -> None:
    """So that quality and audit have something to show: three people judge some items."""
    for number, name in enumerate(("ann", "ben", "olu")):
        for _ in range(6):
            case = httpx.post(f"{url}/review/next", json={"actor": name}).json()
            item = case["item"]
            said = (
                {"action": "judge", "label": "anomaly"} if case["blind"]
                else {"action": "override", "reason": "sensor-fault"} if number == 1
                else {"action": "confirm"}
            )  # fmt: skip
            httpx.post(
                f"{url}/review/items/{item['id']}/decide", json={"actor": name, **said}
            ).raise_for_status()


def main(folder: Path, scheme: str) -> None:
    """One picture a page, at 1280 by 720, with few colours: they are small."""
    scratch = Path(tempfile.mkdtemp())
    world = start(scratch, time.time_ns() // 1_000_000, many=60)
    decide(world.url)
    console, (browser, end) = Console(world, scratch / "console.log"), begin_browser()
    page = visit(browser, console, color_scheme=scheme)
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        page.goto(f"{console.url}/{'' if name == 'triage' else name}?as=ann")
        quiet(page)
        page.wait_for_timeout(2_500)
        file = folder / f"{name}.png"
        page.screenshot(path=file)
        Image.open(file).convert("RGB").quantize(64).save(file, optimize=True)
        assert file.stat().st_size <= MOST_BYTES, f"{file} has {file.stat().st_size} bytes"
    end()
    console.close()
    world.close()


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "console",
        sys.argv[2] if len(sys.argv) > 2 else "light",
    )
