"""A view by its name, and what is said where it, its columns or the extra is missing."""

import sys

import pytest
from rich.console import Console

from mesh.cli.check import views
from mesh.cli.stores import place_of
from mesh.errors import InvalidConfig, InvalidInput, MeshError, NotFound
from mesh.spec import load_features


@pytest.fixture
def config(tmp_path, monkeypatch):
    folder = tmp_path / "config"
    folder.mkdir()
    monkeypatch.setenv("MESH_CONFIG", str(folder))
    (folder / "features.yaml").write_text("views: {plant: {columns: [a, b]}, bare: {}}")
    return folder


def test_a_view_has_its_history_beside_the_configuration(config):
    place = place_of("plant")
    assert place.view.columns == ("a", "b")
    assert place.history == f"{config.parent}/store/features/plant/{place.view.transform}"


def test_an_unknown_view_names_the_nearest(config):
    with pytest.raises(NotFound, match=r"no view 'plnat' in features.yaml; did you mean 'plant'"):
        place_of("plnat")


def test_a_view_without_sensors_says_what_to_declare(config):
    with pytest.raises(InvalidConfig, match=r"features.yaml: views.bare.columns: follows telemetry.yaml"):
        place_of("bare")


def test_kept_windows_come_from_the_view_or_the_option(config, tmp_path):
    assert place_of("plant").kept_windows(None) == ()
    (config / "features.yaml").write_text(
        "views: {plant: {columns: [a], tiers: {kept_windows: config/labels.csv}}}"
    )
    (config / "labels.csv").write_text("entity,from,to\npump-7,1,2\n")
    assert [window.entity for window in place_of("plant").kept_windows(None)] == ["pump-7"]
    with pytest.raises(InvalidInput, match=r"other\.csv"):
        place_of("plant").kept_windows(tmp_path / "other.csv")


def test_a_missing_extra_gives_the_command_that_installs_it(config, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("mesh.stores.delta_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(
        MeshError, match=r"deltalake is not installed: pip install 'hyperstream-mesh\[features\]'"
    ):
        place_of("plant").reader()


def test_check_shows_each_view(config, capsys):
    Console(width=200).print(views(load_features(config)))
    shown = capsys.readouterr().out
    assert "plant" in shown
    assert "none: no sensors in telemetry.yaml" in shown
