"""Models of an MLflow server, over its REST API: an alias or a version to the ONNX files that stand behind it.

Source: https://mlflow.org/docs/latest/api_reference/rest-api.html, and the server's artifact proxy. Nothing of
MLflow is installed here. Credentials are MLflow's own variables.
"""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

import yaml

from mesh.errors import ArtifactError, MeshError, NotFound
from mesh.registry.reference import Reference

TIMEOUT_S: Final = 30.0
MOST_FILES: Final = 64
MOST_BYTES: Final = 2 << 30
_API: Final = "/api/2.0/mlflow"
_ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"


class MlflowAway(MeshError):
    """The server does not answer, or says no; the message has its address."""


class OwnCredentials(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and gives the credentials to no other server and over no connection that is less safe."""

    def redirect_request(self, req: urllib.request.Request, *rest: Any) -> urllib.request.Request | None:
        """See `HTTPRedirectHandler`."""
        following = super().redirect_request(req, *rest)
        if following is not None:
            old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(following.full_url)
            if new.hostname != old.hostname or (new.scheme, new.port) not in (
                (old.scheme, old.port),
                ("https", None),
            ):
                following.remove_header("Authorization")
        return following


_OPENER: Final = urllib.request.build_opener(OwnCredentials)


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """A version's files by name, and which of them is the ONNX model."""

    version: str
    model: str
    files: Mapping[str, bytes]


class MlflowServer:
    """`address` as in MLFLOW_TRACKING_URI; `environ` may hold MLFLOW_TRACKING_TOKEN, or _USERNAME and _PASSWORD."""

    def __init__(self, address: str, environ: Mapping[str, str]) -> None:
        """Raises `ArtifactError` for an address that is not http or https, or has a user or a password in it."""
        if "@" in address:  # whatever stands before it is not repeated
            raise ArtifactError(
                "MLFLOW_TRACKING_URI has a user or a password in it: put them into MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD"
            )
        if not address.startswith(("http://", "https://")):
            raise ArtifactError(f"MLFLOW_TRACKING_URI: '{address}' is no http:// or https:// address")
        self._address = address.rstrip("/")
        self._headers = _credentials(environ)

    def fetch(self, reference: Reference) -> MlflowModel:
        """The files of a version. Raises `NotFound`, `MlflowAway`, and `ArtifactError` where it has no ONNX model."""
        try:
            return self._fetched(reference)
        except (LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
            raise MlflowAway(
                f"MLflow at {self._address}: {reference}: what it answers is not as MLflow answers ({type(error).__name__}: "
                f"{error}); look at MLFLOW_TRACKING_URI"
            ) from error

    def _fetched(self, reference: Reference) -> MlflowModel:
        version = self._version(reference)
        query = {"name": reference.name, "version": version}
        uri = str(self._ask(f"{_API}/model-versions/get-download-uri", query)["artifact_uri"])
        if not uri.startswith("mlflow-artifacts:"):
            raise ArtifactError(
                f"{reference}: its files are at {uri}, which the server does not hand out: run it with --serve-artifacts"
            )
        folder = urllib.parse.urlsplit(uri).path.strip("/")
        sizes = self._list(folder)
        if "MLmodel" not in sizes:
            raise ArtifactError(f"{reference}: {uri} holds no MLmodel file")
        flavors = yaml.safe_load(self._read(f"{folder}/MLmodel"))["flavors"]
        if "onnx" not in flavors:
            raise ArtifactError(f"{reference}: has the flavors {', '.join(flavors)}, and onnx is needed")
        if len(sizes) > MOST_FILES or sum(sizes.values()) > MOST_BYTES:
            raise ArtifactError(
                f"{reference}: {len(sizes)} files of {sum(sizes.values()):,} bytes are too many"
            )
        files = {name: self._read(f"{folder}/{name}") for name in sizes if name != "MLmodel"}
        return MlflowModel(version, str(flavors["onnx"]["data"]), files)

    def _version(self, reference: Reference) -> str:
        if reference.version.isdigit():
            return reference.version
        query = {"name": reference.name, "alias": reference.version}
        return str(self._ask(f"{_API}/registered-models/alias", query)["model_version"]["version"])

    def _list(self, folder: str) -> dict[str, int]:
        """The files of a folder, not those of folders in it, with their sizes."""
        found = self._ask(_ARTIFACTS, {"path": folder}).get("files", [])
        return {
            str(one["path"]).rpartition("/")[2]: int(one.get("file_size") or 0)
            for one in found
            if not one.get("is_dir")
        }

    def _ask(self, path: str, query: Mapping[str, str]) -> Any:
        return json.loads(self._get(f"{path}?{urllib.parse.urlencode(query)}"))

    def _read(self, path: str) -> bytes:
        return self._get(f"{_ARTIFACTS}/{urllib.parse.quote(path)}")

    def _get(self, path: str) -> bytes:
        request = urllib.request.Request(self._address + path, headers=self._headers)  # noqa: S310 - checked above
        try:
            with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
                data: bytes = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            said = error.read(2_000).decode("utf-8", "replace")
            if error.code == 404 or "RESOURCE_DOES_NOT_EXIST" in said or "INVALID_PARAMETER_VALUE" in said:
                raise NotFound(f"MLflow at {self._address}: {_message(said)}") from None
            raise MlflowAway(f"MLflow at {self._address}: {error.code}: {_message(said)}") from None
        except (OSError, ValueError, HTTPException) as error:
            raise MlflowAway(
                f"MLflow at {self._address} does not answer: {error}; look at MLFLOW_TRACKING_URI"
            ) from error
        if len(data) > MOST_BYTES:
            raise ArtifactError(f"MLflow at {self._address}: a file has more than {MOST_BYTES:,} bytes")
        return data


def _message(said: str) -> str:
    try:
        return str(json.loads(said)["message"])
    except (ValueError, KeyError, TypeError):
        return said[:200]


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    token, user = environ.get("MLFLOW_TRACKING_TOKEN"), environ.get("MLFLOW_TRACKING_USERNAME")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        pair = f"{user}:{environ.get('MLFLOW_TRACKING_PASSWORD', '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}
