import asyncio

from rollout_cases import plan

from mesh.cluster import rollout_watch
from mesh.cluster.rollout_watch import RolloutWatch
from mesh.engine.ports import Silent
from mesh.errors import StoreAway
from mesh.rollouts.memory import MemoryRollouts
from mesh.rollouts.plan import Plan
from mesh.rollouts.states import begun
from mesh.rollouts.tally import Counted, Observations
from tests.fakes.waiting import eventually


class Sink:
    """Keeps what it is told, when it does not fail."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Observations]] = []
        self.away = False
        self.event = asyncio.Event()

    async def write(self, plan: Plan, seen: Observations) -> None:
        self.event.set()
        if self.away:
            raise StoreAway("the feed", "nobody answers")
        self.told.append((plan.name, seen))


async def watching(watch: RolloutWatch) -> None:
    """It has read which rollouts there are."""
    await eventually(lambda: watch._watch.watching)


async def test_what_an_engine_does_is_told_of_the_rollouts_that_are_under_way() -> None:
    book, sink = MemoryRollouts(), Sink()
    await book.write(begun(plan(), "ann", 0), None)
    watch = RolloutWatch(Silent(), book, sink, tell_s=0.01)
    watch.called("new", "1", "answered", 1, 0.001)  # before anybody watches
    watch.start()
    await watching(watch)
    await asyncio.sleep(0.05)
    assert sink.told == []
    watch.called("new", "1", "raised", 1, 0.001)
    await asyncio.wait_for(sink.event.wait(), 20)
    await watch.stop()
    assert [(name, seen.counted["error_rate"]) for name, seen in sink.told] == [
        ("try", {"candidate": Counted(1, 1)})
    ]


async def test_a_sink_that_is_away_ends_nothing() -> None:
    book, sink = MemoryRollouts(), Sink()
    sink.away = True
    await book.write(begun(plan(), "ann", 0), None)
    watch = RolloutWatch(Silent(), book, sink, tell_s=0.01)
    watch.start()
    await watching(watch)
    watch.called("new", "1", "answered", 1, 0.001)
    await asyncio.wait_for(sink.event.wait(), 20)
    watch.called("new", "1", "answered", 1, 0.001)
    await watch.stop()
    assert sink.told == []


async def test_an_error_that_nobody_foresaw_ends_nothing(monkeypatch) -> None:
    class Book(MemoryRollouts):
        broken, asked = True, 0

        async def all(self):
            self.asked += 1
            if self.broken:
                raise KeyError("a rollout that a newer version has written")
            return await super().all()

    monkeypatch.setattr(rollout_watch, "_AWAY_S", 0.01)
    book, sink = Book(), Sink()
    await book.write(begun(plan(), "ann", 0), None)
    watch = RolloutWatch(Silent(), book, sink, tell_s=0.01)
    watch.start()
    await eventually(lambda: book.asked)
    book.broken = False
    await watching(watch)
    watch.called("new", "1", "answered", 1, 0.001)
    await asyncio.wait_for(sink.event.wait(), 20)
    await watch.stop()
    assert [name for name, _ in sink.told] == ["try"]
