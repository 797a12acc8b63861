"""How connections begin and end: addresses, draining, replicas that die or hang."""

import asyncio
import signal
import socket
import stat
import subprocess
import sys
import textwrap

import pytest

from mesh.engine.direct.limits import LinkLimits, ListenerLimits
from mesh.engine.direct.link import Link, LinkLost
from mesh.engine.direct.listener import Address, Listener
from mesh.errors import InvalidConfig
from mesh.wire import Welcome
from mesh.wire.frames import PROTOCOL

IDENTITY = Welcome(PROTOCOL, "m", "1", "r1")


def _mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- addresses


async def test_the_socket_is_private_and_goes_with_its_listener(bench, model, folder):
    listener = Listener(IDENTITY, "s", model.handle)
    path = folder / "new" / "a.sock"
    address = await listener.start(str(path), "127.0.0.1")
    assert (_mode(path), _mode(path.parent)) == (0o600, 0o700)
    assert address.unix_path == str(path)
    assert address.host == "127.0.0.1"
    assert address.port > 0
    await listener.close()
    assert not path.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", address.port)) != 0


async def test_a_path_beyond_the_systems_limit_is_named(model, folder):
    path = str(folder / ("x" * 100))
    with pytest.raises(InvalidConfig, match=rf"is {len(path)} bytes long, the system takes 107"):
        await Listener(IDENTITY, "s", model.handle).start(path, "127.0.0.1")


async def test_the_longest_path_that_the_system_takes_works(model, folder):
    path = str(folder / ("x" * (106 - len(str(folder)))))
    assert len(path) == 107
    listener = Listener(IDENTITY, "s", model.handle)
    await listener.start(path, "127.0.0.1")
    await listener.close()


async def test_a_folder_that_others_may_enter_is_refused(model, folder):
    folder.chmod(0o750)
    with pytest.raises(InvalidConfig, match=f"chmod 700 {folder}"):
        await Listener(IDENTITY, "s", model.handle).start(str(folder / "a.sock"), "127.0.0.1")


async def test_a_stale_socket_is_replaced_but_never_a_live_one_or_a_file(bench, model, folder):
    stale = folder / "stale.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    listener = Listener(IDENTITY, "s", model.handle)
    await listener.start(str(stale), "127.0.0.1")
    with pytest.raises(InvalidConfig, match="another process listens there"):
        await Listener(IDENTITY, "s", model.handle).start(str(stale), "127.0.0.1")
    assert stale.exists()
    await listener.close()
    (folder / "file").write_text("mine")
    with pytest.raises(InvalidConfig, match="is no socket"):
        await Listener(IDENTITY, "s", model.handle).start(str(folder / "file"), "127.0.0.1")
    assert (folder / "file").read_text() == "mine"


async def test_a_taken_port_is_named_and_nothing_is_left(bench, model, folder):
    _, address = await bench.listen(model.handle)
    with pytest.raises(InvalidConfig, match=f"127.0.0.1:{address.port}: direct path: cannot listen"):
        await Listener(IDENTITY, "s", model.handle).start(str(folder / "b.sock"), "127.0.0.1", address.port)
    assert not (folder / "b.sock").exists()


@pytest.mark.parametrize("node", ["here", "elsewhere"])
async def test_nobody_there(tools, folder, node):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = Address(str(folder / "no.sock"), "127.0.0.1", free.getsockname()[1])
    with pytest.raises(LinkLost, match="cannot connect") as caught:
        await Link.open(tools.replica(address), node)
    assert caught.value.may_have_run is False


# -- the end of a link


async def test_close_fails_the_calls_in_flight_and_tells_nobody_else(bench, model, tools):
    listener, address = await bench.listen(model.handle)
    lost = []
    link = await bench.link(address, on_lost=lambda: lost.append(1))
    future = link.call(tools.tensors(), 1)
    await model.until_asked(1)
    await link.close()
    with pytest.raises(LinkLost, match="closed by this side") as caught:
        await future
    assert caught.value.may_have_run is True
    assert link.going_away
    with pytest.raises(LinkLost) as later:
        await link.call(tools.tensors(), 1)
    assert later.value.may_have_run is False
    await link.close()
    assert lost == []
    await tools.until(lambda: listener.connections == 0)


async def test_drain_lets_calls_in_flight_finish_and_takes_no_new_ones(bench, model, tools):
    listener, address = await bench.listen(model.handle)
    lost = []
    busy = await bench.link(address, on_lost=lambda: lost.append("busy"))
    idle = await bench.link(address, tcp=True, on_lost=lambda: lost.append("idle"))
    futures = [busy.call(tools.tensors(float(n)), 1) for n in range(5)]
    await model.until_asked(5)
    draining = asyncio.create_task(listener.drain(5))
    await tools.until(lambda: busy.going_away and lost == ["idle"])
    assert idle.going_away
    with pytest.raises(LinkLost, match="going away: draining") as caught:
        await busy.call(tools.tensors(), 1)
    assert caught.value.may_have_run is False
    with pytest.raises(LinkLost, match="cannot connect"):
        await bench.link(address)
    assert not draining.done()
    for index in range(5):
        model.answer(index)
    answers = await asyncio.gather(*futures)
    assert [float(s.outputs["y"][0, 0]) for s in answers] == [2.0 * n for n in range(5)]
    await asyncio.wait_for(draining, 1)
    assert lost == ["idle", "busy"]
    assert listener.connections == 0


