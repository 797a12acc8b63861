"""A real Prometheus that scrapes a mesh every second, with the shipped rules in seconds instead of minutes."""

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
from ray_mesh import status_of, until
from stream_servers import ROOT

from tests.fakes.machine import missing

PORT = 21750
SHORT = (
    (r"\[(?:5|10|15)m\]", "[10s]"),
    (r"\[1m\]", "[5s]"),
    (r"offset 15m", "offset 10s"),
    (r"for: \d+m", "for: 2s"),
)
"""An alert that asks about five minutes asks about ten seconds here, and nothing else is changed."""


class LivePrometheus:
    """Started in `folder`; `close` ends it."""

    def __init__(self, folder: Path, target: str) -> None:
        program = shutil.which("prometheus")
        if program is None:
            missing("no prometheus on the PATH (Debian: apt-get install prometheus)")
        folder.mkdir()
        for file in (ROOT / "observability/prometheus").glob("*.rules.yml"):
            text = file.read_text()
            if file.name.startswith("mesh"):
                for pattern, short in SHORT:
                    text = re.sub(pattern, short, text)
            (folder / file.name).write_text(text)
        config = (ROOT / "observability/prometheus/prometheus.yml").read_text()
        config = config.replace("15s", "1s").replace("127.0.0.1:9464", target)
        (folder / "prometheus.yml").write_text(config)
        self._log = (folder / "prometheus.log").open("w")
        self._process = subprocess.Popen(
            [str(program), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{PORT}"],
            stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._url = f"http://127.0.0.1:{PORT}"
        until(lambda: status_of(f"{self._url}/-/ready") == 200, 60)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The result of an instant query; the error fails the test."""
        reply = httpx.post(f"{self._url}/api/v1/query", data={"query": expr}, timeout=60).json()
        assert reply["status"] == "success", f"{expr}: {reply.get('error')}"
        data = reply["data"]
        return data["result"] if data["resultType"] == "vector" else [data]

    def firing(self) -> set[str]:
        return {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._log.close()
