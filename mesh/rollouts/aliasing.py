"""The alias of a promote step: it moves to the candidate, and back to exactly what it stood for, be that nothing."""

from typing import Final

from mesh.bounded import within
from mesh.errors import InvalidConfig, InvalidInput, NotFound
from mesh.rollouts.ports import STEP_S, Aliases
from mesh.rollouts.states import Rollout, noted

_NEVER: Final = (NotFound, InvalidConfig, InvalidInput)
"""What no further try mends."""


async def before_it_moves(rollout: Rollout, aliases: Aliases) -> Rollout:
    """The rollout with what its alias stands for now; the same object where that is known, or nothing is to be moved.

    Write it before `hand_over`: whoever takes the promotion back may be another process.
    """
    alias = _alias_of(rollout)
    if not alias or await _is_the_candidates(rollout, aliases):
        return rollout
    present = await within(STEP_S, aliases.version(rollout.plan.model, alias))
    known = rollout.alias is not None and rollout.alias.version == present
    return rollout if known else noted(rollout, present)


async def hand_over(rollout: Rollout, aliases: Aliases) -> None:
    """Let the alias stand for the candidate. Raises what `Aliases.move` raises."""
    alias = _alias_of(rollout)
    if alias and rollout.alias is not None and not await _is_the_candidates(rollout, aliases):
        await _move(rollout, aliases, rollout.alias.version, rollout.plan.candidate)


async def give_back(rollout: Rollout, aliases: Aliases) -> str:
    """Let the alias stand for what it stood for, unless somebody has moved it since; why that can never be, else "".

    Raises `WrongState` or `StoreAway` where another try may succeed.
    """
    if rollout.alias is None:
        return ""
    before = rollout.alias.version
    try:
        present = await within(STEP_S, aliases.version(rollout.plan.model, _alias_of(rollout)))
        if present != before and await _is_the_candidates(rollout, aliases):
            await _move(rollout, aliases, rollout.plan.candidate, before)
    except _NEVER as error:
        to = "nothing" if before is None else f"'{before}'"
        return f"{_alias_of(rollout)} of '{rollout.plan.model}' was not given back to {to}: {error}"
    return ""


def _alias_of(rollout: Rollout) -> str:
    """The alias that the promotion moves; empty where it moves none."""
    plan, last = rollout.plan, rollout.plan.steps[-1]
    return last.alias if plan.model and last.kind == "promote" else ""


async def _is_the_candidates(rollout: Rollout, aliases: Aliases) -> bool:
    present = await within(STEP_S, aliases.current(rollout.plan.model, _alias_of(rollout)))
    return present == rollout.plan.candidate


async def _move(rollout: Rollout, aliases: Aliases, expected: str | None, to: str | None) -> None:
    plan, actor = rollout.plan, f"rollout:{rollout.name}"
    await within(STEP_S, aliases.move(plan.model, _alias_of(rollout), expected, to, actor))
