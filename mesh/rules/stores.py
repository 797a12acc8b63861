"""Where the newest rules are kept: a file, Redis, or this process's memory."""

import os
from pathlib import Path
from typing import Final

import redis

from mesh.errors import InvalidConfig, StoreAway
from mesh.rules.kept_codec import decode, encode
from mesh.rules.ports import RulesStore
from mesh.rules.values import Kept
from mesh.security.redacted import url_reason
from mesh.settings import Settings

REDIS: Final = "redis"
KEY: Final = "hyperstream:rules"
_TIMEOUT_S: Final = 5.0
_REMEDY: Final = "set MESH_RULES_STORE to a file that can be written, or to redis"


class MemoryRulesStore:
    """Keeps nothing longer than the process."""

    def __init__(self, kept: Kept | None = None) -> None:
        """Begins with `kept`."""
        self.kept = kept

    def load(self) -> Kept | None:
        """See `RulesStore`."""
        return self.kept

    def save(self, kept: Kept) -> None:
        """See `RulesStore`."""
        self.kept = kept


class FileRulesStore:
    """One file, replaced as a whole: a crash leaves the one before or the new one."""

    def __init__(self, path: Path) -> None:
        """The file and its folder may not be there yet."""
        self._path = path

    def load(self) -> Kept | None:
        """See `RulesStore`."""
        try:
            return decode(self._path.read_bytes(), str(self._path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreAway(str(self._path), f"cannot be read: {error.strerror}; {_REMEDY}") from error

    def save(self, kept: Kept) -> None:
        """See `RulesStore`."""
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(encode(kept))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            raise StoreAway(str(self._path), f"cannot be written: {error.strerror}; {_REMEDY}") from error


class RedisRulesStore:
    """One key of a Redis, for a mesh over several machines. It lasts as long as that Redis keeps its data."""

    def __init__(self, url: str, key: str = KEY) -> None:
        """Connects when it is first asked. `InvalidConfig` for a URL that is none."""
        try:
            self._client = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
            )
        except ValueError as error:
            raise InvalidConfig("environment", 0, "REDIS_URL", url_reason(url, error)) from None
        self._key = key

    def load(self) -> Kept | None:
        """See `RulesStore`."""
        try:
            found = self._client.get(self._key)
        except redis.RedisError as error:
            raise StoreAway("Redis", str(error)) from error
        return decode(found, f"Redis key {self._key}") if isinstance(found, bytes) else None

    def save(self, kept: Kept) -> None:
        """See `RulesStore`."""
        try:
            self._client.set(self._key, encode(kept))
        except redis.RedisError as error:
            raise StoreAway("Redis", str(error)) from error


def rules_store(settings: Settings, folder: Path) -> RulesStore:
    """The store that `MESH_RULES_STORE` names for the configuration in `folder`.

    `redis`, or a file; unset, `.run/rules-NAME.json` beside the folder NAME.
    """
    whole = folder.resolve()
    if settings.rules_store == REDIS:
        return RedisRulesStore(settings.redis_url)
    if settings.rules_store:
        return FileRulesStore(whole.parent / settings.rules_store)
    return FileRulesStore(whole.parent / ".run" / f"rules-{whole.name}.json")
