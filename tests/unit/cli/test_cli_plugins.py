"""Commands of other packages: found by their entry points; a broken one is named and takes no other with it."""

from importlib.metadata import EntryPoint

from mesh.cli import plugins


def point(name, value):
    return EntryPoint(name, value, plugins.GROUP)


def test_a_broken_command_is_named_and_the_others_are_there(capsys):
    points = [
        point("gone", "no.such.module:run"),
        point("dump", "json:dumps"),
        point("number", "math:pi"),
    ]
    assert [name for name, _ in plugins.loaded(points)] == ["dump"]
    said = capsys.readouterr().err
    assert (
        "the command 'gone' of an unknown package (no.such.module:run) is left out: ModuleNotFoundError"
        in said
    )
    assert "'number'" in said


def test_the_projects_own_commands_are_declared_and_load():
    found = dict(plugins.loaded(plugins.declared()))
    assert found["evaluate"].__module__ == "ingest.evaluation.command"
