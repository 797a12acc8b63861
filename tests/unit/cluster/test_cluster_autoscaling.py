from dataclasses import dataclass, field

from mesh.cluster.autoscaling import ONGOING, POLICY, QUEUED, replicas_for_load, total_load


@dataclass
class Config:
    target: float = 2.0

    def get_target_ongoing_requests(self) -> float:
        return self.target


@dataclass
class Context:
    current_num_replicas: int = 1
    target_num_replicas: int = 1
    total_num_requests: float = 0.0
    aggregated_metrics: dict[str, dict[object, float]] | None = None
    config: Config = field(default_factory=Config)


def test_rows_add_up_over_replicas_and_queues_count_once() -> None:
    metrics: dict[str, dict[object, float]] = {ONGOING: {"a": 3.0, "b": 5.0}, QUEUED: {"a": 10.0, "b": 12.0}}
    assert total_load(4.0, metrics) == 4.0 + 8.0 + 12.0


def test_wants_what_brings_each_replica_to_its_target() -> None:
    wanted, _ = replicas_for_load(Context(2, 2, 1.0, {ONGOING: {"a": 3.0, "b": 4.0}}))
    assert wanted == 4.0


def test_no_load_wants_none_and_no_metrics_are_no_load() -> None:
    assert replicas_for_load(Context(3, 3)) == (0.0, {})


def test_sleeping_model_keeps_its_target() -> None:
    assert replicas_for_load(Context(0, 1, 0.0)) == (1, {})


def test_serve_finds_the_policy_by_its_name() -> None:
    module, _, name = POLICY.partition(":")
    assert getattr(__import__(module, fromlist=[name]), name) is replicas_for_load
