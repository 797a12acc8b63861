"""The text of an alert from its template."""

import pytest

from mesh.alerts.summary import MAX_CHARACTERS, read_summary


def test_attributes_are_filled_in_dots_and_all():
    summary = read_summary("{asset} {{x}} {temp.mean:.1f} {n} {ok}{gone}")
    assert summary.names == {"asset", "temp.mean", "n", "ok", "gone"}
    values = {"asset": "pump {n}", "temp.mean": 71.26, "n": 3, "ok": True, "gone": None}
    assert summary.fill(values) == "pump {n} {x} 71.3 3 true-"


def test_a_format_of_numbers_leaves_texts_alone():
    assert read_summary("{a:.2f}").fill({"a": "high"}) == "high"


def test_it_never_grows_past_its_limit():
    assert len(read_summary("{a}" * 9).fill({"a": "x" * 200})) == MAX_CHARACTERS


@pytest.mark.parametrize("text", ["{", "}", "{}", "{a!r}", "{a[0]}", "{a:.2q}", "{:.2f}"])
def test_what_is_no_template_is_refused_with_the_way_to_write_it(text):
    with pytest.raises(ValueError, match=r"write \{"):
        read_summary(text)
