"""`prices.yaml`: what it says, and its mistakes by line and key."""

from pathlib import Path

import pytest

from mesh.errors import InvalidConfig
from mesh.spec import load_prices

ROOT = Path(__file__).resolve().parents[3]


def load(folder: Path, text: str):
    (folder / "prices.yaml").write_text(text)
    return load_prices(folder)


def test_the_shipped_sheet_prices_everything():
    prices = load_prices(ROOT / "config")
    assert min(prices.cpu_hour, prices.gpu_hour, prices.memory_gb_hour, prices.network_gb) > 0
    assert prices.storage_gb_month.hot > prices.storage_gb_month.warm > prices.storage_gb_month.cold > 0
    assert prices.date == "2026-11-27"


def test_without_a_file_everything_costs_nothing_and_says_so(tmp_path):
    prices = load_prices(tmp_path)
    assert (prices.cpu_hour, prices.source) == (0.0, "none: write config/prices.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cpu_hour: -1\n", r"prices.yaml:1: cpu_hour: .*at least 0"),
        (
            "currency: EUR\ndate: last year\n",
            r"prices.yaml:2: date: expected a date, YYYY-MM-DD, got 'last year'",
        ),
        ("storage_gb_month: {hto: 1}\n", r"prices.yaml:1: storage_gb_month.hto: .*hot"),
    ],
)
def test_mistakes_are_told_with_line_and_key(tmp_path, text, message):
    with pytest.raises(InvalidConfig, match=message):
        load(tmp_path, text)


def test_another_ending_is_not_passed_over(tmp_path):
    (tmp_path / "prices.yml").write_text("")
    with pytest.raises(InvalidConfig, match=r"name it prices\.yaml"):
        load_prices(tmp_path)
