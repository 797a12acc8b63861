"""What the command line brings with it when it starts."""

import subprocess
import sys

import pytest

from mesh.cli.tree import COMMANDS, Commands

_HEAVY = ("ray", "torch", "tensorflow", "onnxruntime", "deltalake")
_NOT_OURS_TO_ASK = ("pydantic", "confluent_kafka", "sqlalchemy", "numpy")


def loaded_by(code: str, names: tuple[str, ...]) -> str:
    code = f"import sys; {code}; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_no_command_imports_ray_or_a_framework_before_it_runs():
    """`hyperstream up` sets the variables that confine Ray to the loopback; Ray reads them when it is imported."""
    every = "from mesh.cli.tree import Commands; assert len(dict(Commands())) > 30"
    assert loaded_by(every, _HEAVY) == "[]"


@pytest.mark.parametrize(
    "asked", ["import mesh.cli.app", "from mesh.cli.tree import Commands; Commands()['rollout']"]
)
def test_a_command_brings_only_what_is_its_own(asked):
    assert loaded_by(asked, _NOT_OURS_TO_ASK) == "[]"


def test_every_command_is_found_by_its_name():
    commands = Commands()
    assert list(commands)[: len(COMMANDS)] == list(COMMANDS)
    assert "evaluate" in commands, "an entry point of the group hyperstream.commands"
    assert [name for name in commands if commands[name].name != name] == []
    assert commands.get("no-such") is None
    assert "list" in commands["alerts"].commands
