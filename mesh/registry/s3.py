"""Objects in an S3 bucket. Conditional writes are S3's own (`If-None-Match: *`, `If-Match`), so no lock is needed.

AWS has them since 2024, as have MinIO and Ceph; a server that ignores them would lose updates.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mesh.registry.objects import Changed, StorageFailed, Stored

_ABSENT: Final = ("NoSuchKey", "404")
_CHANGED: Final = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_WAITS: Final = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3})


class S3Objects:
    """Below `s3://bucket/prefix`; endpoint, region and credentials come from the environment, as AWS names them."""

    def __init__(self, address: str) -> None:
        """Connects to nothing yet. `StorageFailed` where the address names no bucket, or the settings do not fit."""
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        if not bucket:
            raise StorageFailed(f"{address} names no bucket: write s3://bucket/prefix")
        self._address, self._bucket = address, bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        with self._told():
            self._client: Any = boto3.client("s3", config=_WAITS)

    def get(self, key: str) -> Stored | None:
        """See `Objects`."""
        with self._told():
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
                return Stored(found["Body"].read(), found["ETag"])
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """See `Objects`."""
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        with self._told():
            try:
                done = self._client.put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=data, **condition
                )
            except ClientError as error:
                if _code(error) in (*_CHANGED, *_ABSENT):
                    raise Changed(f"{key} was changed by another writer: read it again") from error
                raise
        return str(done["ETag"])

    def keys(self, prefix: str) -> list[str]:
        """See `Objects`."""
        found: list[str] = []
        with self._told():
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                found += [one["Key"].removeprefix(self._prefix) for one in page.get("Contents", ())]
        return sorted(found)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise StorageFailed(
                f"the registry at {self._address}: {error}; look at AWS_ENDPOINT_URL, AWS_REGION and the credentials"
            ) from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
