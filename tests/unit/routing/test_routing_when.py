import pickle

import numpy as np
import pytest

from mesh.routing.errors import RuleSyntaxError
from mesh.routing.types import MISSING
from mesh.routing.when import compile_when

NAN = float("nan")


def holds(text, **row):
    """The condition for one row, its values in lists; a dotted name is written with __."""
    columns = {name.replace("__", "."): [value] for name, value in row.items()}
    return bool(compile_when(text).mask(1, columns.get)[0])


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("a == true", True, True),
        ("a == true", "true", False),
        ("a == true", 1, False),
        ("a == 1", True, False),
        ("a == 1", 1, True),
        ("a == 1", 1.0, True),
        ('a == "1"', 1, False),
        ('a == "x"', "x", True),
        ("a == 'x'", "x", True),
        ("a != 1", 2, True),
        ("a != 1", NAN, False),
        ("a != 1", MISSING, False),
        ("a != 1", None, False),
        ("a != 1", "1", False),
        ("a != 1", True, False),
        ('a != "x"', 3, False),
        ('a != "x"', "y", True),
        ("a != true", False, True),
        ("a != true", "false", False),
        ("a < 2", 1, True),
        ("a < 2", NAN, False),
        ("a >= 2", NAN, False),
        ("a < 2", "1", False),
        ('a < "b"', "a", True),
        ('a < "b"', 1, False),
        ("a > -1.5e0", -1, True),
        ("0.5 < a", 0.6, True),
        ("0.5 < a", 0.5, False),
        ("a == 9007199254740993", 9007199254740993, True),
        ("a == 9007199254740993", 9007199254740992, False),
        ("a < 1", 10**400, False),
        ("a", True, True),
        ("a", 1, False),
        ("a", "true", False),
        ("!a", False, True),
        ("!a", MISSING, True),
        ("not a", True, False),
        ("a in [1, 'x', true]", 1, True),
        ("a in [1, 'x', true]", True, True),
        ("a in [2, 'x']", True, False),
        ("a in [0, 1]", False, False),
        ("a in ['1']", 1, False),
        ("a in [1]", [1], False),
        ("a in [1]", NAN, False),
        ("a == 1", [1], False),
        ("a == 1", {"b": 1}, False),
        ("has(a)", 0, True),
        ("has(a)", "", True),
        ("has(a)", None, False),
        ("has(a)", NAN, False),
        ("has(a)", MISSING, False),
    ],
)
def test_types_never_convert(text, value, expected):
    assert holds(text, a=value) is expected


def test_negation_of_a_comparison_that_cannot_be_made_holds():
    """A comparison is two-valued, and `!` negates what it came to; `has` leaves such rows out."""
    for value in (MISSING, None, NAN, "text"):
        assert holds("!(a > 1)", a=value)
        assert not holds("a <= 1", a=value)
    assert not holds("has(a) && !(a > 1)", a=MISSING)
    assert holds("has(a) && !(a > 1)", a=1)


def test_a_name_that_no_row_has_is_missing():
    assert compile_when("a != 1 || has(a) || a in [1] || a == b").mask(3, {}.get).tolist() == [False] * 3


def test_and_binds_tighter_than_or_and_not_than_and():
    assert holds("a == 1 || b == 1 && c == 1", a=1, b=0, c=0)
    assert not holds("(a == 1 || b == 1) && c == 1", a=1, b=0, c=0)
    assert holds("a == 1 or b == 1 and c == 1", a=1, b=0, c=0)
    assert holds("not a == 1 and b == 1", a=0, b=1)
    assert not holds("not (a == 1 or b == 1)", a=0, b=1)


def test_names_compare_with_names():
    columns = {"a": [1, 1, "x", True, MISSING, NAN], "b": [1.0, 2, "x", 1, MISSING, NAN]}
    assert compile_when("a == b").mask(6, columns.get).tolist() == [True, False, True, False, False, False]
    assert compile_when("a != b").mask(6, columns.get).tolist() == [False, True, False, False, False, False]
    arrays = {"confidence": np.array([0.7, 0.5, np.nan], np.float32), "limit": [0.7, MISSING, 0.1]}
    assert compile_when("confidence >= limit").mask(3, arrays.get).tolist() == [True, False, False]


def test_dotted_names_are_one_column():
    assert holds('tenant.region == "eu"', tenant__region="eu")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_number_is_rounded_to_the_columns_precision(dtype):
    column = np.array([0.7, 0.6999, np.nan], dtype)
    assert compile_when("confidence >= 0.7").mask(3, lambda _: column).tolist() == [True, False, False]
    assert compile_when("confidence != 0.7").mask(3, lambda _: column).tolist() == [False, True, False]
    assert compile_when("confidence in [0.7, 3]").mask(3, lambda _: column).tolist() == [True, False, False]
    assert compile_when("has(confidence)").mask(3, lambda _: column).tolist() == [True, True, False]


