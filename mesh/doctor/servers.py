"""The servers that the mesh talks to, and the ports that it wants."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import psutil
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from mesh.doctor.finding import Finding
from mesh.embedded.ports import Port, PortTaken, check_free
from mesh.redaction import redact
from mesh.security.kafka import kafka_security

TIMEOUT_S: Final = 3.0
MAX_SKEW_S: Final = 1.0


def ports(wanted: Sequence[Port], *, running: bool) -> Iterator[Finding]:
    """Every port is free, or ours because a mesh is running."""
    taken: dict[int, str] = {}
    for port in wanted:
        try:
            check_free(port)
        except PortTaken:
            taken[port.number] = "" if running else _owner(port.number)
    yield from taken_ports(wanted, taken, running=running)


def taken_ports(wanted: Sequence[Port], taken: Mapping[int, str], *, running: bool) -> Iterator[Finding]:
    """`taken` says who has a port of those that are taken."""
    if running:
        yield Finding(
            "ports", "ok", f"a mesh is running here; {len(taken)} of {len(wanted)} ports are in use"
        )
        return
    for port in wanted:
        if port.number in taken:
            words = f"{port.number} ({port.purpose}) is taken by {taken[port.number]}"
            yield Finding("ports", "problem", words, f"end it, or set {port.variable} to another port")
    if not taken:
        yield Finding("ports", "ok", f"all {len(wanted)} are free")


def _owner(number: int) -> str:
    """Who listens there, as far as this user may know."""
    try:
        for one in psutil.net_connections("tcp"):
            if one.laddr and one.laddr.port == number and one.status == psutil.CONN_LISTEN and one.pid:
                return f"{psutil.Process(one.pid).name()} (pid {one.pid})"
    except psutil.Error:
        pass
    return "a program of somebody else"


def kafka(bootstrap: str, topics: Sequence[str], *, named: bool) -> Iterator[Finding]:
    """A broker answers and has the topics. `named` says that the user has named it."""
    errors: list[str] = []
    client = AdminClient(
        {"bootstrap.servers": bootstrap, "socket.timeout.ms": int(TIMEOUT_S * 1e3), "log_level": 0,
         "error_cb": lambda error: errors.append(error.str()), **kafka_security()}
    )  # fmt: skip
    try:
        found = client.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        reason = errors[0] if errors else error.args[0].str()
        if named:
            remedy = "start it, or correct KAFKA_BOOTSTRAP_SERVERS; the mesh waits for it and answers HTTP meanwhile"
            yield Finding("kafka", "problem", f"{bootstrap} does not answer: {redact(reason)}", remedy)
        else:
            yield Finding("kafka", "note", f"none at {bootstrap}", "hyperstream up starts a demo broker")
        return
    yield Finding("kafka", "ok", f"{len(found.brokers)} brokers at {bootstrap}, {len(found.topics)} topics")
    missing = [topic for topic in topics if topic not in found.topics]
    if missing:
        yield Finding(
            "kafka", "note", f"no topic {', '.join(missing)} yet",
            "created by the first record where the broker does that; else create it with as many partitions as readers",
        )  # fmt: skip


def redis_server(url: str, *, named: bool) -> Iterator[Finding]:
    """Redis answers, has room, drops nothing by itself, and its clock is ours."""
    shown = redact(url)
    client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        before = time.time()
        seconds, micros = client.time()
        after = time.time()
        info = client.info("memory")
    except redis.RedisError as error:
        if named:
            remedy = "start it, or correct REDIS_URL; answers are kept and sent again meanwhile"
            yield Finding("redis", "problem", f"{shown} does not answer: {redact(str(error))}", remedy)
        else:
            yield Finding("redis", "note", f"none at {shown}", "hyperstream up starts one")
        return
    finally:
        client.close()
    yield Finding("redis", "ok", f"{shown}, {info['used_memory'] / 1e6:.0f} MB in use")
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory") and policy.startswith("allkeys"):
        yield Finding(
            "redis", "problem", f"it evicts any key when full ({policy})",
            "set maxmemory-policy noeviction or volatile-ttl: alerts and state live there",
        )  # fmt: skip
    yield from clock(seconds + micros / 1e6, before, after)


def clock(theirs: float, before: float, after: float) -> Iterator[Finding]:
    """The clock of another machine against ours: seconds since 1970, theirs read between our `before` and `after`."""
    skew = before - theirs if theirs < before else max(0.0, theirs - after)
    if skew > MAX_SKEW_S:
        yield Finding(
            "clock", "problem", f"Redis's clock differs from ours by {skew:.1f} s",
            "run NTP (chrony, systemd-timesyncd) on both: deadlines, lateness and alert times depend on it",
        )  # fmt: skip
    else:
        yield Finding("clock", "ok", f"within {max(skew, after - before) * 1e3:.0f} ms of Redis's")
