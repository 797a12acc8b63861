"""A group of opened records → batches for the engine: tensors by signature, ids, and the columns that rules read."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import numpy as np

from ingest.attributes import AttributeReader
from ingest.envelope import BAD_VALUE
from ingest.features import Block, RowReader
from ingest.nested import FeaturesError, Refusal
from ingest.record import Features, Group, Polled, RecordBatch, Rejected, RejectKind
from mesh.errors import Unavailable
from mesh.routing.types import Batch, Signature

_BRACE: Final = ord("{")
_Named = list[tuple[Block, Mapping[str, np.ndarray]]]


class Endpoints(Protocol):
    """What the decoder asks of an engine."""

    def signature(self, endpoint: str) -> Signature | None:
        """Inputs and outputs; None while no replica has said so."""
        ...

    def attributes_read(self, endpoint: str) -> frozenset[str]:
        """The dotted names that the endpoint's rules read."""
        ...


@dataclass(frozen=True, slots=True)
class _Form:
    """What an endpoint wants, with the readers made for it."""

    signature: Signature
    names: frozenset[str]
    readers: Mapping[str, RowReader]
    attributes: AttributeReader


class Assembler:
    """Keeps the readers of every endpoint, and makes new ones when a signature or the rules change."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._forms: dict[str, _Form] = {}

    def assemble(self, polled: Polled, group: Group) -> tuple[list[RecordBatch], list[Rejected]]:
        """Batches that hold every good record once, and the refused ones.

        Raises `Unavailable` while the endpoint's signature is not known.
        """
        form = self._form(group.endpoint)
        try:
            return _assembled(form, polled, group)
        except BAD_VALUE:
            unreadable = form.attributes.unreadable(group.metadata)
            if not unreadable:
                raise
        bad = [
            Rejected(group.positions[at], RejectKind.WRONG_TYPE, reason, model_id=group.endpoint)
            for at, reason in unreadable.items()
        ]
        kept = group.take([at for at in range(len(group)) if at not in unreadable])
        batches, rejected = _assembled(form, polled, kept) if len(kept) else ([], [])
        return batches, [*bad, *rejected]

    def _form(self, endpoint: str) -> _Form:
        signature = self._endpoints.signature(endpoint)
        if signature is None:
            raise Unavailable(endpoint, "no replica has said what it takes")
        names = self._endpoints.attributes_read(endpoint)
        form = self._forms.get(endpoint)
        if form is None or form.signature != signature or form.names != names:
            readers = {spec.name: RowReader(spec) for spec in signature.inputs}
            form = self._forms[endpoint] = _Form(signature, names, readers, AttributeReader(names))
        return form


def _assembled(form: _Form, polled: Polled, group: Group) -> tuple[list[RecordBatch], list[Rejected]]:
    if len(form.readers) == 1 and not any(raw[0] == _BRACE for raw in group.features):
        (name,) = form.readers
        blocks, refused = form.readers[name].read(group.features)
        named: _Named = [(block, {name: block.rows}) for block in blocks]
    else:
        named, refused = _read_named(form.readers, group.features)
    rejected = [
        Rejected(group.positions[at], error.kind, error.reason, model_id=group.endpoint)
        for at, error in refused
    ]
    batches = []
    for block, tensors in named:
        chosen = group if block.chosen is None else group.take(block.chosen)
        ids = _ids(polled, chosen, block.rows_of)
        columns = form.attributes.columns(chosen.metadata, block.rows_of)
        batches.append(RecordBatch(chosen, Batch(tensors, ids, None, columns), block.rows_of))
    return batches, rejected


_named_rows = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _read_named(
    readers: Mapping[str, RowReader], raws: Sequence[Features]
) -> tuple[_Named, list[tuple[int, Refusal]]]:
    """Records that name their inputs, one by one; records whose tensors have equal shapes share a batch."""
    found: dict[tuple[tuple[int, ...], ...], tuple[list[int], list[list[np.ndarray]]]] = defaultdict(
        lambda: ([], [])
    )
    refused = []
    for place, raw in enumerate(raws):
        try:
            arrays = _named_arrays(readers, bytes(raw))
        except FeaturesError as error:
            refused.append((place, error.refusal))
        else:
            places, rows = found[tuple(array.shape[1:] for array in arrays)]
            places.append(place)
            rows.append(arrays)
    blocks: _Named = []
    for places, rows in found.values():
        tensors = {name: np.concatenate([arrays[i] for arrays in rows]) for i, name in enumerate(readers)}
        counts = np.fromiter((len(arrays[0]) for arrays in rows), np.intp, len(rows))
        single = None if (counts == 1).all() else counts
        blocks.append((Block(next(iter(tensors.values())), places, single), tensors))
    return blocks, refused


def _named_arrays(readers: Mapping[str, RowReader], raw: bytes) -> list[np.ndarray]:
    if not raw.startswith(b"{"):
        if len(readers) == 1:
            return [next(iter(readers.values())).one(raw)]
        raise FeaturesError(
            RejectKind.WRONG_INPUT, f"features: expected {{name: rows}} for {', '.join(readers)}"
        )
    try:
        named = _named_rows.decode(raw)
    except BAD_VALUE as error:
        raise FeaturesError(RejectKind.NOT_JSON, f"features: {error}") from error
    if named.keys() != readers.keys():
        shown = ", ".join(sorted(name[:60] for name in named)[:8])
        raise FeaturesError(
            RejectKind.WRONG_INPUT, f"features: expected {', '.join(readers)}, got {shown or 'none'}"
        )
    arrays = [reader.one(bytes(named[name])) for name, reader in readers.items()]
    if len({len(array) for array in arrays}) > 1:
        counts = ", ".join(f"{name} {len(array)}" for name, array in zip(readers, arrays, strict=True))
        raise FeaturesError(RejectKind.RAGGED, f"features: inputs differ in rows: {counts}")
    return arrays


def inference_id(polled: Polled, position: int) -> str:
    """`topic-partition-offset`: the same whenever the record is read again."""
    return f"{polled.topic}-{polled.partitions[position]}-{polled.offsets[position]}"


def _ids(polled: Polled, group: Group, rows_of: np.ndarray | None) -> list[str]:
    """One id a row: the record's `input_id`, else its inference id; several rows of a record are `id/row`."""
    ids = [
        inference_id(polled, at) if input_id is None else input_id
        for input_id, at in zip(group.input_ids, group.positions, strict=True)
    ]
    if rows_of is None:
        return ids
    return [
        f"{name}/{row}" if rows > 1 else name
        for name, rows in zip(ids, rows_of.tolist(), strict=True)
        for row in range(rows)
    ]
