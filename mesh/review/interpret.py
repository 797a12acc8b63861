"""What a person's words mean, given what was predicted. Pure; the place where a wrong request is told what to change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mesh.errors import InvalidInput
from mesh.review.reasons import REASONS, ReasonCode
from mesh.review.values import LABELS, Action, Label, Said

MAX_NOTE: Final = 2_000
MAX_TAGS: Final = 16
MAX_TAG: Final = 64


@dataclass(frozen=True, slots=True)
class Meaning:
    """The action as it is kept (`judge` becomes `confirm` or `override`), and the label; None says nothing of it."""

    action: Action
    label: Label | None


def meaning_of(
    said: Said, predicted: Label, *, hidden: bool, reasons: Sequence[ReasonCode] = REASONS
) -> Meaning:
    """Raises `InvalidInput` naming the field and the fix. `hidden`: the person has not seen what was predicted."""
    if len(said.note) > MAX_NOTE:
        raise InvalidInput("note", f"has {len(said.note)} characters, the most is {MAX_NOTE}")
    if len(said.tags) > MAX_TAGS or any(not 0 < len(tag) <= MAX_TAG for tag in said.tags):
        raise InvalidInput("tags", f"take at most {MAX_TAGS}, of 1 to {MAX_TAG} characters each")
    _check_reason(said, reasons)
    match said.action:
        case "confirm" | "override" if hidden:
            reason = f"'{said.action}' needs a prediction, which is hidden here; use 'judge' with a label"
            raise InvalidInput("action", reason)
        case "confirm":
            return _confirmed(said, predicted)
        case "override":
            return _overridden(said, predicted)
        case "judge":
            if said.label is None:
                raise InvalidInput("label", f"say which: {' or '.join(LABELS)}")
            return Meaning("confirm" if said.label == predicted else "override", said.label)
        case "tag" if not said.tags:
            raise InvalidInput("tags", "name at least one")
        case "undo":
            raise InvalidInput("action", "POST to …/undo")
        case action:
            if said.label is not None:
                raise InvalidInput("label", f"leave it out: '{action}' says nothing of it")
            return Meaning(action, None)


def _check_reason(said: Said, reasons: Sequence[ReasonCode]) -> None:
    if said.reason is None:
        return
    known = {one.code: one for one in reasons}
    if said.reason not in known:
        raise InvalidInput("reason", f"'{said.reason[:60]}' is none; there are: {', '.join(known)}")
    if known[said.reason].note and not said.note.strip():
        raise InvalidInput("note", f"say what it is: the reason is '{said.reason}'")


def _confirmed(said: Said, predicted: Label) -> Meaning:
    if said.label not in (None, predicted):
        raise InvalidInput("label", f"'{said.label}' is not what was predicted; use 'override'")
    return Meaning("confirm", predicted)


def _overridden(said: Said, predicted: Label) -> Meaning:
    other: Label = "normal" if predicted == "anomaly" else "anomaly"
    if said.label == predicted:
        raise InvalidInput("label", f"'{predicted}' is what was predicted; use 'confirm'")
    if said.reason is None:
        raise InvalidInput("reason", "an override needs one")
    return Meaning("override", other)
