from pathlib import Path

import pytest

from mesh.cluster.project import ROOT, find_config
from mesh.errors import InvalidConfig


def test_a_relative_folder_is_taken_from_the_project_whatever_the_process_runs_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config({"config": "config"}, {}) == ROOT / "config"
    assert find_config({}, {}) == ROOT / "config"


def test_the_environment_wins_over_the_argument_unless_it_is_empty(tmp_path: Path) -> None:
    assert find_config({"config": "config"}, {"MESH_CONFIG": str(tmp_path)}) == tmp_path
    assert find_config({"config": str(tmp_path)}, {"MESH_CONFIG": ""}) == tmp_path


def test_a_folder_that_is_not_there_is_named_with_the_variable(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"nowhere.*MESH_CONFIG"):
        find_config({}, {"MESH_CONFIG": str(tmp_path / "nowhere")})


def test_an_unknown_argument_is_named() -> None:
    with pytest.raises(InvalidConfig, match=r"args\.confg: is not known; there is: config"):
        find_config({"confg": "x"}, {})
