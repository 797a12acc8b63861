"""Whose labels count: a person who contradicts the others is left out, and a training that rests on one person alone is stopped.

Agreement of all is Gwet's AC1 (K. L. Gwet, "Computing inter-rater reliability and its variance in the presence of high
agreement", British Journal of Mathematical and Statistical Psychology 61, 2008), which rare classes do not break as they do
Cohen's kappa:

    AC1 = (p_a - p_e) / (1 - p_e),   p_e = 2 q (1 - q)

with `p_a` the mean share of agreeing pairs over items judged twice or more, and `q` the mean share of `anomalous`. Agreement of
one person is the share of items on which that person says what most of the others say, with Wilson's 95 % interval. Pure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mesh.learning.anomaly.evaluate import Share
from mesh.learning.feedback.labels import AdjudicatedLabel, Verdict
from mesh.learning.plan import FeedbackPolicy

_LEAST: int = 5
"""Fewer labels than this are no reason to speak of shares."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """Labels that count, those that do not with the reason by id, and what stops a training (empty: nothing).

    `agreement` is AC1, None where too few items were judged twice; `people` how many stand behind the labels that count.
    """

    labels: tuple[AdjudicatedLabel, ...]
    left_out: Mapping[str, str]
    problems: tuple[str, ...]
    agreement: float | None
    people: int


def trusted(labels: Sequence[AdjudicatedLabel], policy: FeedbackPolicy) -> Trusted:
    """Judge labels. None at all are no problem: there is then nothing to learn from people."""
    distrusted = _distrusted(labels, policy)
    left_out = {
        one.id: f"rests on {', '.join(one.carriers)} alone: {distrusted[one.carriers[0]]}"
        for one in labels
        if one.carriers and all(actor in distrusted for actor in one.carriers)
    }
    kept = tuple(one for one in labels if one.id not in left_out)
    agreement = ac1(labels, policy.shared, frozenset(distrusted))
    people = {actor for one in kept for actor in one.carriers}
    problems = []
    if len(kept) >= _LEAST:
        if len(people) < policy.people:
            problems.append(
                f"{len(people)} person labelled, {policy.people} are needed: {', '.join(sorted(people))}"
            )
        problems += _alone(kept, policy)
    if agreement is not None and agreement < policy.agreement:
        problems.append(
            f"people disagree: AC1 is {agreement:.2f}, {policy.agreement - agreement:.2f} below {policy.agreement:g}"
        )
    return Trusted(kept, left_out, tuple(problems), agreement, len(people))


def ac1(
    labels: Sequence[AdjudicatedLabel], least: int, without: frozenset[str] = frozenset()
) -> float | None:
    """Gwet's AC1 over items that two or more judged, not counting people `without`; None for fewer than `least` items."""
    agreeing, anomalous = [], []
    for one in labels:
        said = {vote.actor: vote.verdict for vote in one.votes if vote.actor not in without}
        count = len(said)
        if count < 2:
            continue
        yes = sum(verdict == "anomalous" for verdict in said.values())
        no = count - yes
        agreeing.append((yes * (yes - 1) + no * (no - 1)) / (count * (count - 1)))
        anomalous.append(yes / count)
    if len(agreeing) < max(1, least):
        return None
    share = sum(anomalous) / len(anomalous)
    chance = 2 * share * (1 - share)
    return (sum(agreeing) / len(agreeing) - chance) / (1 - chance)


def _distrusted(labels: Sequence[AdjudicatedLabel], policy: FeedbackPolicy) -> dict[str, str]:
    """People whose agreement with the others is surely too low, and how low.

    Two people who contradict each other cannot be told apart by this: both are left out.
    """
    agreed: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for one in labels:
        said = {vote.actor: vote.verdict for vote in one.votes}
        for actor, verdict in said.items():
            most = _most([other for who, other in said.items() if who != actor])
            if most is not None:
                judged[actor] += 1
                agreed[actor] += verdict == most
    found = {}
    for actor, count in judged.items():
        share = Share(agreed[actor], count)
        if count >= policy.shared and share.bounds[1] < policy.agreement:
            found[actor] = f"agrees with the others on {share.found} of {count} items"
    return found


def _most(verdicts: Sequence[Verdict]) -> Verdict | None:
    """What most say; None where they are none, or even."""
    yes = sum(verdict == "anomalous" for verdict in verdicts)
    if 2 * yes == len(verdicts):
        return None
    return "anomalous" if 2 * yes > len(verdicts) else "normal"


def _alone(labels: Sequence[AdjudicatedLabel], policy: FeedbackPolicy) -> list[str]:
    alone = Counter(one.carriers[0] for one in labels if len(one.carriers) == 1)
    return [
        f"{count} of {len(labels)} labels rest on {actor} alone: {count / len(labels):.0%}, "
        f"{count / len(labels) - policy.most_of_one:.0%} more than allowed"
        for actor, count in alone.items()
        if count / len(labels) > policy.most_of_one
    ]
