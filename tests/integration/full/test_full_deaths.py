"""What each death costs: every part of the mesh is killed under a steady load, and the gaps are measured.

The figures are those of docs/failures.md; run with `-s` to see them.
"""

import asyncio
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from full_stack import HTTP, LANE_HTTP, LOG, TOPIC, FullStack
from gql import Client as GraphqlClient
from gql import gql
from gql.transport.websockets import WebsocketsTransport
from ray_mesh import until
from stream_checker import FLUSH_S, Numbering, judge

pytestmark = [pytest.mark.ray, pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

PERIOD_S = 0.02
FEED_S = 0.2
RECORDS_A_FEED = 40
HICCUP_S = 2.0
"""What a busy test machine may take away from everybody; no process of ours starts again in so little."""


@pytest.fixture(scope="module")
def feed(stack: FullStack) -> Iterator["Feed"]:
    running = Feed(stack)
    yield running
    running.stop()


class Feed:
    """200 numbered records a second, 1 % of them poison, for all tests of this module."""

    def __init__(self, stack: FullStack) -> None:
        self._stack = stack
        self.numbering = Numbering(stack.kafka.bootstrap, TOPIC)
        self._held, self._idle, self._over = threading.Event(), threading.Event(), threading.Event()
        self._repeated = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            if self._held.is_set():
                self._idle.set()
            else:
                self.numbering.send(RECORDS_A_FEED)
            time.sleep(FEED_S)

    def resume(self) -> None:
        self._idle.clear()
        self._held.clear()

    def settle(self) -> int:
        """Hold the feed, see that each record so far is where it belongs; how many were repeated meanwhile."""
        self._held.set()
        assert self._idle.wait(FLUSH_S + 30)
        produced = self.numbering.produced
        until(lambda: self._stack.committed() == len(produced.numbers), 180)
        verdict = judge(produced, self._stack.redis.client, LOG, self._stack.kafka.bootstrap)
        assert verdict.holds, verdict
        repeated, self._repeated = verdict.repeated - self._repeated, verdict.repeated
        return repeated

    def stop(self) -> None:
        self._over.set()
        self._thread.join(FLUSH_S + 30)


@dataclass
class Client:
    """Asks every 20 ms on one connection, one request after the other, and looks at each answer."""

    port: int
    answers: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    wrong: int = 0

    def run(self, over: threading.Event) -> None:
        connection, n = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60), 0
        while not over.wait(PERIOD_S):
            n += 1
            row = [float(n), 1.0, 2.0, 3.0]
            body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": row}]})
            try:
                connection.request("POST", "/v2/models/default/infer", body)
                reply = connection.getresponse()
                text = reply.read()
            except (OSError, http.client.HTTPException) as error:
                self.errors.append(type(error).__name__)
                connection.close()
                continue
            if reply.status == 200:
                self.answers.append(time.monotonic())
                self.wrong += json.loads(text)["outputs"][0]["data"] != row
            else:
                self.errors.append(str(reply.status))

    @property
    def gap_s(self) -> float:
        """The longest time between two answers."""
        return max(after - before for before, after in itertools.pairwise(self.answers))


class Load:
    """Four clients on the fast lane and two through Serve, and the stream's feed beside them."""

    def __init__(self, stack: FullStack, feed: Feed) -> None:
        self.stack, self.feed = stack, feed
        self.lane, self.serve = ([Client(port) for _ in range(n)] for port, n in ((LANE_HTTP, 4), (HTTP, 2)))
        self._over = threading.Event()
        self.stood_still_s = 0.0
        self._threads = [
            threading.Thread(target=run, args=(self._over,), daemon=True)
            for run in (self._watch, *(client.run for client in self.lane + self.serve))
        ]

    def begin(self) -> None:
        self.feed.resume()
        for thread in self._threads:
            thread.start()
        self._flows()
        time.sleep(2.0)
        self._since = self._last_id()

    def end(self, victim: str) -> "Cost":
        """When all have been answered for two seconds again: what it has cost."""
        asked = time.monotonic()
        for client in self.lane + self.serve:
            until(lambda one=client: bool(one.answers) and one.answers[-1] > asked, 60)
        self._flows()
        time.sleep(2.0)
        self._over.set()
        for thread in self._threads:
            thread.join(65)
        times = [self._since, *(at for at in self._times() if at >= self._since)]
        stream = max(after - before for before, after in itertools.pairwise(times)) / 1e3
        assert sum(client.wrong for client in self.lane + self.serve) == 0
        cost = Cost(
            victim,
            max(client.gap_s for client in self.lane),
            max(client.gap_s for client in self.serve),
            sum(len(client.errors) for client in self.lane),
            sum(len(client.errors) for client in self.serve),
            stream,
            self.feed.settle(),
        )
        print(
            f"{cost}, this process stood still for {self.stood_still_s:.2f} s",
            sorted({error for client in self.lane + self.serve for error in client.errors}),
        )
        return cost

    def _watch(self, over: threading.Event) -> None:
        """How long this process, which asks nobody for anything here, got no processor."""
        last = time.monotonic()
        while not over.wait(PERIOD_S):
            last, before = time.monotonic(), last
            self.stood_still_s = max(self.stood_still_s, last - before - PERIOD_S)

    def _flows(self) -> None:
        """Wait until a prediction more is in Redis: the readers of a mesh that has just begun take a while."""
        mark = self._last_id()
        until(lambda: self._last_id() > mark, 90)

    def _last_id(self) -> int:
        """When Redis took its last prediction, in ms."""
        last = self.stack.redis.client.xrevrange(LOG, count=1)
        return int(last[0][0].split(b"-")[0]) if last else 0

    def _times(self) -> list[int]:
        entries = self.stack.redis.client.xrange(LOG, str(self._since))
        return sorted({int(key.split(b"-")[0]) for key, _ in entries})


