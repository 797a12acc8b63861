"""Who reaches what in production, by the rules of NetworkPolicy."""

import pytest
from overlays import matches, of_kind, pods

CLIENTS = {"hyperstream.io/clients": "true"}
STRANGER = {"kubernetes.io/metadata.name": "default"}
OPERATOR = {"kubernetes.io/metadata.name": "kuberay-operator"}
PROMETHEUS = {"kubernetes.io/metadata.name": "monitoring"}


def part(name: str) -> dict:
    return next(pod.labels for pod in pods("production") if pod.labels["hyperstream.io/part"] == name)


def reaches(source: dict, target: str, port: int, *, outside: bool) -> bool:
    """Whether a pod comes in: one of a namespace with the labels `source`, or one of our own with them."""
    chosen = [
        one["spec"]
        for one in of_kind("production", "NetworkPolicy").values()
        if "Ingress" in one["spec"]["policyTypes"] and matches(one["spec"]["podSelector"], part(target))
    ]
    assert chosen, f"no policy closes {target}"
    return any(
        _comes_from(rule, source, outside=outside)
        and ("ports" not in rule or port in [one["port"] for one in rule["ports"]])
        for spec in chosen
        for rule in spec.get("ingress", ())
    )


def _comes_from(rule: dict, source: dict, *, outside: bool) -> bool:
    selector = "namespaceSelector" if outside else "podSelector"
    return any(selector in peer and matches(peer[selector], source) for peer in rule["from"])


@pytest.mark.parametrize("port", [8000, 9000, 8080, 9001])
def test_clients_reach_the_edge_and_strangers_do_not(port):
    assert reaches(CLIENTS, "edge", port, outside=True)
    assert not reaches(STRANGER, "edge", port, outside=True)


def test_the_gateway_of_upgrades_in_steps_reaches_serve_s_port_alone():
    # KubeRay calls it NAME-gateway; whoever implements the class runs it beside the mesh, under this label.
    service = of_kind("production", "RayService")["hyperstream-mesh"]
    assert service["spec"]["upgradeStrategy"]["type"] == "NewClusterWithIncrementalUpgrade"
    gateway = {"gateway.networking.k8s.io/gateway-name": f"{service['metadata']['name']}-gateway"}
    for target in ("edge", "cpu", "gpu"):  # KubeRay's Services lead to the workers of all groups
        assert reaches(gateway, target, 8000, outside=False)
        assert reaches(CLIENTS, target, 8000, outside=True)  # a class that runs it in a namespace of its own
        assert not reaches(gateway, target, 8080, outside=False)
    assert not reaches(gateway, "head", 8000, outside=False)
    another = {"gateway.networking.k8s.io/gateway-name": "another"}
    assert not reaches(another, "edge", 8000, outside=False)


@pytest.mark.parametrize("target", ["head", "edge", "cpu", "gpu"])
def test_nobody_outside_reaches_the_ports_on_which_ray_runs_code(target):
    for source in (CLIENTS, STRANGER, OPERATOR, PROMETHEUS):
        for port in (6379, 10001, 10002, 30000, 40000):
            assert not reaches(source, target, port, outside=True), (source, port)


def test_the_dashboard_is_the_operator_s_alone():
    assert reaches(OPERATOR, "head", 8265, outside=True)
    for source in (CLIENTS, STRANGER, PROMETHEUS):
        assert not reaches(source, "head", 8265, outside=True)


def test_prometheus_reaches_figures_and_nothing_else():
    assert reaches(PROMETHEUS, "head", 9464, outside=True)
    assert reaches(PROMETHEUS, "gpu", 8090, outside=True)
    assert not reaches(PROMETHEUS, "edge", 8080, outside=True)


def test_ray_reaches_itself_and_its_own_redis():
    for source in ("head", "edge", "cpu", "gpu"):
        assert reaches(part(source), "head", 6379, outside=False)
        assert reaches(part(source), "edge", 31_234, outside=False)
        assert reaches(part(source), "gcs-redis", 6379, outside=False)
    assert not reaches({"app": "other"}, "gcs-redis", 6379, outside=False)
    assert not reaches({"app": "other"}, "edge", 8080, outside=False)


def test_the_console_reaches_the_api_and_people_reach_the_console():
    assert reaches(CLIENTS, "console", 8501, outside=True)
    assert not reaches(STRANGER, "console", 8501, outside=True)
    assert reaches(part("console"), "edge", 8080, outside=False)
    assert not reaches(part("console"), "head", 8265, outside=False)


def test_prometheus_alone_reaches_the_writer_of_history():
    assert reaches(PROMETHEUS, "history", 9465, outside=True)
    assert not reaches(CLIENTS, "history", 9465, outside=True)


def test_everything_is_closed_both_ways_unless_a_policy_opens_it():
    closed = of_kind("production", "NetworkPolicy")["closed"]["spec"]
    assert set(closed) == {"podSelector", "policyTypes"}
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert all(matches(closed["podSelector"], pod.labels) for pod in pods("production"))
