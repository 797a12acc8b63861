"""What a digest says of the alerts that it stands for."""

import pytest

from mesh.alerts import Alert, Budget, Group
from mesh.alerts.digest import describe, duration, opening
from tests.fakes.alert_events import opened


def digest(*groups: Group) -> str:
    alert = Alert(opening(opened(1), 7, 1), "open", 0, sum(one.count for one in groups), groups=groups)
    return describe(alert, Budget(60_000, 2)).opened.summary


def test_it_names_rules_keys_and_counts():
    assert digest(Group("hot", 1, {"a": 1})) == "1 alert past the budget of 2 in 1m: hot: 1 (a)"


def test_what_it_does_not_name_it_counts():
    many = Group("hot", 9, {f"k{n}": 2 if n == 8 else 1 for n in range(8, -1, -1)})
    assert digest(many).endswith("hot: 9 (k8, k0, k1, k2, k3, … 4 more)")
    assert digest(*(Group(f"r{n}", 1, {}) for n in range(7))).endswith("r4: 1 (no keys named); 2 more rules")


def test_another_alert_stays_as_it_is():
    alert = Alert(opened(1), "open", 0, 1)
    assert describe(alert, Budget()) is alert


@pytest.mark.parametrize(
    ("ms", "text"), [(600_000, "10m"), (1_500, "1500ms"), (86_400_000, "1d"), (90_000, "90s"), (0, "0s")]
)
def test_times_are_told_in_the_largest_unit_that_divides_them(ms, text):
    assert duration(ms) == text
