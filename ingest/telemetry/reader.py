"""One reader of raw telemetry, put together: source, chain, models, topics, state."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final

from ingest.config import IngestConfig
from ingest.deadletter import KafkaDeadLetters
from ingest.kafka_client import Setting, consumer_settings, producer_settings
from ingest.kafka_source import KafkaSource
from ingest.reading import TopicReader
from ingest.stages.alert import Alert
from ingest.stages.drift import Drift
from ingest.stages.score import Score
from ingest.telemetry.alerting import AlertOutput
from ingest.telemetry.chain import Chain
from ingest.telemetry.configured import ChainConfig
from ingest.telemetry.following import StateFollower
from ingest.telemetry.judging import Alerting, Judging
from ingest.telemetry.latest import LatestRows
from ingest.telemetry.metering import ChainMetering
from ingest.telemetry.outputs import FeatureTopic, Topic
from ingest.telemetry.reviewing import CountedAlerts, ReviewSampling
from ingest.telemetry.snapshots import Snapshots
from ingest.telemetry.state_store import RedisStates
from ingest.telemetry.worker import TelemetryWorker
from ingest.worker import StreamEngine
from mesh.pipeline.levels import LevelGauge
from mesh.pipeline.plan import Level, PipelinePlan
from mesh.review.from_alerts import AlertReading
from mesh.review.offering import Offering
from mesh.review.sampling import AuditSampler
from mesh.review.unsure import UnsureRows
from mesh.settings import Settings
from mesh.stores.alerts import AlertWriter
from mesh.stores.alerts.metering import AlertMetering
from mesh.stores.online import OnlineStore
from mesh.stores.redis_client import bounded_client
from mesh.stores.views import digest_of
from mesh.telemetry.recorder import Recorder
from mesh.tracing.tracer import Tracer

MODEL_ID: Final = "telemetry"
"""What feature records name as their model where the plan scores them with none."""
_STATE_S: Final = 10.0
"""How long Redis may take for one piece of state."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What outlives the reader beside its own state."""

    alerts: AlertWriter
    online: OnlineStore
    offering: Offering | None = None
    """Takes rows that people are asked about; None asks nobody."""


class TelemetryReader(TopicReader):
    """Reads raw telemetry; what it makes of it goes to topics, stores and alerts, and its state to Redis."""

    def __init__(
        self,
        settings: Settings,
        config: IngestConfig,
        chain: ChainConfig,
        engine: StreamEngine,
        stores: Stores,
        recorder: Recorder,
        tracer: Tracer | None = None,
    ) -> None:
        plan = chain.plan
        config = replace(
            config,
            batch_records=plan.batch_records,
            batches_in_flight=plan.in_flight,
            linger_ms=plan.linger_ms,
        )
        super().__init__(config)
        self._parts = AsyncExitStack()
        client = bounded_client(settings.redis_url, answer_s=_STATE_S)
        self._parts.push_async_callback(client.aclose)
        stages = Chain(chain.telemetry, plan, config.max_record_bytes)
        states = RedisStates(client, f"{plan.group}:{chain.topics.raw}", stages.digest)
        snapshots = Snapshots(states, self._ledger, plan.snapshot_ms / 1e3)
        self._producer = _reliable(producer_settings(settings.kafka_bootstrap_servers, config))
        metering = ChainMetering(recorder)
        scores = {
            stage.name: Score(stage, engine, chain.features) for stage in plan.stages if stage.kind == "score"
        }
        self._worker = TelemetryWorker(
            stages,
            snapshots,
            Judging(plan, scores, self._alerting(chain, stores, recorder), metering),
            ledger=self._ledger,
            gauge=LevelGauge(plan.levels),
            features=FeatureTopic(
                self._topic(chain.topics.features), _model_of(plan), digest_of(chain.features)
            ),
            late=self._topic(plan.late_topic) if plan.late_topic else None,
            online=LatestRows(stores.online, chain.view) if chain.view else None,
            dead_letters=self._dead_letters(settings, config),
            metering=metering,
            tracer=tracer,
        )
        self._source = KafkaSource(
            chain.topics.raw,
            consumer_settings(settings.kafka_bootstrap_servers, plan.group, config),
            config,
            self._ledger,
            deliver=self._deliver,
            recorder=recorder.for_thread(),
            follower=StateFollower(self._loop, self._worker, snapshots),
        )

    async def _close(self) -> None:
        await self._parts.aclose()

    def _alerting(self, chain: ChainConfig, stores: Stores, recorder: Recorder) -> Alerting:
        rules = chain.policy.rules
        alert = Alert(chain.policy, chain.telemetry, chain.features)
        drift = Drift(chain.telemetry, chain.drift, recorder)
        topic, metering = self._topic(chain.topics.alerts), AlertMetering(recorder)
        review, offering = chain.review, stores.offering
        if offering is None:
            return AlertOutput(alert, stores.alerts, topic, metering, drift)
        sampler, unsure = AuditSampler(review.audit), UnsureRows(review.unsure)
        conditions = {rule.name: rule.when.text for rule in rules}
        reading = AlertReading(
            conditions, chain.origin, chain.telemetry.criticality, chain.features, review.audit
        )
        writer = CountedAlerts(stores.alerts, sampler, reading, offering)
        inner = AlertOutput(alert, writer, topic, metering, drift)
        return ReviewSampling(inner, alert, rules, chain.features, chain.origin, offering, sampler, unsure)

    def _topic(self, name: str) -> Topic:
        topic = Topic(name, self._producer)
        self._parts.push_async_callback(topic.close)
        return topic

    def _dead_letters(self, settings: Settings, config: IngestConfig) -> KafkaDeadLetters:
        letters = KafkaDeadLetters(
            producer_settings(settings.kafka_bootstrap_servers, config),
            config.dead_letter_suffix,
            config.backoff_s,
            config.max_backoff_s,
        )
        self._parts.push_async_callback(letters.close)
        return letters


def _model_of(plan: PipelinePlan) -> str:
    scores = [stage.endpoint_at(Level.FULL) for stage in plan.stages if stage.kind == "score"]
    return next((name for name in scores if name), MODEL_ID)


def _reliable(settings: dict[str, Setting]) -> dict[str, Setting]:
    """Nothing lost, nothing twice, in order; a few milliseconds are waited so that records travel together."""
    own: dict[str, Setting] = {
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 5,
        "compression.type": "lz4",
        "delivery.timeout.ms": 30_000,
        "message.max.bytes": 100_000_000,  # a late record may be as large as the broker took it
        "queue.buffering.max.messages": 50_000,
        "queue.buffering.max.kbytes": 262_144,
        "client.id": "hyperstream-telemetry",
    }
    return own | settings
