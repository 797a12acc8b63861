"""The page of key metrics in the live view: the table of docs/cost-optimization.md, as far as a running mesh knows it. Pure."""

from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh.cli.figures import milliseconds
from mesh.costs import Prices, Sample, bill, usage_between
from mesh.telemetry.summary import ProcessState, Summary

_BY_PEOPLE: Final = "once people's verdicts are kept"
_BY_TRUTH: Final = "needs the truth: hyperstream evaluate"


def key_metrics(since: Summary | None, now: Summary | None, prices: Prices | None) -> RenderableType:
    """The page. `since` is an earlier summary, from which rates and costs count; without figures it says so."""
    if now is None or since is None:
        return Text("waiting for the first figures", style="dim")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="key metrics", title_justify="left")
    for name in ("metric", "now", "from"):
        table.add_column(name)
    for row in (*_flow(now), *_alerts(now), *_costs(since, now, prices)):
        table.add_row(*row)
    return Group(table, Text("k goes back; docs/cost-optimization.md defines each", style="dim"))


def _flow(now: Summary) -> list[tuple[str, str, str]]:
    answered = now.answered.total + sum(route.rows.total for route in now.routes if not now.answered.total)
    failed = now.errors.total
    share = f"{failed / (failed + answered):.3%}" if failed + answered else "-"
    return [
        ("errors", f"{share} ({failed:,})", "records and requests without an answer, since the start"),
        ("Kafka to Redis, p95", milliseconds(now.stream.p95), f"the last {now.window_s:.0f} s"),
        ("HTTP and gRPC, p95", milliseconds(now.request.p95), f"the last {now.window_s:.0f} s"),
    ]


def _alerts(now: Summary) -> list[tuple[str, str, str]]:
    chain = now.chain
    if chain is None:
        return [("reading to alert, p95", "-", "no telemetry chain runs")]
    opened, digested = sum(one.opened for one in chain.alerts), sum(one.digested for one in chain.alerts)
    return [
        (
            "reading to alert, p95",
            milliseconds(chain.alert.p95),
            f"the last {now.window_s:.0f} s, level L{chain.level}",
        ),
        ("alerts", f"{opened:,} and {digested:,} in digests", "since the start"),
        ("MTTD, TPR, FPR", "-", _BY_TRUTH),
        ("MTTR", "-", "hyperstream alerts: opened to resolved"),
        ("override rate", "-", _BY_PEOPLE),
    ]


def _costs(since: Summary, now: Summary, prices: Prices | None) -> list[tuple[str, str, str]]:
    if prices is None or now.at <= since.at:
        return [("cost an hour", "-", "a moment more, or config/prices.yaml is missing")]
    usage = usage_between(_sample(since), _sample(now))
    found = bill(usage, prices)
    note = f"{prices.currency}, an estimate over {usage.seconds:.0f} s: processor and memory"
    cores = sum(one.cpu_s for one in usage.processes) / usage.seconds
    per_1000 = "-" if found.per_1000_records is None else f"{found.per_1000_records:.6f}"
    return [
        ("cost an hour", f"{found.per_hour:.4f}", note),
        ("cost of 1,000 records", per_1000, prices.currency),
        ("cores in use", f"{cores:.2f}", f"over {usage.seconds:.0f} s"),
    ]


def _sample(summary: Summary) -> Sample:
    return Sample(
        summary.at,
        cpu_s={_labels(one): one.cpu_seconds for one in summary.processes},
        memory_bytes={_labels(one): float(one.resident_bytes) for one in summary.processes},
        records={("all",): float(summary.records.total)},
    )


def _labels(one: ProcessState) -> tuple[str, str, str]:
    return one.process, one.pid, one.node