@dataclass(frozen=True)
class Cost:
    """Of one death: the longest gaps in seconds, requests that failed, records answered twice. None was lost."""

    victim: str
    lane_gap_s: float
    serve_gap_s: float
    lane_errors: int
    serve_errors: int
    stream_gap_s: float
    repeated: int

    def __str__(self) -> str:
        return (
            f"\n{self.victim}: fast lane {self.lane_gap_s:.2f} s ({self.lane_errors} errors), through Serve "
            f"{self.serve_gap_s:.2f} s ({self.serve_errors} errors), stream {self.stream_gap_s:.2f} s, "
            f"repeated {self.repeated}"
        )


def kill(title: str) -> Callable[[FullStack], None]:
    """SIGKILL for a process of an actor, whose successor must be another process."""

    def deed(stack: FullStack) -> None:
        victim = stack.up.actors(title)[0]
        victim.kill()
        until(lambda: victim.pid not in [one.pid for one in stack.up.actors(title)], 60)
        until(lambda: bool(stack.up.actors(title)), 120)

    return deed


def broker_away(stack: FullStack) -> None:
    stack.kafka.kill()
    stack.kafka.restart()


def redis_away(stack: FullStack) -> None:
    stack.redis.kill()
    time.sleep(1)
    stack.redis.start()


def nothing(stack: FullStack) -> None:
    time.sleep(3)


@pytest.mark.parametrize(
    ("victim", "deed", "lane_s", "stream_s", "errors"),
    [
        ("nothing", nothing, HICCUP_S, HICCUP_S, False),
        ("directory", kill("Directory"), HICCUP_S, HICCUP_S, False),
        ("scoreboard", kill("Scoreboard"), HICCUP_S, HICCUP_S, False),
        ("controller", kill("ServeController"), HICCUP_S, HICCUP_S, False),
        ("model replica", kill("ServeReplica:mesh:echo"), 15, 15, False),
        ("ingest replica", kill("ServeReplica:ingest"), HICCUP_S, 40, False),
        ("router", kill("ServeReplica:mesh:router"), 15, HICCUP_S, True),
        ("broker", broker_away, HICCUP_S, 60, False),
        ("Redis", redis_away, HICCUP_S, 15, False),
    ],
)
def test_a_death_costs_little(
    stack: FullStack,
    feed: Feed,
    victim: str,
    deed: Callable[[FullStack], None],
    lane_s: float,
    stream_s: float,
    errors: bool,
) -> None:
    load = Load(stack, feed)
    load.begin()
    deed(stack)
    cost = load.end(victim)
    assert cost.lane_gap_s < lane_s
    assert cost.stream_gap_s < stream_s
    assert errors or cost.lane_errors == 0


async def test_after_all_deaths_graphql_reads_the_stream_through_serves_port(
    stack: FullStack, feed: Feed
) -> None:
    before = stack.redis.client.xrevrange(LOG, count=301)[-1][0].decode()
    subscription = gql(
        f'subscription {{ mlInferenceStream(modelId: "default", after: "{before}") {{ cursor inferenceId }} }}'
    )
    status = gql('{ mlStreamingStatus(modelId: "default") { connected replicas averageLatencyMs } }')
    found = []
    # HAProxy writes header names in lower case, and gql takes no subprotocol from those: it must be told.
    transport = WebsocketsTransport(
        url=f"ws://127.0.0.1:{HTTP}/graphql", subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
    )
    feed.resume()  # what is told of the stream is of its last seconds
    async with asyncio.timeout(120), GraphqlClient(transport=transport) as session:
        while not (state := (await session.execute(status))["mlStreamingStatus"])["averageLatencyMs"]:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        async for one in session.subscribe(subscription):
            found.append(one["mlInferenceStream"]["cursor"])
            if len(found) == 300:
                break
    assert state["connected"]
    assert state["averageLatencyMs"] > 0
    logged = stack.redis.client.xrange(LOG, min=f"({before}", count=300)
    assert found == [cursor.decode() for cursor, _ in logged]
    async with httpx.AsyncClient(timeout=60) as client:
        page = await client.get(f"http://127.0.0.1:{HTTP}/predictions?model=default&limit=5")
    assert len(page.json()["predictions"]) == 5
