"""The life of `hyperstream up`: check, start, feed, show, drain. Every step says what it does."""

import os
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from rich.console import Console

from mesh.cli import console, history, interrupts
from mesh.cli import feed as sample_feed
from mesh.cli.addresses import PROMETHEUS_PORT, ServePorts, addresses, ports, serve_ports
from mesh.cli.backing import provide_kafka, provide_redis
from mesh.cli.bounded import within
from mesh.cli.feeding import Feed, rows_of
from mesh.cli.outbox import KafkaAway, Outbox, Readers
from mesh.cli.pacing import AtRate
from mesh.cli.ray_token import ray_token
from mesh.cli.ray_variables import missing_from
from mesh.cli.serve_tls import serve_host_of, with_tls
from mesh.cli.show import Show
from mesh.cli.view import Board, last_line
from mesh.embedded.child import Child
from mesh.embedded.kafka import DEMO_LIMITS
from mesh.embedded.ports import check_free
from mesh.embedded.reaper import VARIABLE
from mesh.errors import InvalidConfig, MeshError
from mesh.security.own_ports import check_own_ports, check_serve_port
from mesh.settings import Settings
from mesh.spec import load_alerts, load_features, load_mesh, load_pipeline, load_prices, load_telemetry

if TYPE_CHECKING:
    from mesh.cli.mesh_run import MeshRun

# What follows Ctrl-C must be over within 20 s, the servers' own end included.
_FEED_STOP_S: Final = 1.5
DRAIN_S: Final = 7.0
_ASK_S: Final = 1.5
END_S: Final = 5.0
_RUN_FOLDER: Final = ".run"
_DEMO_FETCH_WAIT_MS: Final = "10"
"""The demo broker answers a fetch when its wait is over, not when records arrive."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What `hyperstream up` was asked for. `rate` is None where nothing shall be fed."""

    serve_config: Path
    rate: float | None
    stream: bool = True
    kafka_release: Path | None = None
    history: bool = True


