"""`hyperstream check` reads the scenarios too."""

import shutil
from pathlib import Path

import pytest

from mesh.cli.check import check
from mesh.errors import InvalidConfig

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def config(tmp_path):
    return Path(shutil.copytree(ROOT / "config", tmp_path / "config"))


def test_a_valid_folder_is_shown_with_its_scenarios(config, capsys):
    check(config=config)
    shown = capsys.readouterr().out
    for path in (config / "scenarios").iterdir():
        assert path.stem in shown


def test_a_mistake_in_a_scenario_is_one_of_the_configuration(config):
    (config / "scenarios/mine.yaml").write_text("description: d\nduration_s: 1\nfualts: []\n")
    with pytest.raises(InvalidConfig, match=r"mine.yaml:3: fualts: unknown key; did you mean 'faults'\?"):
        check(config=config)
