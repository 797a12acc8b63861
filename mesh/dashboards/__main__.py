"""`python -m mesh.dashboards` writes the shipped dashboards."""

import json
from pathlib import Path
from typing import Final

from mesh.costs import Prices
from mesh.dashboards.cost import cost
from mesh.dashboards.models import MODELS
from mesh.dashboards.overview import OVERVIEW
from mesh.dashboards.panel import Dashboard, dashboard_json
from mesh.dashboards.routing import ROUTING
from mesh.dashboards.stream import STREAM
from mesh.spec import load_prices

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "observability/grafana/dashboards"


def dashboards(prices: Prices) -> tuple[Dashboard, ...]:
    """Everything that is shipped."""
    return OVERVIEW, ROUTING, STREAM, MODELS, cost(prices)


def files() -> dict[str, str]:
    """The text of every file, by its name."""
    return {
        f"{dashboard.uid.removeprefix('hyperstream-')}.json": json.dumps(dashboard_json(dashboard), indent=1)
        + "\n"
        for dashboard in dashboards(load_prices(ROOT / "config"))
    }


def main() -> None:
    """Write them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
