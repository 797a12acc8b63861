"""Every block that no test runs as it stands says why, and the test that it names exists."""

import os
import re
import subprocess

import pytest
from docs_fences import EVERY, ROOT, RUN
from docs_reasons import problem

MARKED = [pytest.param(block, id=block.place) for block in EVERY if block.notest]


@pytest.mark.parametrize("block", MARKED)
def test_a_reason_is_one_that_counts(block) -> None:
    assert block.language in RUN, "only what could run needs a reason"
    assert problem(block.notest) is None


def test_what_starts_the_stack_is_the_command_that_the_stack_of_the_tests_is_started_with() -> None:
    lines = [
        line for block in EVERY if block.notest.startswith("starts the stack") for line, _ in block.commands
    ]
    assert len(lines) > 4
    for line in lines:
        words = [word for word in line.split("#")[0].split() if "=" not in word]
        if words[0] == "make" and words != ["make", "test"]:  # the run that this is part of
            done = subprocess.run(
                ["make", "--dry-run", *words[1:]],
                cwd=ROOT,
                # Not as a part of the `make test` that this may be run by.
                env={
                    name: value
                    for name, value in os.environ.items()
                    if not name.startswith(("MAKE", "MFLAGS"))
                },
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            words = done.stdout.strip().split("\n")[-1].removeprefix("exec .venv/bin/").split()
        assert words in (["make", "test"], ["hyperstream", "up"], ["hyperstream", "up", "--no-feed"]), line


def test_most_blocks_are_run() -> None:
    could = [block for block in EVERY if block.language in RUN]
    assert len(could) > 60
    assert len(MARKED) < len(could) / 2


def test_a_reason_that_does_not_count_is_told() -> None:
    assert "is none of" in (problem("is slow") or "")
    assert "no test file" in (problem("run by: tests/no_such.py::test_x") or "")
    here = "tests/unit/docs/test_docs_reasons.py"
    assert "has no 'test_nothing'" in (problem(f"takes minutes: {here}::test_nothing") or "")
    assert problem(f"run by: {here}::test_most_blocks_are_run") is None


def test_the_site_does_not_show_them() -> None:
    from docs.hooks import without_marks

    assert without_marks('```sh notest="needs Docker"\nmake images\n```') == "```sh\nmake images\n```"
    titled = '```python title="a.py" notest="run by: x"\n```'
    assert not re.search("notest", without_marks(titled))
