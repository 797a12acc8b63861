"""The guarantee of the stream on the whole mesh: what can be killed is killed by SIGKILL, and nothing is lost."""

import json
import threading
import time
from collections.abc import Iterator

import psutil
import pytest
from full_stack import HTTP, LANE_HTTP, LOG, TOPIC, FullStack, echo_config, full_stack
from ray_mesh import until
from steady_clients import SteadyClient, asking, told
from stream_checker import FLUSH_S, Numbering, judge

pytestmark = [pytest.mark.ray, pytest.mark.kafka, pytest.mark.redis, pytest.mark.slow]

RECORDS, CHUNK, POISON_EVERY = 200_000, 4_000, 100
GOOD = RECORDS - RECORDS // POISON_EVERY


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStack]:
    folder = tmp_path_factory.mktemp("faults")
    readers = {
        "MESH_ROUTERS": "2",
        "INGEST_MIN_READERS": "2",
        "INGEST_MAX_READERS": "2",
        "INGEST_LOG_RECORDS": "1000000",
        # What a death may repeat is what was read and is not committed. These bound it: work between two commits,
        # batches in flight, and what a reader has fetched ahead, which it still answers while the broker is away.
        "INGEST_COMMIT_INTERVAL_S": "0.1",
        "INGEST_BATCH_RECORDS": "1000",
        "INGEST_QUEUED_KBYTES": "1024",
        # A killed reader's partitions move when its session ends, 45 s by default.
        "KAFKA_CLIENT_SESSION_TIMEOUT_MS": "6000",
        "KAFKA_CLIENT_HEARTBEAT_INTERVAL_MS": "1000",
    }
    with full_stack(folder, echo_config(folder), **readers) as running:
        until(lambda: len(running.up.actors("ServeReplica:ingest")) == 2, 180)
        yield running


class Feed:
    """Numbered records with poison among them, produced from a thread while the mesh reads."""

    def __init__(self, numbering: Numbering) -> None:
        self.numbering = numbering
        self.raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for _ in range(RECORDS // CHUNK):
                self.numbering.send(CHUNK)
                time.sleep(0.35)
        except BaseException as error:  # told to the test by `join`
            self.raised = error

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "producing did not end"
        assert self.raised is None, self.raised


@pytest.mark.timeout(900)
def test_killed_readers_models_and_brokers_lose_no_record(stack: FullStack) -> None:
    feed = Feed(Numbering(stack.kafka.bootstrap, TOPIC, POISON_EVERY))

    def after(records: int) -> None:
        until(lambda: stack.logged() >= records or feed.raised is not None, 150)

    after(20_000)
    reader = stack.up.actors("ServeReplica:ingest")[0]
    reader.kill()
    after(60_000)
    model = stack.up.actor("ServeReplica:mesh:echo")
    model.kill()
    after(100_000)
    stack.kafka.kill()
    at_kill = stack.logged()
    assert at_kill < GOOD, "the broker was not killed under load"
    time.sleep(1)
    stack.kafka.restart()
    feed.join(FLUSH_S + 60)
    # A busy machine needs a minute for the broker's recovery and the group's next session alone.
    until(lambda: stack.committed() == RECORDS, 240, lambda: f"{stack.committed()}\n{stack.up.said()}")

    verdict = judge(feed.numbering.produced, stack.redis.client, LOG, stack.kafka.bootstrap)
    print(json.dumps({"answered": verdict.answered, "dead": verdict.dead, "repeated": verdict.repeated}))
    assert verdict.produced == RECORDS
    assert verdict.holds, verdict
    assert (verdict.answered, verdict.dead) == (GOOD, RECORDS - GOOD)
    assert verdict.repeated < RECORDS / 4, "a death repeats what was not committed, and no more"
    assert reader.pid not in [one.pid for one in stack.up.actors("ServeReplica:ingest")]
    assert model.pid != stack.up.actor("ServeReplica:mesh:echo").pid


def test_one_of_two_routers_is_killed_and_the_other_answers(stack: FullStack) -> None:
    # The system shares them out by chance: that all of 24 come to one of two is one case in eight million.
    lane = [SteadyClient([("127.0.0.1", LANE_HTTP)] * 2, period_s=0.04) for _ in range(24)]
    proxied = [SteadyClient([("127.0.0.1", HTTP)] * 2) for _ in range(2)]
    with asking(lane, proxied):
        until(lambda: min(connections(one) for one in routers(stack)) > 0, 30)
        time.sleep(1)
        victim = routers(stack)[0]
        reached = connections(victim)
        victim.kill()
        until(lambda: len(routers(stack)) == 2 and victim not in routers(stack), 180)
    for name, group in (("fast lane", lane), ("through Serve", proxied)):
        print(told(name, group))
        assert sum(one.wrong for one in group) == 0
        assert [one.failures for one in group if one.failures] == [], "who tries again once notices nothing"
    # Each client has one request under way, and only those that were connected to it can lose theirs.
    assert sum(len(one.tries) for one in lane) <= reached < len(lane)
    assert sum(len(one.tries) for one in proxied) <= len(proxied)


def routers(stack: FullStack) -> list[psutil.Process]:
    return stack.up.actors("ServeReplica:mesh:router")


def connections(router: psutil.Process) -> int:
    """Clients that a router has on its own port."""
    return sum(
        one.status == psutil.CONN_ESTABLISHED and one.laddr.port == LANE_HTTP
        for one in router.net_connections("tcp")
    )


def test_the_mesh_drains_after_all_that(stack: FullStack) -> None:
    assert stack.up.end() < 20
    assert stack.up.process.returncode == 0, stack.up.said()
    assert "left uncommitted: 0" in stack.up.lines[-1]
