"""The bytes of a poll → groups of records by endpoint and variant; what cannot be opened is refused, with a reason.

Features stay raw JSON here: they are parsed once the endpoint's signature is known. Metadata passes through as it came.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, cast

import msgspec

from ingest.envelope import BAD_VALUE, WIDE_BYTES, Envelope, open_narrow, open_wide
from ingest.record import Features, Group, Polled, Rejected, RejectKind
from mesh.routing.types import Variant

VARIANT_HEADER: Final = "x-mesh-variant"

_VARIANTS: Final = {b"primary": "primary", b"canary": "canary"}
_BRACE: Final = ord("{")
_features, _metadata = attrgetter("features"), attrgetter("metadata")
_input_id, _model_id = attrgetter("input_id"), attrgetter("model_id")


class Opener:
    """Opens polls: one per reader. `default_endpoint` takes the records that name no model."""

    def __init__(self, default_endpoint: str, max_record_bytes: int) -> None:
        self._default = default_endpoint
        self._max_bytes = max_record_bytes

    def open(self, polled: Polled, endpoints: Iterable[str]) -> tuple[list[Group], list[Rejected]]:
        """Every record of the poll is in exactly one group or refused. About 0.7 µs a record of 400 bytes."""
        rejected: list[Rejected] = []
        positions: list[int] = []
        envelopes: list[Envelope] = []
        features: dict[int, Features] = {}
        for position, value in enumerate(polled.values):
            try:
                # A missing value raises TypeError, at no cost to all others.
                if len(value) > WIDE_BYTES:  # type: ignore[arg-type]
                    envelope, features[len(envelopes)] = self._long(value)
                else:
                    envelope = open_narrow(value)  # type: ignore[arg-type]
            except (*BAD_VALUE, TypeError) as error:
                rejected.append(self._refusal(position, value, error))
            else:
                positions.append(position)
                envelopes.append(envelope)
        known = frozenset(endpoints)
        groups = []
        for group in self._grouped(polled, positions, envelopes, features):
            if group.endpoint not in known:
                rejected += _unknown(group, known)
                continue
            good = _checked(group, rejected)
            if len(good):
                groups.append(good)
        return groups, rejected

    def _long(self, value: bytes | None) -> tuple[Envelope, Features]:
        if value is None or len(value) > self._max_bytes:
            raise TypeError("not to be opened at all")
        return open_wide(value)

    def _refusal(self, position: int, value: bytes | None, error: Exception) -> Rejected:
        if value is None:
            return Rejected(position, RejectKind.NULL_VALUE, "the record has no value")
        if len(value) > self._max_bytes:
            reason = f"{len(value)} bytes, the limit is {self._max_bytes}"
            return Rejected(position, RejectKind.TOO_LARGE, reason)
        if not value.strip():
            return Rejected(position, RejectKind.EMPTY_VALUE, "the record's value is empty")
        if isinstance(error, RecursionError):
            return Rejected(position, RejectKind.TOO_DEEP, "nested too deeply")
        if isinstance(error, msgspec.ValidationError):
            return Rejected(position, RejectKind.WRONG_TYPE, str(error))
        return Rejected(position, RejectKind.NOT_JSON, str(error))

    def _grouped(
        self, polled: Polled, positions: list[int], envelopes: list[Envelope], long: Mapping[int, Features]
    ) -> Iterable[Group]:
        """The records by endpoint and variant, in order within each. `long` holds the features of long records."""
        if not envelopes:
            return ()
        endpoints = [name or self._default for name in map(_model_id, envelopes)]
        variants = _variants(polled, positions)
        whole = Group(
            endpoints[0],
            None,
            positions,
            list(map(_input_id, envelopes)),
            _features_of(envelopes, long),
            list(map(bytes, map(_metadata, envelopes))),
        )
        if variants is None and len(set(endpoints)) == 1:
            return (whole,)
        chosen: dict[tuple[str, Variant | None], list[int]] = defaultdict(list)
        for i, endpoint in enumerate(endpoints):
            chosen[endpoint, variants[i] if variants else None].append(i)
        return [whole.take(members).sent_to(*target) for target, members in chosen.items()]


def _features_of(envelopes: list[Envelope], long: Mapping[int, Features]) -> list[Features]:
    if len(long) == len(envelopes):
        return list(long.values())
    found: list[Features] = list(map(bytes, map(_features, envelopes)))
    for i, features in long.items():
        found[i] = features
    return found


def _unknown(group: Group, known: frozenset[str]) -> list[Rejected]:
    there = ", ".join(sorted(known))
    reason = f"no model or endpoint '{group.endpoint[:200]}'; there are: {there}"
    return [Rejected(at, RejectKind.UNKNOWN_MODEL, reason) for at in group.positions]


def _checked(group: Group, rejected: list[Rejected]) -> Group:
    """The group less the records without features and those whose metadata would spoil the answer's JSON."""
    if (
        all(group.features)
        and b"null" not in group.features
        and all(raw[0] == _BRACE and raw.isascii() for raw in group.metadata)
    ):
        return group
    kept: list[int] = []
    metadata = list(group.metadata)
    for i, raw in enumerate(metadata):
        reason = _metadata_problem(raw)
        if not group.features[i] or group.features[i] == b"null":
            problem = Rejected(group.positions[i], RejectKind.NO_FEATURES, "the record has no features")
        elif reason is not None:
            problem = Rejected(group.positions[i], *reason)
        else:
            metadata[i] = b"{}" if raw == b"null" else raw
            kept.append(i)
            continue
        rejected.append(problem)
    whole = Group(group.endpoint, group.variant, group.positions, group.input_ids, group.features, metadata)
    return whole.take(kept)


def _metadata_problem(raw: bytes) -> tuple[RejectKind, str] | None:
    if not raw.startswith(b"{") and raw != b"null":
        return RejectKind.WRONG_TYPE, "metadata: expected an object"
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return RejectKind.NOT_JSON, f"metadata: {error.reason}"
    return None


def _variants(polled: Polled, positions: list[int]) -> Sequence[Variant | None] | None:
    """The variant that each record's header asks for; None where no record has such a header."""
    if all(name.lower() != VARIANT_HEADER for name in polled.header_names):
        return None
    return [_variant(polled.headers[position]) for position in positions]


def _variant(headers: Sequence[tuple[str, bytes | str | None]] | None) -> Variant | None:
    for name, value in headers or ():
        if name.lower() == VARIANT_HEADER:
            raw = value.encode() if isinstance(value, str) else value or b""
            return cast("Variant | None", _VARIANTS.get(raw))
    return None
