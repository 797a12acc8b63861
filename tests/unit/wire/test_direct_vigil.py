"""When the loop stays awake for an answer."""

from collections.abc import Callable

from mesh.engine.direct.vigil import LIMIT_S, QUICK_S, Vigil


class Turns:
    """An event loop of which each turn takes 10 µs."""

    def __init__(self) -> None:
        self.now = 1.0
        self.waiting: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def run(self, seconds: float) -> float:
        """Turn until nothing waits, at most so long; how long it was awake."""
        began = self.now
        while self.waiting and self.now < began + seconds:
            self.now += 10e-6
            ready, self.waiting = self.waiting, []
            for callback in ready:
                callback()
        return self.now - began


def ask(vigil: Vigil, loop: Turns, call: int, seconds: float) -> float:
    """One call that is answered after `seconds`; how long the loop was awake for it."""
    began = loop.now
    vigil.began(call)
    awake = loop.run(seconds)
    loop.now = began + seconds
    vigil.answered(call)
    return awake + loop.run(1.0)


def taught(seconds: float, calls: int = 50) -> tuple[Vigil, Turns]:
    loop = Turns()
    vigil = Vigil(loop, lambda: loop.now)
    for call in range(1, calls):
        ask(vigil, loop, call, seconds)
    return vigil, loop


def test_a_stranger_is_slept_for() -> None:
    loop = Turns()
    assert ask(Vigil(loop, lambda: loop.now), loop, 1, 100e-6) == 0


def test_quick_answers_are_waited_for_awake_and_no_longer_than_they_take() -> None:
    vigil, loop = taught(100e-6)
    assert 100e-6 <= ask(vigil, loop, 99, 100e-6) < 130e-6


def test_slow_answers_are_slept_for() -> None:
    vigil, loop = taught(2 * QUICK_S)
    assert ask(vigil, loop, 99, 2 * QUICK_S) == 0


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_the_limit() -> None:
    vigil, loop = taught(100e-6)
    vigil.began(99)
    assert loop.run(10.0) <= LIMIT_S + 20e-6
    assert not loop.waiting


def test_one_hiccup_changes_nothing_and_the_answer_of_another_call_neither() -> None:
    vigil, loop = taught(100e-6)
    ask(vigil, loop, 99, 5.0)
    assert ask(vigil, loop, 100, 100e-6) > 0
    vigil.began(101)
    vigil.answered(7)
    assert loop.run(300e-6) >= 300e-6


def test_a_model_that_became_slow_is_slept_for_within_a_few_calls() -> None:
    vigil, loop = taught(100e-6)
    awake = [ask(vigil, loop, call, 0.05) for call in range(100, 110)]
    assert awake[-1] == 0
    assert sum(awake) < 5 * LIMIT_S
