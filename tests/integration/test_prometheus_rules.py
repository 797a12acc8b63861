"""The shipped rules in Prometheus' own test tool: each alert fires when it should, and does not when it should not."""

import re
import shutil
import subprocess

import pytest
import yaml
from stream_servers import ROOT

from tests.fakes.machine import missing

FOLDER = ROOT / "observability/prometheus"
DOCS = ROOT / "docs/observability.md"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        missing("no promtool on the PATH (Debian: apt-get install prometheus)")
    return str(found)


def _alerts() -> dict[str, dict[str, dict[str, str]]]:
    return {
        rule["alert"]: rule
        for file in FOLDER.glob("*.rules.yml")
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def test_prometheus_takes_the_configuration(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "config", str(FOLDER / "prometheus.yml")],
        check=False, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", sorted(FOLDER.glob("tests/*.test.yml")), ids=lambda file: file.stem)
def test_rules_fire_and_do_not_fire(promtool: str, file: object) -> None:
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], check=False, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_firing_and_not_firing() -> None:
    fires: set[str] = set()
    for file in FOLDER.glob("tests/*.test.yml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for expected in test["alert_rule_test"]:
                if expected["exp_alerts"]:
                    fires.add(expected["alertname"])
    assert fires == set(_alerts())


def test_every_alert_has_a_page_that_says_what_to_do() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
        for line in DOCS.read_text().splitlines()
        if line.startswith("#")
    }
    for name, rule in _alerts().items():
        file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (file, anchor in headings) == ("docs/observability.md", True), f"{name}: {anchor}"
        assert rule["labels"]["severity"] in ("page", "ticket")
