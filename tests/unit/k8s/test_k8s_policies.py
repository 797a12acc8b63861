"""What holds of every pod: no root, nothing written but in its own folders, bounded, pinned, probed, ports that are served."""

import re
import tomllib
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from overlays import OVERLAYS, ROOT, built, config_map, matches, of_kind, pods, ray_cluster
from ray._private import ray_constants

from mesh.records.database import check_url
from mesh.settings import Settings
from serve.oip.ports import Limits

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BUILT = {f"hyperstream-mesh:{VERSION}", f"hyperstream-mesh:{VERSION}-full"}
PUBLIC = {"postgres:17.6", "redis:7.4.2"}
RAY_METRICS = 8090
CONSOLE_PORT, HISTORY_PORT = 8501, 9465

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def scales_pods(overlay, pod):
    return pod.name == "head" and ray_cluster(overlay).get("enableInTreeAutoscaling", False)


@each_overlay
def test_no_pod_runs_as_root_or_takes_its_rights_back(overlay):
    for pod in pods(overlay):
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True, pod.name
        assert security["runAsUser"] > 0, pod.name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, pod.name
        sidecar = [ray_cluster(overlay)["autoscalerOptions"]] if scales_pods(overlay, pod) else []
        for container in [*pod.containers, *sidecar]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, pod.name


@each_overlay
def test_only_a_head_that_scales_pods_has_a_token_for_kubernetes(overlay):
    for pod in pods(overlay):
        assert pod.spec["automountServiceAccountToken"] is scales_pods(overlay, pod), pod.name


@each_overlay
def test_every_container_is_bounded_and_every_image_pinned(overlay):
    for pod in pods(overlay):
        for container in pod.containers:
            resources = container["resources"]
            for bound in ("requests", "limits"):
                assert {"cpu", "memory"} <= {*resources[bound]}, pod.name
            # More memory than was asked for is memory that the kernel may take back by killing.
            assert resources["requests"]["memory"] == resources["limits"]["memory"], pod.name
            assert container["image"] in BUILT | PUBLIC, container["image"]
            assert re.fullmatch(r".+:\d+\.\d+(\.\d+)?(-full)?", container["image"])


def test_the_images_of_ours_are_those_that_the_makefile_builds():
    makefile = (ROOT / "Makefile").read_text()
    assert "--tag hyperstream-mesh:$(VERSION) " in makefile
    assert "--tag hyperstream-mesh:$(VERSION)-full " in makefile


@each_overlay
def test_every_pod_is_probed_on_ports_that_it_has(overlay):
    for pod in pods(overlay):
        for container in pod.containers:
            for probe in ("readinessProbe", "livenessProbe"):
                asked = container[probe]
                port = (asked.get("httpGet") or asked.get("tcpSocket") or {}).get("port")
                assert port in pod.ports or "exec" in asked, (pod.name, probe)


@each_overlay
def test_a_redis_that_answers_with_an_error_is_not_ready(overlay):
    # One that still loads its data or knows no such password says so, and redis-cli ends with 0 unless it is told not to.
    probes = [
        container["readinessProbe"]["exec"]["command"]
        for pod in pods(overlay)
        for container in pod.containers
        if container["image"].startswith("redis:")
    ]
    assert probes == [["redis-cli", "-e", "ping"]]


@each_overlay
def test_every_mount_has_a_volume_and_what_is_written_to_is_bounded(overlay):
    claims = {
        claim["metadata"]["name"]
        for one in of_kind(overlay, "StatefulSet").values()
        for claim in one["spec"]["volumeClaimTemplates"]
    }
    for pod in pods(overlay):
        volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", ())}
        for container in pod.containers:
            assert {mount["name"] for mount in container["volumeMounts"]} <= {*volumes, *claims}, pod.name
        for volume in volumes.values():
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], (pod.name, volume)


