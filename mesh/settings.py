"""What the environment says. Names and defaults are a contract with users: see the table in README.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from mesh.errors import InvalidConfig
from mesh.security.exposure import Guards
from mesh.security.tls import TlsFiles, tls_files

_MOST_DIGITS: Final = 9

DataPath = Literal["direct", "handle"]
Access = Literal["local", "changes", "all"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The process environment, parsed once at the edge. A port of None is off."""

    kafka_bootstrap_servers: str = "localhost:9092"
    kafka_inference_topic: str = "ml.inference"
    kafka_consumer_group: str = "ml-streaming"
    redis_url: str = "redis://localhost:6379/0"
    redis_channel: str = "ml:stream:inference"
    model_framework: str | None = None
    model_path: str | None = None
    default_model_id: str = "default"
    prometheus_port: int | None = None
    mesh_host: str = "127.0.0.1"
    http_port: int | None = 8080
    grpc_port: int | None = 9001
    console_port: int | None = 8501
    """Of the console; it listens on the machine's own addresses only."""
    routers: int = 1
    data_path: DataPath = "direct"
    config_dir: str = "config"
    trace_ratio: float | None = None
    database_url: str | None = None
    """Where records are kept; None is SQLite in the project's folder (`mesh.records.database`)."""
    features_history: str | None = None
    """Where the history of features is kept; None leaves that to `features.yaml`."""
    rollouts: str | None = None
    """The folder of rollout plans; None is `rollouts` in `config_dir` (`mesh.spec.rollouts_folder`)."""
    scenarios: str | None = None
    """The folder of scenarios; None is `scenarios` in `config_dir` (`mesh.spec.scenarios_folder`)."""
    access: Access = "local"
    """What needs a token: `changes`, `all` calls, or, with `local`, changes by whoever is not on this machine."""
    rules_store: str = ""
    tls: TlsFiles | None = None
    """The certificate of the mesh's own ports; None speaks in the clear."""
    insecure: bool = False
    """Whoever starts the mesh says that strangers may reach it."""
    rate_limit: float | None = None
    """Requests a second of one token, over all routers; None is no limit."""
    prometheus_url: str | None = None
    """The Prometheus that watches this mesh by its shipped rules: what fires there can hold up rollouts."""

    @property
    def guards(self) -> Guards:
        """What stands before the ports."""
        return Guards(self.access == "all", self.tls is not None and self.tls.mutual, self.insecure)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read `environ`; `InvalidConfig` names the variable that is wrong and what it may be."""
        framework = environ.get("ML_MODEL_FRAMEWORK") or None
        if framework not in (None, "torch", "tensorflow"):
            raise InvalidConfig(
                "environment", 0, "ML_MODEL_FRAMEWORK", f"'{framework}' is not one of torch, tensorflow"
            )
        path = environ.get("MESH_DATA_PATH") or "direct"
        if path not in ("direct", "handle"):
            raise InvalidConfig("environment", 0, "MESH_DATA_PATH", f"'{path}' is not one of direct, handle")
        access = environ.get("MESH_ACCESS") or "local"
        if access not in ("local", "changes", "all"):
            raise InvalidConfig(
                "environment", 0, "MESH_ACCESS", f"'{access}' is not one of local, changes, all"
            )
        return cls(
            kafka_bootstrap_servers=environ.get("KAFKA_BOOTSTRAP_SERVERS")
            or cls_default("kafka_bootstrap_servers"),
            kafka_inference_topic=environ.get("KAFKA_INFERENCE_TOPIC")
            or cls_default("kafka_inference_topic"),
            kafka_consumer_group=environ.get("KAFKA_CONSUMER_GROUP") or cls_default("kafka_consumer_group"),
            redis_url=_redis_url(environ) or cls_default("redis_url"),
            redis_channel=environ.get("ML_STREAM_REDIS_CHANNEL") or cls_default("redis_channel"),
            model_framework=framework,
            model_path=environ.get("ML_MODEL_PATH") or None,
            default_model_id=environ.get("ML_DEFAULT_MODEL_ID") or cls_default("default_model_id"),
            prometheus_port=_port(environ, "ML_PROMETHEUS_PORT", None),
            mesh_host=environ.get("MESH_HOST") or cls_default("mesh_host"),
            http_port=_port(environ, "MESH_HTTP_PORT", 8080),
            grpc_port=_port(environ, "MESH_GRPC_PORT", 9001),
            console_port=_port(environ, "MESH_CONSOLE_PORT", 8501),
            routers=_count(environ, "MESH_ROUTERS", 1),
            data_path=cast("DataPath", path),
            config_dir=environ.get("MESH_CONFIG") or cls_default("config_dir"),
            trace_ratio=_share(environ, "MESH_TRACE_RATIO"),
            database_url=environ.get("MESH_DATABASE_URL", "").strip() or None,
            features_history=environ.get("MESH_FEATURES_HISTORY", "").strip() or None,
            rollouts=environ.get("MESH_ROLLOUTS", "").strip() or None,
            scenarios=environ.get("MESH_SCENARIOS", "").strip() or None,
            access=cast("Access", access),
            rules_store=environ.get("MESH_RULES_STORE") or cls_default("rules_store"),
            tls=tls_files(environ),
            insecure=_yes(environ, "MESH_INSECURE"),
            rate_limit=_rate(environ, "MESH_RATE_LIMIT"),
            prometheus_url=_address(environ, "MESH_PROMETHEUS_URL"),
        )


def cls_default(name: str) -> str:
    """The default of a text setting."""
    return str(Settings.__dataclass_fields__[name].default)


def _redis_url(environ: Mapping[str, str]) -> str | None:
    """A URL that redis-py and the stream's sink both take. It is not repeated in errors: it can hold a password."""
    url = environ.get("REDIS_URL")
    if not url:
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("redis", "rediss", "unix") and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, or an unfinished [IPv6] address
        good = False
    if not good:
        reason = (
            "is no address such as redis://HOST:PORT/0, rediss://HOST:PORT/0 or unix:///PATH; "
            "in a password write / ? # @ as %2F %3F %23 %40"
        )
        raise InvalidConfig("environment", 0, "REDIS_URL", reason)
    return url


