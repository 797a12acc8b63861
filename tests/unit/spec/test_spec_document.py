"""YAML with lines: what is read, what is refused, and where the error points."""

import pytest

from mesh.errors import InvalidConfig
from mesh.spec.document import dotted, parse_document


def refused(text: str) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        parse_document("f.yaml", text)
    return caught.value


def test_values_and_the_lines_they_came_from() -> None:
    document = parse_document("f.yaml", "a: 1\nb:\n  - x\n  - {c: 0.5,\n     d: true}\ne: null\n")
    assert document.data == {"a": 1, "b": ["x", {"c": 0.5, "d": True}], "e": None}
    paths = [("a",), ("b",), ("b", 0), ("b", 1), ("b", 1, "d"), ("e",)]
    assert [document.line_of(path) for path in paths] == [1, 2, 3, 4, 5, 6]


def test_a_part_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    document = parse_document("f.yaml", "a:\n  b:\n    c: 1\n")
    assert document.line_of(("a", "b", "missing", 3)) == 2
    assert document.line_of(("nothing",)) == 1


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_file(text: str) -> None:
    assert parse_document("f.yaml", text).data == {}


def test_a_key_given_twice_names_both_lines() -> None:
    error = refused("routes:\n  - name: a\n    when: x\n    name: b\n")
    assert (error.file, error.line, error.key) == ("f.yaml", 4, "routes[0].name")
    assert "first on line 2" in error.reason


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML"),
        ("a: &x 1\nb: *x\n", 2, "aliases"),
        ("a:\n  <<: {b: 1}\n", 2, "'<<' is not text"),
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("a: !!python/object:os.system x\n", 1, "not valid YAML"),
        ("a:\n  yes: 1\n", 2, "'yes' is not text; a key in quotes is"),
        ("3: x\n", 1, "'3' is not text"),
        ("? [a]\n: b\n", 1, "is not text"),
        ("when: 2024-99-99\n", 1, "month"),
        ("a: !mine {b: 1}\n", 1, "tag !mine"),
        ("a: 1\nb: \x1f\n", 2, "the character U+001F is not allowed"),
    ],
)
def test_refused_with_a_line(text: str, line: int, reason: str) -> None:
    error = refused(text)
    assert error.line == line
    assert reason in error.reason


def test_nesting_without_end_is_refused_and_not_a_crash() -> None:
    assert "nested too deeply" in refused("[" * 5000).reason


def test_dotted() -> None:
    assert (
        dotted(("endpoints", "a.b", "routes", 2, "canary", "percent"))
        == "endpoints.a.b.routes[2].canary.percent"
    )
    assert dotted(()) == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: !!bool maybe\n", 2),
        ("a: 1\nb: !!timestamp soon\n", 2),
        ('b: !!int ""\n', 1),
        ('b: !!float "-"\n', 1),
        ('a: 1\nb: "\\UFFFFFFFF"\n', 2),
        ('a: 1\nb: "\\U00110000"\n', 2),
        ("%YAML 1." + "9" * 5_000 + "\n---\na: 1\n", 1),
    ],
)
def test_what_pyyaml_itself_stumbles_over_is_a_mistake_in_the_file(text: str, line: int) -> None:
    error = refused(text)
    assert error.line == line
    assert "not valid YAML" in error.reason


@pytest.mark.parametrize("text", ['a: "\\uD800"\n', '"\\uDFFF": 1\n', 'a: ["\\uD83D\\uDE00"]\n'])
def test_half_a_character_is_refused_where_it_stands(text: str) -> None:
    assert "halves of characters" in refused(text).reason
