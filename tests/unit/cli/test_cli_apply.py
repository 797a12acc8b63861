"""`hyperstream apply`: what it reads, and what it says."""

import pytest

from mesh.cli.apply import read_parts, said
from mesh.cli.rules_client import Changed, ShownRevision
from mesh.errors import InvalidConfig

MODELS = "models:\n  a: {runtime: identity}\n"
ROUTING = "routes:\n  - {name: r, when: always, send: [a]}\n"


def test_what_a_file_holds_is_told_by_its_keys(tmp_path):
    first, second = tmp_path / "x.yaml", tmp_path / "y.yaml"
    first.write_text(ROUTING)
    second.write_text(MODELS)
    assert read_parts([first, second]) == {"routing": (first, ROUTING), "models": (second, MODELS)}


def test_a_folder_stands_for_its_files(tmp_path):
    (tmp_path / "routing.yaml").write_text(ROUTING)
    assert list(read_parts([tmp_path])) == ["routing"]


@pytest.mark.parametrize(
    ("text", "reason"), [("sensors: []\n", "holds neither"), ("routes: [", "not valid YAML")]
)
def test_another_file_is_refused_by_name(tmp_path, text, reason):
    file = tmp_path / "z.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfig, match=rf"z\.yaml.*{reason}"):
        read_parts([file])


def test_one_kind_twice_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(InvalidConfig, match="has neither"):
        read_parts([tmp_path])
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(ROUTING)
    with pytest.raises(InvalidConfig, match="is routing, as"):
        read_parts([tmp_path / "a.yaml", tmp_path / "b.yaml"])


def test_it_says_how_many_have_taken_it():
    one = ShownRevision(4, "abc")
    assert "taken by 2 of 3" in said(Changed(one, True, 3, 2))
    assert "so they were already" in said(Changed(one, False, 3, 3))
