"""`hyperstream audit` and `hyperstream token`, over SQLite in a folder."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.cli.records import local_records
from mesh.errors import InvalidInput, MeshError


class Command:
    def __init__(self) -> None:
        self.stderr = ""

    def __call__(self, *words: str) -> str:
        done = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        self.stderr = done.stderr
        return done.stdout


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    (tmp_path / "config").mkdir()
    monkeypatch.setenv("MESH_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("MESH_DATABASE_URL", raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    return Command()


def test_a_token_is_made_shown_once_and_ended(run, tmp_path):
    text = run("token", "create", "ann", "--role", "analyst", "--expires", "90d").strip()
    identifier = text.split("_")[1]
    assert f"token {identifier} of 'ann', analyst" in run.stderr
    assert (tmp_path / "store" / "records.db").exists()
    shown = json.loads(run("token", "list", "--json"))
    assert (shown["id"], shown["role"], shown["state"], shown["by"]) == (
        identifier,
        "analyst",
        "valid",
        "root",
    )
    assert shown["expires"] > shown["created"]
    assert text not in run("token", "list") + run("token", "list", "--json")
    assert run("token", "revoke", identifier) == f"token {identifier} of 'ann' is revoked\n"
    assert json.loads(run("token", "list", "--json"))["state"] == "revoked"


@pytest.mark.parametrize(
    ("words", "said"),
    [(["ann", "--role", "root"], "--role: 'root' is not one of viewer"),
     (["ann", "--expires", "soon"], "--expires: must be a time such as"),
     (["ann bob"], "name: must begin with a letter or digit")],
)  # fmt: skip
def test_what_is_wrong_with_a_token_is_named(run, words, said):
    with pytest.raises(InvalidInput, match=said):
        run("token", "create", *words)


def test_what_was_done_is_found_and_checked(run):
    run("token", "create", "ann", "--role", "analyst")
    run("token", "create", "bob")
    lines = run("audit", "search").splitlines()
    assert len(lines) == 2
    assert "root (admin, cli)  tokens.create  token:" in lines[0]
    assert '"name":"bob"' in lines[0]
    assert run("audit", "search", "--actor", "nobody") == ""
    assert len(run("audit", "search", "--action", "tokens.*", "--limit", "1", "--json").splitlines()) == 1
    said = run("audit", "verify")
    assert said.startswith("whole: 2 entries, the last is 2:")
    head = said.split()[-1]
    assert "and 1 known heads are in it" in run("audit", "verify", "--known", head[:20])
    with pytest.raises(MeshError, match=r"entry 2 is not the one that was published"):
        run("audit", "verify", "--known", f"2:{'0' * 12}")
    with pytest.raises(MeshError, match="--known: '7' is no SEQ:HASH"):
        run("audit", "verify", "--known", "7")


def test_an_export_can_be_checked_without_the_database_and_without_this_program(run, tmp_path):
    with local_records() as records:
        for number in range(3):
            records.log("store.expire", f"view:pümpe {number}", day=number + 0.5, huge=1e17)
    file = tmp_path / "audit.jsonl"
    run("audit", "export", "--output", str(file))
    assert run("audit", "verify", "--file", str(file)).startswith("whole: 3 entries")
    assert run("audit", "export").splitlines() == file.read_text().splitlines()
    assert len(run("audit", "export", "--after", "2").splitlines()) == 1
    for line in file.read_text().splitlines():  # as docs/audit.md says
        found = json.loads(line)
        assert (
            hashlib.sha256((line[83:147] + line[157:-1]).encode()).hexdigest() == found["hash"] == line[9:73]
        )
    script = r"""
    while IFS= read -r line; do
      hash=${line:9:64} prev=${line:83:64} entry=${line:157}
      [ "$(printf '%s%s' "$prev" "${entry%?}" | sha256sum | cut -d' ' -f1)" = "$hash" ] || exit 1
      [ "$prev" = "${last:-$prev}" ] || exit 1
      last=$hash
    done"""
    check = ["bash", "-c", script]
    with file.open() as lines:
        subprocess.run(check, check=True, stdin=lines, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})
    with pytest.raises(InvalidInput, match=r"--output: .*exists"):
        run("audit", "export", "--output", str(file))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"target":"view:b"', '"target":"view:c"', "entry 2 was changed"),
        ('"seq":2', '"seq":2.5', "audit.jsonl:2: is no line of hyperstream audit export: seq"),
        ('{"hash"', "[", "audit.jsonl:1: is no line of hyperstream audit export"),
        ('"seq":2', '"seq":2,"x":1', "unknown members"),
    ],
)
def test_a_file_that_was_changed_shows(run, tmp_path, old, new, said):
    with local_records() as records:
        for target in "abc":
            records.log("store.expire", f"view:{target}")
    file = tmp_path / "audit.jsonl"
    file.write_text(run("audit", "export").replace(old, new, 1))
    with pytest.raises(MeshError, match=said):
        run("audit", "verify", "--file", str(file))


def test_a_wrong_url_is_named(run, monkeypatch):
    for url, said in (
        ("nonsense", "is no database URL"),
        ("mysql://x/y", "'mysql' is not known"),
        ("sqlite://", "names no file"),
    ):
        monkeypatch.setenv("MESH_DATABASE_URL", url)
        with pytest.raises(MeshError, match=f"MESH_DATABASE_URL: {said}"):
            run("token", "list")


def test_a_place_that_cannot_be_written_is_said(run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MESH_DATABASE_URL", f"sqlite:///{tmp_path}/file/records.db")
    with pytest.raises(
        MeshError, match=r"the folder .*/file cannot be made .*MESH_DATABASE_URL names another place"
    ):
        run("token", "list")