async def test_requests_that_cross_the_goaway_are_answered(bench, model, tools):
    """Calls in the socket when draining begins: each is answered, or fails as one that did not run."""
    model.at_once = True
    listener, address = await bench.listen(model.handle)
    link = await bench.link(address)
    futures = [link.call(tools.tensors(float(n)), 1) for n in range(100)]
    await listener.drain(5)
    answers = await asyncio.gather(*futures, return_exceptions=True)
    assert [float(s.outputs["y"][0, 0]) for s in answers] == [2.0 * n for n in range(100)]


async def test_drain_is_bounded(bench, model, tools):
    listener, address = await bench.listen(model.handle)
    link = await bench.link(address)
    future = link.call(tools.tensors(), 1)
    await model.until_asked(1)
    started = asyncio.get_running_loop().time()
    await listener.drain(0.2)
    assert asyncio.get_running_loop().time() - started < 1.5
    with pytest.raises(LinkLost) as caught:
        await future
    assert caught.value.may_have_run is True


async def test_a_client_that_ignores_the_goaway_is_shown_out(bench, model, tools):
    listener, address = await bench.listen(model.handle, ListenerLimits(grace_s=0.1))
    link = await bench.link(address)
    link._pipe.hold()  # it does not even read it
    started = asyncio.get_running_loop().time()
    await listener.drain(10)
    assert asyncio.get_running_loop().time() - started < 2


REPLICA = """
    import asyncio, sys
    from mesh.engine.direct.listener import Listener
    from mesh.routing.types import Scored
    from mesh.wire import Reply, Welcome

    def handle(request, respond):
        if request.rows == 1:
            respond(Reply(request.id, Scored(request.tensors, None, "1"), 0))

    async def main():
        listener = Listener(Welcome(1, "m", "1", "r1"), "s3cret", handle)
        print((await listener.start(sys.argv[1], "127.0.0.1")).port, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


@pytest.fixture
def process(folder):
    """A replica in a process of its own: it answers calls of one row, and keeps others for ever."""
    path = str(folder / "own.sock")
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(REPLICA), path], stdout=subprocess.PIPE)
    child.address = Address(path, "127.0.0.1", int(child.stdout.readline()))
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_a_replica_killed_amid_calls_loses_exactly_those(bench, tools, process, tcp):
    lost = []
    link = await bench.link(process.address, tcp=tcp, on_lost=lambda: lost.append(1))
    done = [link.call(tools.tensors(float(n)), 1) for n in range(10)]
    await asyncio.gather(*done)
    hanging = [link.call(tools.tensors(rows=2), 2) for _ in range(5)]
    dropped = hanging.pop()
    dropped.cancel()
    await link.call(tools.tensors(), 1)
    process.send_signal(signal.SIGKILL)
    answers = await asyncio.wait_for(asyncio.gather(*hanging, return_exceptions=True), 5)
    for error in answers:
        assert isinstance(error, LinkLost)
        assert error.may_have_run is True
    assert all(future.exception() is None for future in done)
    assert lost == [1]
    assert (link.calls_in_flight, link.rows_in_flight, link.going_away) == (0, 0, True)


async def test_a_replica_that_hangs_is_given_up(bench, tools, process):
    limits = LinkLimits(ping_s=0.1, pong_timeout_s=0.3)
    lost = []
    link = await bench.link(process.address, limits=limits, on_lost=lambda: lost.append(1))
    patient = link.call(tools.tensors(rows=2), 2)
    await asyncio.sleep(0.8)
    assert not patient.done()  # slow, but its pongs come
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(LinkLost, match=r"no sign of life for 0\.3 s") as caught:
        await asyncio.wait_for(patient, 3)
    assert caught.value.may_have_run is True
    assert lost == [1]
    process.send_signal(signal.SIGCONT)


async def test_calls_that_were_held_back_did_not_run(bench, tools, process):
    limits = LinkLimits(high_water_bytes=10_000)
    link = await bench.link(process.address, limits=limits)
    process.send_signal(signal.SIGSTOP)
    calls = [link.call(tools.tensors(rows=4000), 4000) for _ in range(20)]
    await asyncio.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    errors = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
    ran = [error.may_have_run for error in errors]
    assert ran == sorted(ran, reverse=True)  # the first ones may have, those behind them not
    assert ran.count(False) > 10
    assert ran[0] is True


async def test_an_idle_link_stays_open_and_notices_the_end(bench, model, tools):
    listener, address = await bench.listen(model.handle, ListenerLimits(idle_s=0.4))
    lost = []
    limits = LinkLimits(ping_s=0.1, idle_ping_s=0.1, pong_timeout_s=0.3)
    link = await bench.link(address, limits=limits, on_lost=lambda: lost.append(1))
    await asyncio.sleep(1.0)
    assert not lost
    assert not link.going_away
    await listener.close()
    await tools.until(lambda: lost)


async def test_opening_may_be_cancelled(bench, model, tools):
    listener, address = await bench.listen(model.handle)
    opening = asyncio.create_task(Link.open(tools.replica(address), "here"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await tools.until(lambda: listener.connections == 0)
