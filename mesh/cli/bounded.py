"""Steps of an ending that may not take longer than they are given, whatever hangs in them."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def within(seconds: float, step: Callable[[], Result]) -> Result | None:
    """What `step` returns; None where it is not done in time, and goes on in a thread that nobody waits for.

    What it raises is raised here.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(step())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    return results[0] if results else None
