"""Clients that ask all the time, look at every answer, and remember what failed at which try."""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

Address = tuple[str, int]
AGAIN_S = 0.5
"""How long a client waits before it tries again, as well-made ones do. A process that dies lets go of its connections one by
one: whoever is back within the same millisecond may still meet its port, where another process listens there too; all of its
threads have to get a processor first to end."""


@dataclass
class SteadyClient:
    """One request after the other on a connection that is kept. One that fails is asked once more, at the next address.

    `tries` are the first tries that failed, `failures` the requests that failed twice.
    """

    addresses: Sequence[Address]
    endpoint: str = "default"
    period_s: float = 0.02
    answers: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    tries: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    wrong: int = 0

    def run(self, over: threading.Event) -> None:
        """Ask until it is over."""
        self._connection = self._connect()
        for number in itertools.count():
            if over.wait(self.period_s):
                self._connection.close()
                return
            row = [float(number % 1000), 1.0, 2.0, 3.0]
            if error := self._ask(row):
                self.tries.append(error)
                self._move()
                time.sleep(AGAIN_S)
                if again := self._ask(row):
                    self.failures.append(f"{error}, {again}")
                    self._move()

    @property
    def gap_s(self) -> float:
        """The longest time between two answers."""
        return max(after - before for before, after in itertools.pairwise(self.answers))

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self.addresses[0]
        return http.client.HTTPConnection(host, port, timeout=60)

    def _move(self) -> None:
        self._connection.close()
        self.addresses = [*self.addresses[1:], self.addresses[0]]
        self._connection = self._connect()

    def _ask(self, row: list[float]) -> str:
        """What went wrong; empty where nothing did."""
        body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": row}]})
        try:
            self._connection.request("POST", f"/v2/models/{self.endpoint}/infer", body)
            reply = self._connection.getresponse()
            text = reply.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        if reply.status != 200:
            return f"{reply.status} {text[:120].decode(errors='replace')}"
        answer = json.loads(text)
        self.answers.append(time.monotonic())
        self.versions[json.loads(answer["parameters"]["mesh_answered_by"])["version"]] += 1
        self.wrong += answer["outputs"][0]["data"] != row
        return ""


@contextmanager
def asking(*groups: Sequence[SteadyClient]) -> Iterator[None]:
    """Let all of them ask; at the end each has had an answer again after everything else."""
    clients = [client for group in groups for client in group]
    over = threading.Event()
    threads = [threading.Thread(target=client.run, args=(over,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    try:
        _all_answered(clients, 60)
        yield
        _all_answered(clients, 60)
    finally:
        over.set()
        for thread in threads:
            thread.join(125)


def told(name: str, clients: Sequence[SteadyClient]) -> str:
    """One line of what a group of clients has met."""
    answers = sum(len(one.answers) for one in clients)
    tries = Counter(error for one in clients for error in one.tries)
    failures = Counter(error for one in clients for error in one.failures)
    return (
        f"{name}: {answers} answers, longest gap {max(one.gap_s for one in clients):.2f} s, "
        f"first tries that failed {dict(tries)}, requests that failed {dict(failures)}"
    )


def _all_answered(clients: Sequence[SteadyClient], seconds: float) -> None:
    asked = time.monotonic()
    while not all(one.answers and one.answers[-1] > asked for one in clients):
        silent = [one.addresses for one in clients if not one.answers or one.answers[-1] <= asked]
        assert time.monotonic() < asked + seconds, f"no answer for {silent}"
        time.sleep(0.05)
