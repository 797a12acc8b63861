"""Every command of the Dockerfile, run in a clean folder, makes a mesh that needs nothing of this checkout."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dockerfile import Builder, stages
from linked import link_into

ROOT = Path(__file__).resolve().parents[2]
STAGES = stages((ROOT / "Dockerfile").read_text())
EXTRAS = [
    frozenset(found.split(","))
    for found in re.findall(r"\.whl\)\[([\w,]+)\]", (ROOT / "Dockerfile").read_text())
]
"""Of the slim image and of the full one."""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the image's user is made by root")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """All stages, built. Packages are linked in before pip looks for them: it then installs the mesh alone."""
    root = tmp_path_factory.mktemp("image")
    context = root / "context"
    taken_into(context)

    def before(folder: Path, command: str) -> None:
        if "pip install" in command:
            link_into(folder / "opt" / "venv", EXTRAS[1 if "[torch" in command else 0])

    environment = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    builder = Builder(root, context, before, {**environment, "PYTHONDONTWRITEBYTECODE": "1"})
    for stage in STAGES.values():
        builder.build(stage, STAGES)
    return builder


def taken_into(context: Path) -> None:
    """The files that .dockerignore lets through: its lines with `!`, less compiled Python."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    context.mkdir()
    for name in [line[1:] for line in lines if line.startswith("!")]:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, context / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy2(path, context / name)


@needs_root
def test_every_command_was_run_and_the_user_is_no_root(images):
    assert images.ran == [text for stage in STAGES.values() for text in stage.values("RUN")]
    passwd = (images.folder("slim") / "etc" / "passwd").read_text()
    assert passwd == "mesh:x:1000:1000::/home/mesh:/usr/sbin/nologin\n"
    assert STAGES["runtime"].values("USER") == ["1000:1000"]
    assert STAGES["runtime"].instructions[-1].keyword == "USER", "nothing after it may need root"


@needs_root
@pytest.mark.parametrize("image", ["slim", "full"])
def test_the_image_s_own_files_are_enough(images, image):
    folder = images.folder(image)
    shown = run(folder, "hyperstream", "--version")
    assert shown == f"hyperstream-mesh {version()}\n"
    assert "valid; rules" in run(folder, "hyperstream", "check")
    found = run(folder, "python", "-c", "import mesh, serve, ingest; print(mesh.__file__)")
    assert Path(found.strip()).is_relative_to(folder), found
    for name in ("hyperstream", "ray", "serve"):
        assert (folder / "usr" / "local" / "bin" / name).is_file()


@needs_root
def test_the_slim_image_has_no_framework_and_the_full_one_has_each(images):
    probe = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"
    frameworks = [
        "torch", "tensorflow", "deltalake", "streamlit", "opentelemetry.sdk", "psycopg", "sklearn", "skl2onnx", "boto3", "pytest",
    ]  # fmt: skip
    slim = ["torch", "tensorflow", "pytest", "opentelemetry.sdk", "psycopg"]
    assert run(images.folder("slim"), "python", "-c", probe.format(slim)) == f"{slim[3:]}\n"
    assert run(images.folder("full"), "python", "-c", probe.format(frameworks)) == f"{frameworks[:-1]}\n"


def run(folder: Path, *command: str) -> str:
    """What a program of the image says, with the image's PATH and configuration, in its home."""
    done = subprocess.run(
        [str(folder / "opt" / "venv" / "bin" / command[0]), *command[1:]],
        cwd=folder / "home" / "mesh",
        env={
            "PATH": f"{folder}/opt/venv/bin:/usr/bin:/bin",
            "HOME": str(folder / "home" / "mesh"),
            "MESH_CONFIG": f"{folder}/opt/hyperstream/config",
            "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def version() -> str:
    (line,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    return str(line)


def test_every_stage_starts_from_a_pinned_image_or_a_stage():
    (argument,) = re.findall(r"^ARG PYTHON=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"3\.11\.\d+-slim-\w+", argument)
    assert {stage.base for stage in STAGES.values()} <= {"python:${PYTHON}", *STAGES}


def test_sigterm_drains_and_the_health_check_asks_a_port_that_is_exposed():
    runtime = STAGES["runtime"]
    assert runtime.values("STOPSIGNAL") == ["SIGTERM"]
    (check,) = runtime.values("HEALTHCHECK")
    (port,) = re.findall(r"127\.0\.0\.1:(\d+)", check)
    assert port in runtime.values("EXPOSE")[0].split()
    command = json.loads(check.partition("CMD ")[2])
    compile(command[2], "HEALTHCHECK", "exec")
    # In exec form: a shell in between would not pass the signal on.
    assert json.loads(runtime.values("ENTRYPOINT")[0]) == ["hyperstream"]
    assert json.loads(runtime.values("CMD")[0])[:2] == ["up", "--no-feed"]