def _port(environ: Mapping[str, str], name: str, default: int | None) -> int | None:
    """A port number; unset takes the default, empty means off."""
    text = environ.get(name)
    if text is None:
        return default
    if not text.strip():
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and 0 < int(text) < 65536):
        raise InvalidConfig("environment", 0, name, f"'{text}' is not a port (1-65535; empty turns it off)")
    return int(text)


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    """A whole number from 1 on; unset or empty takes the default."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and 0 < int(text) < 1000):
        raise InvalidConfig("environment", 0, name, f"'{text}' is not a number of replicas (1-999)")
    return int(text)


def _address(environ: Mapping[str, str], name: str) -> str | None:
    """An http or https address without its last slash; unset or empty is none."""
    text = environ.get(name, "").strip()
    if text and not text.startswith(("http://", "https://")):
        raise InvalidConfig("environment", 0, name, f"'{text}' is no http:// or https:// address")
    return text.rstrip("/") or None


def _yes(environ: Mapping[str, str], name: str) -> bool:
    """`1` or `true` is yes; `0`, `false`, empty and unset are no."""
    text = environ.get(name, "").strip().lower()
    if text not in ("", "0", "1", "false", "true"):
        raise InvalidConfig("environment", 0, name, f"'{text}' is not one of 0, 1")
    return text in ("1", "true")


def _rate(environ: Mapping[str, str], name: str) -> float | None:
    """A number above 0 of requests a second; unset or empty is no limit."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e9:
        raise InvalidConfig("environment", 0, name, f"'{text}' is not a number of requests a second, above 0")
    return rate


def _share(environ: Mapping[str, str], name: str) -> float | None:
    """A share from 0 to 1; unset or empty is None."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InvalidConfig("environment", 0, name, f"'{text}' is not a share (0 to 1; empty turns it off)")
    return share