@each_overlay
def test_every_port_that_is_named_is_one_that_something_listens_on(overlay):
    served = {
        **ports_of_the_mesh(overlay),
        "gcs": ray_constants.DEFAULT_PORT,
        "dashboard": ray_constants.DEFAULT_DASHBOARD_PORT,
        "agent": ray_constants.DEFAULT_DASHBOARD_AGENT_LISTEN_PORT,
        "metrics": RAY_METRICS,
        "redis": 6379,
        "console": CONSOLE_PORT,
        "history": HISTORY_PORT,
        "postgres": 5432,
    }
    for pod in pods(overlay):
        for name, port in pod.ports.items():
            assert served[name] == port, (pod.name, name)
        assert len({*pod.ports.values()}) == len(pod.ports), pod.name
        if pod.ray is not None:
            # KubeRay's default is 8080, where the routers listen; and it adds a port unless one is called `metrics`.
            assert pod.ray["rayStartParams"]["metrics-export-port"] == str(RAY_METRICS)
            assert pod.ports["metrics"] == RAY_METRICS


def ports_of_the_mesh(overlay):
    service = of_kind(overlay, "RayService")["hyperstream-mesh"]
    serve = yaml.safe_load(service["spec"]["serveConfigV2"])
    settings = Settings.from_environ(config_map(overlay, "hyperstream-environment"))
    return {
        "serve": serve["http_options"]["port"],
        "grpc": serve["grpc_options"]["port"],
        "mesh-http": settings.http_port,
        "mesh-grpc": settings.grpc_port,
        "mesh-metrics": settings.prometheus_port,
    }


@each_overlay
def test_only_the_head_names_the_port_of_the_mesh_s_figures(overlay):
    assert [pod.name for pod in pods(overlay) if "mesh-metrics" in pod.ports] == ["head"]


@each_overlay
def test_kuberay_finds_serve_s_port_on_the_head(overlay):
    # It looks among the head's ports alone, and without one named so makes no Service: the RayService is never ready.
    (head,) = [pod for pod in pods(overlay) if pod.name == "head"]
    assert head.ports["serve"] == ports_of_the_mesh(overlay)["serve"]


@each_overlay
def test_a_worker_is_ready_when_it_answers_where_kuberay_leads_clients(overlay):
    # Every worker is behind KubeRay's Services, whatever its group, and Serve's proxy is on those with a replica alone.
    for pod in (one for one in pods(overlay) if one.ray is not None and one.name != "head"):
        (container,) = pod.spec["containers"]
        asked = container["readinessProbe"]["httpGet"]
        assert (asked["port"], asked["path"]) in {("mesh-http", "/healthz"), ("serve", "/-/healthz")}, (
            pod.name
        )
        assert pod.ports["serve"] == ports_of_the_mesh(overlay)["serve"]
        # Alive is another matter: a pod whose router or proxy is being started anew is not to be killed for it.
        assert container["livenessProbe"]["httpGet"]["path"] == "/api/local_raylet_healthz"


def test_a_pod_that_is_not_ready_keeps_no_node_from_being_drained():
    budgets = of_kind("production", "PodDisruptionBudget")
    assert budgets
    assert {one["spec"]["unhealthyPodEvictionPolicy"] for one in budgets.values()} == {"AlwaysAllow"}


@each_overlay
def test_a_pod_that_ends_is_left_by_clients_first_and_has_the_time_to_stop_ray(overlay):
    groups = [pod for pod in pods(overlay) if pod.ray is not None and pod.name != "head"]
    for pod in groups:
        (container,) = pod.spec["containers"]
        (command,) = container["lifecycle"]["preStop"]["exec"]["command"][2:]
        waits = [int(seconds) for seconds in re.findall(r"(?:sleep|--grace-period) (\d+)", command)]
        assert sum(waits) < pod.spec["terminationGracePeriodSeconds"], pod.name
        if "mesh-http" in pod.ports:
            # What follows a Service goes on to the pod for some seconds; a router that is gone by then refuses it.
            assert re.match(r"sleep \d+; ray stop ", command), pod.name


@each_overlay
def test_every_service_monitor_and_budget_finds_pods_with_its_ports(overlay):
    found = list(pods(overlay))
    for one in built(overlay):
        spec = one.get("spec", {})
        if one["kind"] == "Service":
            selector = {"matchLabels": spec["selector"]}
            wanted = {port["targetPort"] for port in spec["ports"]}
        elif one["kind"] in ("PodMonitor", "PodDisruptionBudget"):
            selector = spec["selector"]
            wanted = {port["port"] for port in spec.get("podMetricsEndpoints", ())}
        else:
            continue
        chosen = [pod for pod in found if matches(selector, pod.labels)]
        assert chosen, one["metadata"]["name"]
        assert all(wanted <= {*pod.ports} for pod in chosen), one["metadata"]["name"]


