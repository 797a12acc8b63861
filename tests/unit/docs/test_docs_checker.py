"""The checker finds what it is for: commands, options, targets, calls and bodies that are not there."""

import pytest
from docs_fences import shown, typed
from docs_shell import known, wrong


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hyperstream replya x.csv", "no command 'replya'"),
        ("hyperstream alerts lost", "no command 'lost'"),
        ("hyperstream tail --modle a", "--modle"),
        ("hyperstream replay", "an argument is missing"),
        ("hyperstream tail --limit many", "many"),
        ("hyperstream explain --set", "--set"),
        ("export MESH_TOKEN=$(hyperstream token make ann)", "no command 'make'"),
        ("make sutff", "no target sutff"),
        ("make bench ONYL=http", "no variable ONYL"),
        ("curl localhost:8080/v2/modles", "no call GET /v2/modles"),
        ("curl localhost:8080/v2/models/a/infer -d '{x}'", "no JSON"),
        ("pip install 'hyperstream-mesh[tench]'", "no extra"),
        ("python -m mesh.no_such", "no module"),
        ("docker run hyperstream-mesh:1 upp", "no command 'upp'"),
        ("pytest tests/no_such.py", "no file"),
        ("frobnicate", "neither ours"),
    ],
)
def test_what_is_wrong_is_said(line: str, said: str) -> None:
    assert said in (wrong(line) or "nothing")


@pytest.mark.parametrize(
    "line",
    [
        "hyperstream tail --limit 5 # five",
        "KAFKA_BOOTSTRAP_SERVERS=a:9092 hyperstream up --no-feed",
        "hyperstream simulate --dry-run | head -3",
        "make bench ONLY=http",
        'curl -X PUT localhost:8080/mesh/rules -d \'{"actor": "ann"}\'',
    ],
)
def test_what_is_right_passes(line: str) -> None:
    assert wrong(line) is None


def test_lines_of_a_console_and_quotes_over_lines() -> None:
    assert shown("$ make run\nstarted\n$ make test") == [("make run", ["started"]), ("make test", [])]
    assert typed("# so\ncurl x -d '{\n  \"a\": 1}'\n\nmake run") == ["curl x -d '{\n  \"a\": 1}'", "make run"]


def test_mentions_in_prose() -> None:
    assert known(["alerts", "list", "--state"]) is None
    assert known(["rollout", "start", "NAME"]) is None
    assert "no option" in (known(["tail", "--sinse"]) or "")
