"""Every metric of the mesh, in one place: name, kind, labels and unit.

Counters end in `_total` and only grow; times are seconds, sizes bytes. `docs/metrics.md` is made from here
(`python -m mesh.telemetry.page`).
"""

from typing import Final

from mesh.telemetry.metric import Counter, Gauge, Histogram, Metric

CALL_BUCKETS: Final = (
    0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1,
    0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
"""100 µs to 10 s: what one call of a model takes."""


# The three series that outside dashboards rely on: one prediction is one record or one request.
INFERENCE_SECONDS: Final = Histogram(
    "ml_stream_inference_latency_seconds",
    "Time from receipt of a record or request to its answer",
    ("model_id",),
)
INFERENCE_PREDICTIONS: Final = Counter(
    "ml_stream_inference_predictions_total", "Records and requests that were answered", ("model_id",)
)
INFERENCE_ERRORS: Final = Counter(
    "ml_stream_inference_errors_total",
    "Records and requests that were not answered, whatever the reason",
    ("model_id",),
)

# Rows and requests at the edges.
ROWS: Final = Counter(
    "mesh_rows_total",
    "Rows answered, by who answered them",
    ("endpoint", "model", "route", "role", "version"),
)
FAILED_ROWS: Final = Counter(
    "mesh_failed_rows_total", "Rows left without an answer", ("endpoint", "model", "kind")
)
DEGRADED_ROWS: Final = Counter(
    "mesh_degraded_rows_total", "Rows whose answer is not the one that their routes asked for", ("endpoint",)
)
ANSWER_SECONDS: Final = Histogram(
    "mesh_answer_seconds",
    "Time from taking rows to their answer, by who answered most of them",
    ("endpoint", "model", "route", "role", "version"),
    CALL_BUCKETS,
)
REQUESTS: Final = Counter("mesh_requests_total", "Requests by status code", ("endpoint", "code", "protocol"))
REQUEST_SECONDS: Final = Histogram(
    "mesh_request_seconds", "Time from a request's last byte to its answer", ("endpoint", "protocol")
)
PENDING_ROWS: Final = Gauge("mesh_pending_rows", "Rows accepted and not yet answered", ("endpoint",))

# Calls of models, seen by the engines that make them.
MODEL_CALLS: Final = Counter(
    "mesh_model_calls_total",
    "Calls by outcome: answered, or a failure's kind",
    ("model", "outcome", "version"),
)
MODEL_CALL_SECONDS: Final = Histogram(
    "mesh_model_call_seconds", "Time from sending a call to its result", ("model", "version"), CALL_BUCKETS
)
MODEL_ROWS: Final = Counter("mesh_model_rows_total", "Rows sent to a model", ("model", "version"))
MODEL_REPLICAS: Final = Gauge("mesh_model_replicas", "Replicas of a model that serve", ("model", "version"))
MODEL_QUEUE_SECONDS: Final = Counter(
    "mesh_model_queue_seconds_total", "Time that callers' rows waited for a free call, added up", ("model",)
)
MODEL_QUEUED_CALLERS: Final = Counter(
    "mesh_model_queued_callers_total", "Callers whose rows were sent to a model, joined or alone", ("model",)
)
MODEL_WAITING_ROWS: Final = Gauge(
    "mesh_model_waiting_rows", "Rows that wait for a free call to a model", ("model",)
)
MODEL_SLOTS: Final = Gauge(
    "mesh_model_call_slots",
    "Calls that may be out at once over the direct path, by state",
    ("model", "state"),
)
MODEL_COMPUTE_SECONDS: Final = Counter(
    "mesh_model_compute_seconds_total", "Time that a model's replicas spent on calls", ("model", "version")
)
SHADOW_ROWS: Final = Counter(
    "mesh_shadow_rows_total",
    "Rows for a shadow by outcome: compared, failed, dropped, skipped",
    ("model", "outcome"),
)
BREAKER_STATE: Final = Gauge(
    "mesh_breaker_state", "Worst state of a model's breaker: 0 closed, 1 half open, 2 open", ("model",), "max"
)
RULES_VERSION: Final = Gauge(
    "mesh_rules_version", "The newest version of the rules that a router answers by", (), "max"
)
RULES_CHANGES: Final = Counter(
    "mesh_rules_changes_total",
    "Changes of the rules that were proposed, by what came of them",
    ("source", "outcome"),
)

SHADOW_AGREED_ROWS: Final = Counter(
    "mesh_shadow_agreed_rows_total",
    "Rows that a shadow labelled as the primary did, of those compared by label",
    ("model", "agreed"),
)

# The stream.
INGEST_RECORDS: Final = Counter("mesh_ingest_records_total", "Records read from Kafka", ("topic",))
INGEST_BYTES: Final = Counter(
    "mesh_ingest_bytes_total", "Bytes of the values of records read from Kafka", ("topic",)
)
INGEST_ANSWERED: Final = Counter(
    "mesh_ingest_answered_total", "Records whose prediction is in Redis", ("topic",)
)
INGEST_DEAD_LETTERS: Final = Counter(
    "mesh_ingest_dead_letters_total", "Records that went to the dead letters", ("topic", "reason")
)
INGEST_LEFT: Final = Counter(
    "mesh_ingest_left_total", "Records read and given back uncommitted when a reader shut down", ("topic",)
)
INGEST_LAG: Final = Gauge(
    "mesh_ingest_lag_records",
    "Records in a partition after the committed offset",
    ("topic", "partition"),
    "max",
)
INGEST_GAPS: Final = Counter(
    "mesh_ingest_gap_records_total", "Offsets that the broker no longer had when they were due", ("topic",)
)
INGEST_RETRIES: Final = Counter(
    "mesh_ingest_retries_total", "Attempts that failed for a passing reason and are made again", ("reason",)
)
INGEST_PAUSED: Final = Gauge(
    "mesh_ingest_paused", "Partitions that are paused until what is in flight is done", ("topic", "reason")
)
INGEST_KAFKA_AWAY: Final = Gauge(
    "mesh_ingest_kafka_away_seconds",
    "Time for which Kafka has not answered a reader; 0 while it does",
    ("topic",),
    "max",
)
STREAM_SECONDS: Final = Histogram(
    "mesh_stream_latency_seconds",
    "Time from a record's Kafka timestamp to its prediction in Redis",
    ("topic",),
)

# The telemetry chain.
TELEMETRY_STAGE_SECONDS: Final = Histogram(
    "mesh_telemetry_stage_seconds", "Time that a stage took for a batch", ("stage",), CALL_BUCKETS
)
TELEMETRY_ROWS: Final = Counter("mesh_telemetry_rows_total", "Windows whose features were computed")
TELEMETRY_LATE: Final = Counter("mesh_telemetry_late_total", "Records that came too late for their step")
TELEMETRY_ODD: Final = Counter(
    "mesh_telemetry_odd_values_total", "Values that were flagged and taken for missing", ("kind",)
)
TELEMETRY_RESTARTED: Final = Counter(
    "mesh_telemetry_restarted_total", "Assets whose clock was set back, and which began anew"
)
TELEMETRY_FORGOTTEN: Final = Counter(
    "mesh_telemetry_forgotten_total", "Assets that were forgotten to make room for others"
)
TELEMETRY_ASSETS: Final = Gauge("mesh_telemetry_assets", "Assets that are remembered")
TELEMETRY_LEVEL: Final = Gauge(
    "mesh_telemetry_level", "Level of the chain: 0 runs all of it, 3 only stores features", (), "max"
)
TELEMETRY_LEFT_OUT: Final = Counter(
    "mesh_telemetry_left_out_rows_total", "Rows for which an optional stage gave no answer", ("stage",)
)
TELEMETRY_STATE_BYTES: Final = Counter("mesh_telemetry_state_bytes_total", "Bytes of state that were written")
TELEMETRY_STATE_LOST: Final = Counter(
    "mesh_telemetry_state_lost_total", "Partitions whose state should have been there and was not"
)
READING_SECONDS: Final = Histogram(
    "mesh_reading_to_alert_seconds",
    "Time from the reading that closed a window to the decision whether it alerts",
    ("level",),
)

# Alerts. One that opened, cleared or was digested counts once, however often the stream is read again.
ALERTS_OPENED: Final = Counter(
    "mesh_alerts_opened_total", "Alerts that opened and stand alone", ("rule", "severity")
)
ALERTS_CLEARED: Final = Counter(
    "mesh_alerts_cleared_total", "Alerts that cleared by themselves", ("rule", "severity")
)
ALERTS_DIGESTED: Final = Counter(
    "mesh_alerts_digested_total", "Alerts past the budget, which a digest stands for", ("rule", "severity")
)
ALERT_DIGESTS: Final = Counter("mesh_alert_digests_total", "Digests that opened")
ALERTS_HELD_OFF: Final = Counter(
    "mesh_alerts_held_off_total", "Alerts that did not open because one of the same key had lately", ("rule",)
)
ALERT_KEYS_FORGOTTEN: Final = Counter(
    "mesh_alert_keys_forgotten_total", "Keys whose condition was forgotten to make room for others"
)
ALERT_BUDGET_LEFT: Final = Gauge(
    "mesh_alert_budget_left", "Alerts that may still stand alone in the budget's present window", (), "max"
)

# Learning.
DRIFT_MEAN: Final = Gauge(
    "mesh_drift_mean", "Mean of a watched stream in its last whole stretch of time", ("stream",), "max"
)
DRIFT_ALARMS: Final = Counter(
    "mesh_drift_alarms_total",
    "Changes of a watched stream, each of which proposes a training",
    ("stream", "detector"),
)

# What people are asked, and what they say.
DECISION_BUCKETS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""1 s to half an hour: what a person takes."""
REVIEW_OFFERED: Final = Counter(
    "mesh_review_offered_rows_total",
    "Rows that were offered for review by source (alert, unsure, audit) and outcome (offered, dropped)",
    ("source", "outcome"),
)
REVIEW_ITEMS: Final = Gauge(
    "mesh_review_items", "Items that wait for people, by state: open, escalated, disputed", ("state",), "max"
)
REVIEW_HELD: Final = Gauge("mesh_review_held_items", "Items that people hold now", (), "max")
REVIEW_OVERDUE: Final = Gauge("mesh_review_overdue_items", "Items that wait past their due", (), "max")
REVIEW_DECISIONS: Final = Counter(
    "mesh_review_decisions_total", "What people did with items, by action", ("action", "model")
)
REVIEW_OVERRIDES: Final = Counter(
    "mesh_review_overrides_total", "Overrides by the reason that was given", ("reason", "model")
)
REVIEW_SECONDS: Final = Histogram(
    "mesh_review_decision_seconds", "Time from taking an item to deciding on it", (), DECISION_BUCKETS
)
REVIEW_AGREEMENT: Final = Gauge(
    "mesh_review_agreement_ratio",
    "Agreement of people on items judged twice in the last 7 days: alpha, ac1",
    ("coefficient",),
    "max",
)
REVIEW_OVERRIDE_RATIO: Final = Gauge(
    "mesh_review_override_ratio",
    "Overrides of decisions that saw the prediction, of the last 7 days",
    (),
    "max",
)
REVIEW_DETECTION: Final = Gauge(
    "mesh_review_detection_seconds",
    "Mean time from onset to alert (MTTD) of incidents labelled an anomaly, of the last 7 days",
    (),
    "max",
)
REVIEW_REPAIR: Final = Gauge(
    "mesh_review_repair_seconds",
    "Mean time from acknowledgement to resolution (MTTR) of incidents labelled an anomaly, of the last 7 days",
    (),
    "max",
)

# The feature store.
FEATURES_STORED: Final = Counter(
    "mesh_features_stored_total",
    "Records of features by outcome: added to the history, repeated, refused",
    ("view", "outcome"),
)
FEATURES_LAG: Final = Gauge(
    "mesh_features_lag_records", "Records of features not in the history yet", ("view",)
)
FEATURES_PARITY: Final = Gauge(
    "mesh_features_parity_entities",
    "Entities whose newest row online and in the history were compared, by outcome",
    ("view", "outcome"),
    "max",
)

# What is kept of changes, and who may make them.
AUDIT_WRITTEN: Final = Counter("mesh_audit_entries_total", "Changes that were logged, by room", ("room",))
AUDIT_LENGTH: Final = Gauge(
    "mesh_audit_length", "Entries of the audit log, as a process last saw it", ("process",), "max"
)
AUDIT_HEAD: Final = Gauge(
    "mesh_audit_head",
    "The first 13 hexadecimal digits of the last entry's hash, as a number, as a process last saw it",
    ("process",),
    "max",
)
AUDIT_PUBLISHED: Final = Counter(
    "mesh_audit_heads_published_total", "Heads of the audit log sent to Kafka: sent, failed", ("outcome",)
)
ACCESS_REFUSED: Final = Counter(
    "mesh_access_refused_total", "Calls refused for who asked: unauthenticated, forbidden", ("reason",)
)

# The processes.
# By node too: in pods that start alike, processes have the same ids.
PROCESS_MEMORY: Final = Gauge("mesh_process_resident_bytes", "Resident memory", ("process", "pid", "node"))
PROCESS_CPU: Final = Gauge(
    "mesh_process_cpu_seconds", "Processor time used since the process began", ("process", "pid", "node")
)


# The nodes: what there is and what is used of it, by all programs together.
NODE_CPU: Final = Gauge(
    "mesh_node_cpu_used_ratio", "Share of the node's processor time that is used", ("node",), "max"
)
NODE_LOAD: Final = Gauge(
    "mesh_node_load_per_core", "Processes that run or want to, over one minute, by core", ("node",), "max"
)
NODE_MEMORY: Final = Gauge(
    "mesh_node_memory_bytes",
    "Memory of the node, or of its container where that is less: total, available",
    ("node", "kind"),
    "max",
)
NODE_DISK: Final = Gauge(
    "mesh_node_disk_bytes", "The file system that Ray writes to: total, free", ("node", "kind"), "max"
)
GPU_USED: Final = Gauge(
    "mesh_gpu_used_ratio", "Share of the last sample period in which the GPU computed", ("node", "gpu"), "max"
)
GPU_MEMORY: Final = Gauge(
    "mesh_gpu_memory_bytes", "Memory of the GPU: total, used", ("node", "gpu", "kind"), "max"
)

# Traces.
TRACES: Final = Counter(
    "mesh_traces_total", "Requests and batches that were traced, by why they were kept", ("kept",)
)
TRACES_DROPPED: Final = Counter(
    "mesh_traces_dropped_total",
    "Requests and batches with errors or degraded answers that were not traced: more than a process tells of in a second",
)

REGISTRY: Final[dict[str, Metric]] = {
    value.name: value for value in list(globals().values()) if isinstance(value, Counter | Gauge | Histogram)
}
"""Every metric above by its name."""
