"""`alerts.yaml`: what it declares, what stands in for what it leaves out, and its mistakes by line and key."""

from pathlib import Path

import pytest

from mesh.alerts import Budget, Policy, Retention
from mesh.errors import InvalidConfig
from mesh.spec import load_alerts

ROOT = Path(__file__).resolve().parents[3]


def load(folder: Path, text: str) -> Policy:
    (folder / "alerts.yaml").write_text(text)
    return load_alerts(folder)


def rule(more: str) -> str:
    return f"rules:\n  - {{name: hot, when: score > 1, severity: info, {more}}}"


def test_a_rule_needs_a_name_a_condition_and_a_severity(tmp_path):
    (hot,) = load(tmp_path, rule("")).rules
    assert (hot.name, hot.when.text, hot.severity) == ("hot", "score > 1", "info")
    assert (hot.hold_ms, hot.hold_off_ms, hot.dedup_ms, hot.clear_hold_ms) == (0, 0, 300_000, 0)
    assert (hot.clear_when, hot.key, hot.runbook) == (None, None, "")
    assert hot.shows == ("asset", "score")


def test_everything_can_be_said(tmp_path):
    policy = load(
        tmp_path,
        """
        budget: {per: 1h, alerts: 2, analysts: 3}
        retention: {alerts: 50, days: 0.5}
        max_keys: 8
        rules:
          - name: hot
            when: "temp.mean > 90 && criticality >= 2"
            for: 500ms
            severity: critical
            hold_off: 2d
            dedup: 10s
            clear_when: "temp.mean < 80"
            clear_for: 5m
            key: site
            summary: "{asset} {temp.mean:.1f}"
            runbook: https://example.org/hot
        """,
    )
    assert (policy.budget, policy.retention) == (Budget(3_600_000, 2, 3), Retention(50, 43_200_000))
    assert (policy.budget.allowance, policy.max_keys) == (6, 8)
    (hot,) = policy.rules
    assert (hot.hold_ms, hot.hold_off_ms, hot.dedup_ms, hot.clear_hold_ms) == (
        500,
        172_800_000,
        10_000,
        300_000,
    )
    assert (hot.clear_when.text, hot.key, hot.runbook) == (
        "temp.mean < 80",
        "site",
        "https://example.org/hot",
    )
    assert hot.summary.fill({"asset": "a", "temp.mean": 91.25}) == "a 91.2"


def test_without_a_file_there_are_no_rules_and_one_alert_in_ten_minutes(tmp_path):
    assert load_alerts(tmp_path) == Policy((), Budget(600_000, 1, 1), Retention(10_000, 30 * 86_400_000), 64)


def test_the_shipped_rules_read_what_scored_rows_have():
    policy = load_alerts(ROOT / "config")
    assert len({one.name for one in policy.rules}) == 6
    read = frozenset().union(*(one.shows for one in policy.rules))
    assert read == {"asset", "score", "confidence", "criticality", "rul", "z", "sensor", "feature"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            rule("for: 10"),
            r"alerts.yaml:2: rules\[0\].for: must be a time such as 500ms, 10s, 5m, 2h or 30d, got 10",
        ),
        (rule("hold_off: 5 m"), r"rules\[0\].hold_off: must be a time such as"),
        (rule("dedup: -5m"), r"rules\[0\].dedup: must be a time such as"),
        (rule("fro: 10s"), r"rules\[0\].fro: unknown key; did you mean 'for'"),
        (rule("summary: '{a'"), r"rules\[0\].summary: .*write \{name\}"),
        (
            rule("clear_when: score <"),
            r":2: rules\[0\].clear_when: at character 8: expected a name or a value",
        ),
        (
            rule("clear_when: 'false'"),
            r"clear_when: can never hold; remove the rule or correct the condition",
        ),
        (rule("key: ''"), r"rules\[0\].key"),
        (
            "rules:\n  - {name: hot, when: score > 1, severity: high}",
            r"severity: 'high' is not one of info, warning, critical",
        ),
        ("rules:\n  - {name: digest, when: score > 1, severity: info}", r"no rule may be named 'digest'"),
        (
            "rules:\n  - {name: a, when: b > 1, severity: info}\n  - {name: a, when: b > 1, severity: info}",
            "'a' twice",
        ),
        ("rules:\n  - {name: a, when: 'b > x >', severity: info}", r":2: rules\[0\].when"),
        ("budget: {per: 0s}", r":1: budget.per: must be above 0"),
        ("budget: {alerts: 0}", r"budget.alerts: must be at least 1, got 0"),
        ("retention: {days: 0}", r"retention.days: must be above 0"),
        ("budgte: {}", "unknown key; did you mean 'budget'"),
    ],
)
def test_a_mistake_is_named_with_line_key_and_fix(tmp_path, text, message):
    with pytest.raises(InvalidConfig, match=message):
        load(tmp_path, text)


def test_a_file_that_nobody_reads_is_refused(tmp_path):
    (tmp_path / "alerts.yml").write_text("rules: []")
    with pytest.raises(InvalidConfig, match=r"is not read: name it alerts.yaml"):
        load_alerts(tmp_path)