@dataclass(slots=True)
class Launch:
    """One run. The environment of this process becomes the mesh's: Ray hands it to all that it starts.

    After `run`, `hung` says that Ray did not end in time and that a plain exit of this process would wait for it.
    """

    wish: Wish
    console: Console
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    hung: bool = False

    def run(self) -> None:
        """Until Ctrl-C or SIGTERM, which raise KeyboardInterrupt here; then drain. Raises `MeshError`."""
        os.environ.setdefault("ML_PROMETHEUS_PORT", str(PROMETHEUS_PORT))
        from mesh.records.database import check_url  # noqa: PLC0415 - SQLAlchemy, which other commands do without

        settings = Settings.from_environ(os.environ)
        check_url(settings.database_url)
        folder = Path(settings.config_dir)
        load_pipeline(folder, load_mesh(folder, settings))
        load_alerts(folder)
        load_features(folder)
        load_prices(folder)
        document = serve_document(
            self.wish.serve_config, self.wish.stream, telemetry=bool(load_telemetry(folder).sensors)
        )
        check_own_ports(settings)
        check_serve_port(settings, serve_host_of(document))
        document, variables = with_tls(document, settings.tls)
        os.environ.update(variables)
        serve = serve_ports(str(self.wish.serve_config), document, os.environ)
        with ExitStack() as owned:
            # Entered first, so that it goes last; gone already where the reaper was quicker.
            scratch = owned.enter_context(
                tempfile.TemporaryDirectory(prefix="hyperstream-", ignore_cleanup_errors=True)
            )
            os.environ.update(missing_from(os.environ, scratch))
            os.environ.update(ray_token(os.environ, Path(scratch)))
            for port in ports(settings, serve, str(self.wish.serve_config), os.environ):
                check_free(port)
            folder = Path(_RUN_FOLDER).resolve()
            if self.wish.stream:
                settings = self._provide(folder, owned)
            reaper = Child.start("the reaper", "mesh.embedded.reaper", [scratch], folder / "reaper.log")
            owned.callback(reaper.stop)
            os.environ[VARIABLE] = scratch
            self._serve(settings, document, serve, owned)

    def say(self, text: str) -> None:
        """One line about what is happening."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def _provide(self, folder: Path, owned: ExitStack) -> Settings:
        def note(text: str) -> None:
            self.say(text)
            if DEMO_LIMITS in text:
                self.notes.append(DEMO_LIMITS)
                os.environ.setdefault("INGEST_FETCH_WAIT_MS", _DEMO_FETCH_WAIT_MS)

        broker = provide_kafka(os.environ, self.wish.kafka_release, folder, note, owned)
        redis = provide_redis(os.environ, folder, note, owned)
        os.environ.update(KAFKA_BOOTSTRAP_SERVERS=broker, REDIS_URL=redis)
        return Settings.from_environ(os.environ)

    def _serve(
        self, settings: Settings, document: Mapping[str, Any], serve: ServePorts, owned: ExitStack
    ) -> None:
        # Only now: Ray reads its variables, set by `run`, when it is imported.
        from mesh.cli.mesh_run import MeshRun  # noqa: PLC0415

        self.say("starting the mesh")
        wish, file = self.wish, self.wish.serve_config
        feeder = (
            None
            if wish.rate is None or not wish.stream
            else Feeder(settings, wish.rate, file.resolve().parent)
        )
        run = MeshRun(settings)
        try:
            run.start(document, file, os.environ["RAY_ADDRESS"], serve.dashboard)
            interrupts.arm()
            shown = addresses(settings, serve, wish.stream, os.environ)
            board = Board((*shown, *self._beside(settings, owned)), tuple(self.notes))
            prices = load_prices(Path(settings.config_dir))
            Show(run, board, feeder, self.console, self.began, prices).until_interrupted()
        except KeyboardInterrupt:
            interrupts.hold_off()
            self._drain(run, feeder, settings)
        finally:
            interrupts.hold_off()
            if feeder is not None:
                feeder.stop(0)
            self.hung = not within(END_S + 1, lambda: run.end(END_S))

    def _beside(self, settings: Settings, owned: ExitStack) -> list[tuple[str, str]]:
        """Programs that work over the mesh: where they are, or why they are not."""
        logs = Path(_RUN_FOLDER).resolve()
        kept = self.wish.stream and self.wish.history
        lines = history.beside(settings, logs / "history.log", owned) if kept else []
        return [*console.beside(settings, logs / "console.log", owned), *lines]

    def _drain(self, run: "MeshRun", feeder: "Feeder | None", settings: Settings) -> None:
        """Stop the feed, let ingest finish what it has read, say what came of it."""
        self.say("draining")
        if feeder is not None:
            feeder.stop(_FEED_STOP_S)
        within(DRAIN_S + 1, lambda: run.drain_readers(DRAIN_S))
        if self.wish.stream:
            unread = within(_ASK_S, lambda: _unread(settings))
            self.say(last_line(within(_ASK_S, run.summary), unread))


def _unread(settings: Settings) -> int | None:
    """Records that are in Kafka and were not read; None where Kafka does not say."""
    topic, bootstrap = settings.kafka_inference_topic, settings.kafka_bootstrap_servers
    try:
        partitions, _ = Outbox(bootstrap, topic).partitions()
        readers = Readers(bootstrap, settings.kafka_consumer_group, topic, partitions)
        unread = sum(readers.unread())
    except KafkaAway:
        return None
    readers.close()
    return unread


class Feeder:
    """The shipped telemetry, fed from a thread of this process. Starts when the mesh serves."""

    def __init__(self, settings: Settings, rate: float, root: Path) -> None:
        self.feed = Feed(settings, settings.kafka_inference_topic, AtRate(rate))
        self.failed: str | None = None
        self._table = sample_feed.sample(root)
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    @property
    def started(self) -> bool:
        """True once `start` was called."""
        return self._thread.ident is not None

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Send no more, and wait until what was sent is delivered."""
        self.feed.stop.set()
        if self.started:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self.feed.run(rows_of(self._table, loop=True, limit=None))
        except MeshError as error:
            self.failed = f"feed: {error}"


def serve_document(file: Path, stream: bool, *, telemetry: bool) -> Mapping[str, Any]:
    """A Serve config as YAML says it, without the applications that read Kafka or what comes of it unless `stream`.

    Without `telemetry`, without the one that reads raw telemetry: it has no sensors to read.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfig(str(file), 0, "", f"cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise InvalidConfig(str(file), 0, "", f"is no YAML: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("applications"), list):
        raise InvalidConfig(str(file), 0, "applications", "is missing: this is no Ray Serve config")
    without_telemetry = () if telemetry else ("ingest.telemetry.",)
    left_out = without_telemetry if stream else ("ingest.", "serve.graphql.")
    kept = [one for one in document["applications"] if not str(one.get("import_path")).startswith(left_out)]
    return {**document, "applications": kept}
