"""Groups → batches: ids, attribute columns, several inputs, and a signature that is not known yet."""

import pytest
from polls import Facts, polled, record, signature

from ingest.assemble import Assembler
from ingest.decode import Opener
from ingest.record import Group, Polled, RejectKind
from mesh.errors import Unavailable
from mesh.routing.types import MISSING, TensorSpec

TWO = signature(TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "BYTES", (-1, 1)))


def opened(values: list[bytes]) -> tuple[Polled, Group]:
    poll = polled(values, partition=2, first=7)
    (group,), rejected = Opener("m", 10_000).open(poll, ["m"])
    assert not rejected
    return poll, group


def test_ids_are_the_input_ids_else_the_place_in_the_topic() -> None:
    poll, group = opened([record(input_id="e", features=[[1, 2, 3]]), record(features=[[1, 2, 3]])])
    (records,), _ = Assembler(Facts(signature())).assemble(poll, group)
    assert list(records.batch.ids) == ["e", "t-2-8"]
    assert records.batch.tensors["x"].shape == (2, 3)


def test_several_rows_have_ids_and_attributes_of_their_own() -> None:
    value = record(input_id="e", features=[[1, 2, 3], [4, 5, 6]], metadata={"line": 3})
    poll, group = opened([value, value])
    (records,), _ = Assembler(Facts(signature(), frozenset({"line"}))).assemble(poll, group)
    assert list(records.batch.ids) == ["e/0", "e/1", "e/0", "e/1"]
    assert list(records.batch.attributes["line"]) == [3, 3, 3, 3]
    assert [records.record_of_row(row) for row in range(4)] == [0, 0, 1, 1]


def test_only_columns_that_rules_read_are_decoded_and_absent_ones_are_missing() -> None:
    names = frozenset({"rollout", "site.line", "model id"})
    values = [
        record(features=[[1, 2, 3]], metadata={"rollout": True, "site": {"line": 3}, "other": [1]}),
        record(features=[[1, 2, 3]], metadata={"site": 5, "model id": None}),
        record(features=[[1, 2, 3]]),
    ]
    poll, group = opened(values)
    (records,), _ = Assembler(Facts(signature(), names)).assemble(poll, group)
    assert dict(records.batch.attributes) == {
        "rollout": [True, MISSING, MISSING],
        "site.line": [3, MISSING, MISSING],
        "model id": [MISSING, None, MISSING],
    }


@pytest.mark.parametrize("bad", [b"1e999", b"9" * 5_000, b"[" * 3_000 + b"]" * 3_000])
def test_metadata_that_rules_cannot_read_refuses_its_record_alone(bad: bytes) -> None:
    values = [
        record(features=[[1, 2, 3]], metadata={"line": 1}),
        b'{"features": [[4, 5, 6]], "metadata": {"line": %s}}' % bad,
        record(features=[[7, 8, 9]], metadata={"line": 3}),
    ]
    poll = polled(values)
    groups, refused = Opener("m", 10_000).open(poll, ["m"])
    for group in groups:
        batches, more = Assembler(Facts(signature(), frozenset({"line"}))).assemble(poll, group)
        refused += more
        (batch,) = batches
        assert batch.batch.tensors["x"].tolist() == [[1, 2, 3], [7, 8, 9]]
        assert list(batch.batch.attributes["line"]) == [1, 3]
    assert [each.position for each in refused] == [1]


def test_named_inputs_whose_names_are_no_text_refuse_their_record_alone() -> None:
    poll, group = opened(
        [record(features={"a": [[1, 2]], "b": [["x"]]}), b'{"features": {"a": [[1, 2]], "\xff": [["x"]]}}']
    )
    (records,), rejected = Assembler(Facts(TWO)).assemble(poll, group)
    assert [(each.position, each.kind) for each in rejected] == [(1, RejectKind.NOT_JSON)]
    assert len(records.batch) == 1


def test_named_inputs_fill_their_tensors() -> None:
    values = [
        record(features={"a": [[1, 2]], "b": [["x"]]}),
        record(features={"b": [["y"], ["z"]], "a": [[3, 4], [5, 6]]}),
    ]
    poll, group = opened(values)
    (records,), rejected = Assembler(Facts(TWO)).assemble(poll, group)
    assert not rejected
    assert records.batch.tensors["a"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert records.batch.tensors["b"].tolist() == [[b"x"], [b"y"], [b"z"]]
    assert records.rows_of is not None
    assert records.rows_of.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("features", "kind"),
    [
        ([[1, 2]], RejectKind.WRONG_INPUT),
        ({"a": [[1, 2]]}, RejectKind.WRONG_INPUT),
        ({"a": [[1, 2]], "b": [["x"]], "c": [[1]]}, RejectKind.WRONG_INPUT),
        ({"a": [[1, 2], [3, 4]], "b": [["x"]]}, RejectKind.RAGGED),
        ({"a": [[1]], "b": [["x"]]}, RejectKind.WRONG_WIDTH),
    ],
)
def test_wrong_inputs_are_refused_beside_good_ones(features: object, kind: RejectKind) -> None:
    good = record(features={"a": [[1, 2]], "b": [["x"]]})
    poll, group = opened([good, record(features=features), good])
    (records,), rejected = Assembler(Facts(TWO)).assemble(poll, group)
    assert [(each.position, each.kind) for each in rejected] == [(1, kind)]
    assert list(records.group.positions) == [0, 2]


def test_a_single_input_may_be_named_too() -> None:
    poll, group = opened([record(features={"x": [[1, 2, 3]]}), record(features=[[4, 5, 6]])])
    (records,), _ = Assembler(Facts(signature())).assemble(poll, group)
    assert records.batch.tensors["x"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_an_unknown_signature_is_waited_for_and_a_new_one_taken_over() -> None:
    facts = Facts(None)
    assembler = Assembler(facts)
    poll, group = opened([record(features=[[1, 2, 3]])])
    with pytest.raises(Unavailable):
        assembler.assemble(poll, group)
    facts.known = signature()
    assert assembler.assemble(poll, group)[0]
    facts.known = signature(TensorSpec("x", "FP32", (-1, 4)))
    assert [each.kind for each in assembler.assemble(poll, group)[1]] == [RejectKind.WRONG_WIDTH]