def test_an_ingress_leads_to_ports_of_a_service_under_tls():
    ingresses = of_kind("production", "Ingress")
    assert ingresses
    for ingress in ingresses.values():
        hosts = {rule["host"] for rule in ingress["spec"]["rules"]}
        assert hosts == {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]}
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                ports = of_kind("production", "Service")[service["name"]]["spec"]["ports"]
                assert service["port"]["name"] in {port["name"] for port in ports}


def test_where_all_calls_need_a_token_prometheus_has_one_for_the_mesh_s_own_figures_and_they_can_look_it_up():
    assert config_map("production", "hyperstream-environment")["MESH_ACCESS"] == "all"
    for name, part in (("hyperstream-mesh", "head"), ("hyperstream-history", "history")):
        (endpoint,) = of_kind("production", "PodMonitor")[name]["spec"]["podMetricsEndpoints"]
        assert endpoint["authorization"]["credentials"] == {"name": "hyperstream-scraper", "key": "token"}
        (pod,) = [one for one in pods("production") if one.labels["hyperstream.io/part"] == part]
        known = {one["name"]: one.get("valueFrom") for one in pod.spec["containers"][0]["env"]}
        assert known["MESH_DATABASE_URL"]["secretKeyRef"]["name"] == "hyperstream-database", name
        egress = [
            port["port"]
            for policy in of_kind("production", "NetworkPolicy").values()
            if matches(policy["spec"]["podSelector"], pod.labels)
            for rule in policy["spec"].get("egress", ())
            for port in rule.get("ports", ())
        ]
        assert 5432 in egress, name


def ingress(path: str) -> dict:
    return next(
        one
        for one in of_kind("production", "Ingress").values()
        for rule in one["spec"]["rules"]
        for each in rule["http"]["paths"]
        if each["path"] == path
    )


def test_the_ingress_leads_graphql_to_serve_s_port_which_alone_serves_it():
    service = yaml.safe_load(of_kind("production", "RayService")["hyperstream-mesh"]["spec"]["serveConfigV2"])
    (prefix,) = [one["route_prefix"] for one in service["applications"] if one["name"] == "graphql"]
    (rule,) = ingress(prefix)["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "hyperstream", "port": {"name": "http"}}
    # nginx ends a WebSocket that says nothing for a minute.
    assert (
        ingress(prefix)["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "3600"
    )


def test_the_ingress_takes_messages_as_large_as_the_mesh_does():
    size = "nginx.ingress.kubernetes.io/proxy-body-size"  # without it 1 MiB, of all messages of a stream together
    assert ingress("/")["metadata"]["annotations"][size] == f"{Limits().body_bytes // 2**20}m"
    assert ingress("/inference.GRPCInferenceService")["metadata"]["annotations"][size] == "0"


def secrets_named(value: object) -> set[str]:
    """Names of Secrets anywhere in an object."""
    if isinstance(value, list):
        return set().union(*map(secrets_named, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found = {one for one in (value.get("secretName"),) if one}
    for key in ("secretKeyRef", "secretRef"):
        if key in value:
            found.add(value[key]["name"])
    return found.union(*map(secrets_named, value.values()))


def test_every_secret_is_made_by_strimzi_or_described():
    users, clusters = of_kind("production", "KafkaUser"), of_kind("production", "Kafka")
    by_strimzi = {*users, *(f"{name}-cluster-ca-cert" for name in clusters)}
    named = secrets_named(list(built("production")))
    assert {"hyperstream-mesh", "hyperstream-redis", "hyperstream-ray-token", "hyperstream-tls"} <= named
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    for name in named - by_strimzi:
        assert re.search(rf"create secret (generic|tls) {name} ", page), name
    assert secrets_named(list(built("dev"))) == set()


def test_the_database_s_address_in_the_manual_is_one_that_connects():
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    (address,) = re.findall(r"secret generic hyperstream-database --from-literal=url='(\S+)'", page)
    check_url(address)
    asked = parse_qs(urlsplit(address).query)
    # libpq trusts no authority of its own accord, and refuses every server where it is to verify one.
    assert asked["sslmode"] == ["verify-full"]
    assert asked["sslrootcert"]
