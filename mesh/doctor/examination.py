"""All checks, in one order."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mesh.doctor import configured, machine, servers
from mesh.doctor.finding import LEVELS, Finding
from mesh.embedded.ports import Port
from mesh.errors import InvalidConfig
from mesh.settings import Settings
from mesh.telemetry.node import read_gpus

Check = Callable[[], Iterable[Finding]]


def examine(
    environ: Mapping[str, str],
    wanted_ports: Callable[[Settings], list[Port]],
    ray: Mapping[str, str],
    *,
    running: bool,
) -> list[Finding]:
    """Everything that can be said of this machine, worst first. No check stops another.

    `running` says that a mesh answers here; `ray` are the variables that the launcher sets.
    """
    try:
        settings = Settings.from_environ(environ)
    except InvalidConfig as error:
        unset = "correct the variable; nothing that depends on it was checked"
        return [Finding("environment", "problem", str(error), unset), *machine.versions()]
    found, mesh = configured.configuration(Path(settings.config_dir), settings)
    topics = [settings.kafka_inference_topic, *(mesh.topics.values() if mesh else ())]
    gpus = mesh is not None and any(model.num_gpus for model in mesh.models.values())
    checks: tuple[Check, ...] = (
        machine.versions,
        machine.disk,
        lambda: machine.memory(running=running),
        lambda: machine.gpu(read_gpus(), gpus),
        lambda: servers.ports(wanted_ports(settings), running=running),
        lambda: servers.kafka(
            settings.kafka_bootstrap_servers, topics, named="KAFKA_BOOTSTRAP_SERVERS" in environ
        ),
        lambda: servers.redis_server(settings.redis_url, named="REDIS_URL" in environ),
        lambda: configured.ray_variables(environ, ray),
    )
    for check in checks:
        found += _findings(check)
    return sorted(found, key=lambda one: LEVELS.index(one.level))


def _findings(check: Check) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - a check that fails is a finding, and must not hide the others
        reason = f"{type(error).__name__}: {error}"
        return [Finding("doctor", "note", f"a check could not be made: {reason}", "report it, please")]
