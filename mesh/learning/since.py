"""What came since the newest version that was made, as the registry remembers it: a restart forgets nothing of it."""

from collections.abc import Iterator

from mesh.learning.bench import CALIBRATION_FILE, Bench
from mesh.learning.online.recalibrate import read_belief
from mesh.registry import ModelVersion


def last_training(bench: Bench) -> int | None:
    """When the newest trained version was made, whatever became of it; None where there is none.

    Raises `StorageFailed`.
    """
    return next((one.made_at for one in _newest_first(bench) if one.origin == "retrained"), None)


def update_due(bench: Bench, now_ms: int) -> bool:
    """Whether so many new labels came that a light update is due; never without a champion that was trained here.

    Raises `StoreAway`, `StorageFailed`.
    """
    registry, name = bench.registry, bench.plan.model
    if "champion" not in registry.aliases(name).points:
        return False
    champion = registry.get(name, "champion")
    if CALIBRATION_FILE not in champion.files:
        return False
    return len(bench.labels.decided(_seen_upto(bench, champion), now_ms)) >= bench.plan.update.labels


def _seen_upto(bench: Bench, champion: ModelVersion) -> int:
    """From when on labels are new: nothing was made of them, nor measured on them.

    An update makes a challenger and leaves the champion where it is. Counted from the champion alone, the same labels would make
    another one at every look, also after gates or traffic refused the first.
    """
    _, _, upto = read_belief(bench.registry.file(champion, CALIBRATION_FILE))
    later = _newest_first(bench, champion.number)
    child = next((one.made_at for one in later if one.lineage.parent == champion.number), champion.made_at)
    # Held-out labels were settled after `upto` and before the version was made: they are no news.
    return max(upto + 1, champion.made_at, child)


def _newest_first(bench: Bench, after: int = 0) -> Iterator[ModelVersion]:
    """The versions with numbers above `after`."""
    registry, name = bench.registry, bench.plan.model
    for number in reversed(registry.numbers(name)):
        if number <= after:
            return
        yield registry.get(name, number)