def test_arrays_of_other_types():
    assert compile_when("a == 2").mask(2, {"a": np.array([1, 2])}.get).tolist() == [False, True]
    assert compile_when("a == true").mask(2, {"a": np.array([1, 0])}.get).tolist() == [False, False]
    assert compile_when("a == true").mask(2, {"a": np.array([True, False])}.get).tolist() == [True, False]
    assert compile_when("a == 1").mask(2, {"a": np.array([True, False])}.get).tolist() == [False, False]
    assert compile_when("a == 'x'").mask(2, {"a": np.array(["x", 1], object)}.get).tolist() == [True, False]
    assert compile_when("confidence < 1e300").mask(
        1, {"confidence": np.ones(1, np.float32)}.get
    ).tolist() == [True]


def test_what_it_reads():
    when = compile_when("confidence > 0.5 && tenant.id == 1 && has(x)")
    assert when.reads == {"confidence", "tenant.id", "x"}
    assert (when.reads_answer, when.reads_attributes, when.always, when.never) == (True, True, False, False)
    assert not compile_when("rollout").reads_answer
    for name in ("confidence > 1", "score > 1", 'label == "x"', 'model == "x"', "has(model)"):
        assert compile_when(name).reads_answer


@pytest.mark.parametrize(
    "text", ["always", "true", "always || a == 1", "!false", "a == 1 or not false", "always and true"]
)
def test_always(text):
    when = compile_when(text)
    assert when.always
    assert when.mask(2, {}.get).tolist() == [True, True]


@pytest.mark.parametrize("text", ["false", "!always", "false && a == 1", "not true"])
def test_never(text):
    when = compile_when(text)
    assert when.never
    assert when.mask(2, {}.get).tolist() == [False, False]


def test_undecided_rows_are_those_that_need_the_answer():
    columns = {"a": [True, False, MISSING]}
    assert compile_when("a && confidence > 0.5").undecided(3, columns.get).tolist() == [True, False, False]
    assert compile_when("a || confidence > 0.5").undecided(3, columns.get).tolist() == [False, True, True]
    assert compile_when("!(a && !(confidence > 0.5))").undecided(3, columns.get).tolist() == [
        True,
        False,
        False,
    ]
    assert compile_when("a").undecided(3, columns.get).tolist() == [False, False, False]


def test_pickles_and_compares_by_text():
    when = compile_when("a == 1")
    again = pickle.loads(pickle.dumps(when))  # noqa: S301 - our own bytes
    assert again == when
    assert hash(again) == hash(when)
    assert again.mask(1, {"a": [1]}.get).tolist() == [True]
    assert compile_when("a==1 and b").canonical == compile_when("a == 1 && b == true").canonical


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "empty; write always"),
        ("   ", 0, "empty"),
        ("a = 1", 2, "use '=='"),
        ("a & b", 2, "use '&&'"),
        ("a | b", 2, "use '||'"),
        ("a + 1 > 2", 2, "no arithmetic"),
        ("a ==", 4, "the text ends here"),
        ("a == 'x", 5, "no closing '"),
        ("a == 'x\\q'", 7, "no escape"),
        ("confidence == 'high'", 14, "compared with a number only"),
        ("confidence == true", 14, "compared with a number only"),
        ("confidence", 0, "compared with a number only"),
        ("model > 3", 8, "compared with a text only"),
        ("a < true", 4, "no order"),
        ("1 < a < 3", 6, "do not chain"),
        ("!a == b", 0, "write !(...)"),
        ("a in b", 5, "expected '['"),
        ("a in []", 6, "expected a name or a value"),
        ("a in [b]", 6, 'write "b"'),
        ("1 in [1]", 0, "must be a name"),
        ("a not in [1]", 2, "!(name in [...])"),
        ("TRUE", 0, "written 'true'"),
        ("Always", 0, "written 'always'"),
        ("a AND b", 2, "did you mean 'and'?"),
        ("a andd b", 2, "did you mean 'and'?"),
        ("a == null", 5, "use has(name)"),
        ("1 == 1", 0, "two constants"),
        ("5", 0, "no condition"),
        ("(a", 2, "close the parenthesis"),
        ("a)", 1, "never opened"),
        ("(a) == 1", 4, "not conditions"),
        ("size(a) > 1", 4, "has(name)"),
        ("has(1)", 4, "has takes a name"),
        ("has a", 4, "write has(name)"),
        ("always == 1", 0, "compared with nothing"),
        ("1.2.3 == a", 0, "neither a number nor a name"),
        ("a-b == 1", 1, "found '-'"),
        ("é == 1", 0, "names hold letters"),
        ("(" * 60 + "a" + ")" * 60, 50, "nest at most"),
        ("!" * 100_000 + "a", 50, "nest at most"),
    ],
)
def test_mistakes_are_named_with_their_place(text, position, reason):
    with pytest.raises(RuleSyntaxError) as caught:
        compile_when(text)
    assert caught.value.position == position
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"at character {position + 1}: ")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert again.reason == caught.value.reason


def test_escapes():
    assert holds(r'a == "x\"y\n\u00e9"', a='x"y\né')


def test_a_long_chain_is_no_deep_nest():
    text = " || ".join(f"a == {number}" for number in range(5000))
    assert holds(text, a=4999)
