"""What it costs, at prices that viewers set: an estimate, as `hyperstream cost` makes it."""

from mesh.costs import Prices
from mesh.dashboards.panel import WINDOW, Dashboard, Panel, Query, Row
from mesh.dashboards.queries import rate

_GB = 1e9
_CPU = f"sum by (process) (rate(mesh_process_cpu_seconds[{WINDOW}])) * $cpu_hour"
_MEMORY = f"sum by (process) (mesh_process_resident_bytes) / {_GB:g} * $memory_gb_hour"
_NETWORK = f"sum(rate(mesh_ingest_bytes_total[{WINDOW}])) * 3600 / {_GB:g} * $network_gb"
_ALL = f"sum({_CPU}) + sum({_MEMORY}) + ({_NETWORK} or vector(0))"


def cost(prices: Prices) -> Dashboard:
    """The page with these prices as defaults. GPUs are in `hyperstream cost` alone: no metric knows who holds them."""
    return Dashboard(
        "hyperstream-cost",
        "HyperStream: cost",
        (
            _an_hour(prices.currency),
            _by_process(prices.currency),
        ),
        {
            "cpu_hour": prices.cpu_hour,
            "memory_gb_hour": prices.memory_gb_hour,
            "network_gb": prices.network_gb,
        },
    )


def _an_hour(currency: str) -> Row:
    records = f"sum(rate(mesh_ingest_records_total[{WINDOW}])) * 3600"
    told = (
        f"{currency}: processor, memory and bytes read, at the prices above. Not in it: GPUs, storage, "
        "what is idle, people."
    )
    return Row(
        "An hour",
        (
            _number("Cost an hour", _ALL, "short", told),
            _number("1,000 records", f"({_ALL}) / ({records} > 0) * 1000", "short", currency),
            _number("Cores in use", f"sum(rate(mesh_process_cpu_seconds[{WINDOW}]))", "short"),
            _number("Memory in use", "sum(mesh_process_resident_bytes)", "bytes"),
        ),
    )


def _number(title: str, expr: str, unit: str, description: str = "") -> Panel:
    return Panel(title, (Query(expr),), unit, description, "stat", 6, 5)


def _by_process(currency: str) -> Row:
    return Row(
        "By process",
        (
            Panel(
                "Processor",
                (Query(_CPU, "{{process}}"),),
                "short",
                f"{currency} an hour.",
                width=12,
                stacked=True,
            ),
            Panel(
                "Memory",
                (Query(_MEMORY, "{{process}}"),),
                "short",
                f"{currency} an hour.",
                width=12,
                stacked=True,
            ),
            Panel(
                "Processor time of a record",
                (
                    Query(
                        f'sum(rate(mesh_process_cpu_seconds{{process=~"ingest|telemetry"}}[{WINDOW}])) '
                        f"/ (sum(rate(mesh_ingest_records_total[{WINDOW}])) > 0)",
                        "readers",
                    ),
                ),
                "s",
                width=12,
            ),
            Panel(
                "Bytes read",
                (Query(rate("mesh_ingest_bytes_total", "topic"), "{{topic}}"),),
                "Bps",
                width=12,
            ),
        ),
    )
