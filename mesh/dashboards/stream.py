"""Does the stream move, and do alerts come in time?"""

from typing import Final

from mesh.dashboards.panel import Dashboard, Panel, Query, Row
from mesh.dashboards.queries import quantile, quantiles, rate

STREAM: Final = Dashboard(
    "hyperstream-stream",
    "HyperStream: stream",
    (
        Row(
            "Kafka to Redis",
            (
                Panel(
                    "Records",
                    (
                        Query(rate("mesh_ingest_records_total", "topic"), "in {{topic}}"),
                        Query(rate("mesh_ingest_answered_total", "topic"), "out {{topic}}"),
                    ),
                    "short",
                ),
                Panel(
                    "Lag",
                    (Query("sum by (topic) (mesh_ingest_lag_records)", "{{topic}}"),),
                    "short",
                    "Records after the committed offsets.",
                ),
                Panel(
                    "Kafka to Redis",
                    quantiles("mesh_stream_latency_seconds"),
                    "s",
                    "From a record's own time.",
                ),
                Panel("Bytes", (Query(rate("mesh_ingest_bytes_total", "topic"), "{{topic}}"),), "Bps"),
                Panel(
                    "Dead letters",
                    (Query(rate("mesh_ingest_dead_letters_total"), "all"),),
                    "short",
                    "Records that can never be answered; their headers say why.",
                ),
                Panel(
                    "Tried again",
                    (Query(rate("mesh_ingest_retries_total"), "all"),),
                    "short",
                    "A model, Redis or Kafka was away: nothing is lost.",
                ),
                Panel("Paused partitions", (Query("sum(mesh_ingest_paused) or vector(0)", "all"),)),
                Panel("Lag by partition", (Query("mesh_ingest_lag_records", "{{topic}} {{partition}}"),)),
                Panel(
                    "Kafka away",
                    (Query("max by (topic) (mesh_ingest_kafka_away_seconds)", "{{topic}}"),),
                    "s",
                    "0 while it answers its readers.",
                ),
                Panel(
                    "Lost before reading",
                    (Query(rate("mesh_ingest_gap_records_total"), "all"),),
                    "short",
                    "Offsets that the broker no longer had.",
                ),
            ),
        ),
        Row(
            "The telemetry chain",
            (
                Panel(
                    "Reading to alert, p95",
                    (Query(quantile(0.95, "mesh_reading_to_alert_seconds", "level"), "{{level}}"),),
                    "s",
                ),
                Panel("Windows", (Query(rate("mesh_telemetry_rows_total"), "all"),)),
                Panel(
                    "Time by stage, p95",
                    (Query(quantile(0.95, "mesh_telemetry_stage_seconds", "stage"), "{{stage}}"),),
                    "s",
                ),
                Panel(
                    "Level",
                    (Query("mesh_telemetry_level"),),
                    "short",
                    "0 runs all of it, 3 only stores features.",
                    "stat",
                    thresholds=(1, 3),
                ),
                Panel("Assets", (Query("mesh_telemetry_assets"),), kind="stat"),
                Panel(
                    "Late or odd",
                    (
                        Query(rate("mesh_telemetry_late_total"), "late"),
                        Query(rate("mesh_telemetry_odd_values_total"), "odd"),
                    ),
                ),
            ),
        ),
        Row(
            "Alerts",
            (
                Panel(
                    "Alerts",
                    (
                        Query(rate("mesh_alerts_opened_total"), "opened"),
                        Query(rate("mesh_alerts_cleared_total"), "cleared"),
                        Query(rate("mesh_alerts_digested_total"), "in digests"),
                    ),
                    "short",
                    width=12,
                ),
                Panel(
                    "Budget left",
                    (Query("mesh_alert_budget_left"),),
                    "short",
                    "Alerts that may still stand alone.",
                    "stat",
                    12,
                ),
            ),
        ),
    ),
)
