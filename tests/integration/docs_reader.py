"""A reader of the docs: a copy of the project, the files that pages take for granted, and the ids that they only show."""

import csv
import re
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from full_stack import GRPC, HTTP, LANE_GRPC, LANE_HTTP, METRICS
from ray_mesh import until
from stream_servers import ROOT

from mesh.signals.sensors import Telemetry
from mesh.spec import load_alerts, load_telemetry
from mesh.stores.alerts import RedisAlerts
from tests.fakes.alert_events import BEGAN, opened

PROJECT = (
    "config",
    "data",
    "models",
    "observability",
    "k8s",
    "Makefile",
    "pyproject.toml",
    "constraints.txt",
)
API = f"http://127.0.0.1:{LANE_HTTP}"
ADDRESSES = {
    "localhost:8080": f"127.0.0.1:{LANE_HTTP}",
    "localhost:9001": f"127.0.0.1:{LANE_GRPC}",
    "127.0.0.1:8000": f"127.0.0.1:{HTTP}",
    "127.0.0.1:9000": f"127.0.0.1:{GRPC}",
    "127.0.0.1:9464": f"127.0.0.1:{METRICS}",
}
"""Where the docs say that the mesh is, and where it is in these tests."""
ITEM, ALERT, TOKEN = "45211b0cd908a4706fe6", "1fc74e8f1a678dd95d22", "5f1c9a0b7d21"
"""Ids that pages show of what a reader has another one of."""
VERSION = '"expected_version": 11'
SCENARIO = """
description: Flow is higher all at once.
duration_s: 400
faults:
  - {kind: level_shift, share: 0.2, sensors: [flow], begins_s: 300, lasts_s: 200, size: 40}
"""
DAYS = {"2026-01-02": -1, "2026-01-03": 1}
"""Days of the history that pages ask about, as days from now."""


def lay_out(folder: Path) -> None:
    """A copy of the project, its environment at `.venv`, and a reader's own files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROJECT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    put_back(folder)
    environment = folder / ".venv"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        if not part.name.startswith("."):
            (environment / part.name).symlink_to(part)
    for mark in (".core", ".ui", ".dev"):
        (environment / mark).touch()
    (folder / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\nmax-time = 120\n")
    write_readings(folder, load_telemetry(ROOT / "config"))


def write_readings(folder: Path, telemetry: Telemetry) -> None:
    """Two pumps, ten minutes, a reading a second, in the names that pages use."""
    begin = datetime(2026, 1, 3, 4, tzinfo=UTC)
    sensors = {one.name: (one.low + 0.45 * (one.high - one.low)) for one in telemetry.sensors}
    rows = [
        {"time": (begin + timedelta(seconds=second)).isoformat(), "asset": asset, "a": second % 7, "b": 2.5, "c": -1,
         **{name: round(level * (1 + 0.004 * ((second * 7 + place) % 5 - 2)), 4) for place, (name, level) in
            enumerate(sensors.items())}}
        for second in range(600) for asset in ("pump-1", "pump-2")
    ]  # fmt: skip
    for name in ("my.csv", "readings.csv", "pumps.csv"):
        write_csv(folder / name, rows)
    ends = begin + timedelta(minutes=5)
    write_csv(folder / "windows.csv", [{"asset": "pump-1", "from": begin, "to": ends, "kind": "leak"}])
    march = [
        {"timestamp": row["time"], "pump": row["asset"], "p2": 400 + row["a"], "q": row["flow"]}
        for row in rows
    ]
    write_csv(folder / "march.csv", march)


def write_csv(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def put_back(folder: Path) -> None:
    """The configuration as it is shipped, but for what `make run-sim` shows.

    The shift is so large that the cheap detector sees it: on a machine that is busy with other tests the chain rests its models.
    """
    shutil.copytree(ROOT / "config", folder / "config", dirs_exist_ok=True)
    (folder / "config/scenarios/level-shift.yaml").write_text(SCENARIO)


async def open_alerts(redis_url: str, count: int = 12) -> None:
    """Critical alerts of a shipped rule, as the chain writes them: pages act on some, whatever a busy machine's chain sees."""
    policy = load_alerts(ROOT / "config")
    rule = next(one.name for one in policy.rules if one.severity == "critical")
    now = time.time_ns() // 1_000_000 - BEGAN
    store = RedisAlerts(redis_url, policy)
    await store.write([opened(n, "critical", rule, at=now - 60_000 + n) for n in range(1, count + 1)])
    await store.close()


class Ids:
    """The reader's own ids in the place of those that a page shows. Waits for a case or an alert to come."""

    def __init__(self) -> None:
        self._decided: list[str] = []
        self._alert = self._token = ""

    def heard(self, said: str) -> None:
        """What a command said: it may hold an id that later ones need."""
        made = re.search(r"^token ([0-9a-f]{12}) of ", said, re.MULTILINE)
        self._token = made[1] if made else self._token

    def in_(self, text: str) -> str:
        """A command or a file as this reader writes it."""
        for shown, here in ADDRESSES.items():
            text = text.replace(shown, here)
        for day, offset in DAYS.items():
            text = text.replace(day, (datetime.now(UTC) + timedelta(days=offset)).date().isoformat())
        if VERSION in text:
            text = text.replace(VERSION, f'"expected_version": {asked("/mesh/rules")["revision"]["version"]}')
        if ITEM in text:
            text = text.replace(ITEM, self._last_item() if " undo " in text else self._next_item())
        if ALERT in text:
            text = text.replace(ALERT, self._alert if " resolve " in text else self._next_alert())
        return text.replace(TOKEN, self._token)

    def _next_item(self) -> str:
        """One that is not decided yet, and that a reader may pick: those of the random audit are dealt out."""

        def fits(item: dict[str, Any]) -> bool:
            return item["id"] not in self._decided and item["source"] != "audit"

        self._decided.append(str(first("/review/queue?limit=200", "items", fits)["id"]))
        return self._decided[-1]

    def _last_item(self) -> str:
        if not self._decided:
            raise TimeoutError("nothing was decided before")
        return self._decided.pop()

    def _next_alert(self) -> str:
        self._alert = str(first("/alerts?state=open&limit=200", "alerts", lambda _: True)["id"])
        return self._alert


def asked(path: str) -> dict[str, Any]:
    """What the API answers; a mesh that takes in a change may say 503 first."""
    replies: list[httpx.Response] = []

    def answered() -> bool:
        replies.append(httpx.get(API + path, timeout=60))
        return replies[-1].status_code == 200

    until(answered, 60, lambda: f"{path}: {[one.text[:300] for one in replies[-1:]]}")
    found: dict[str, Any] = replies[-1].json()
    return found


def first(path: str, key: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first of a list of the API that fits, once there is one."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [one for one in asked(path)[key] if fits(one)]
        return bool(found)

    until(there, 120, lambda: f"nothing of {path} fits")
    return found[0]
