"""The package as others get it: an sdist that is whole, a wheel made of it, and an empty environment in which it runs."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from linked import link_into

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("mesh", "serve", "ingest")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(one) for one in command], cwd=cwd, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-1000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout and nothing of an earlier build gets in."""
    source = tmp_path_factory.mktemp("sdist") / "source"
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    build = "from setuptools.build_meta import build_sdist; build_sdist('dist')"
    run(sys.executable, "-c", build, cwd=source)
    (made,) = (source / "dist").glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    folder = sdist.parent / "wheel"
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "--wheel-dir", folder, sdist, cwd=sdist.parent)
    (made,) = folder.glob("*.whl")
    return made


def tracked() -> set[str]:
    """Files of the packages, in the checkout."""
    return {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_sdist_and_the_wheel_hold_every_file_of_the_packages(sdist, wheel):
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked() - packed == set()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if name.startswith(tuple(f"{one}/" for one in PACKAGES))} == tracked()
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_installs_into_an_empty_environment_and_runs(wheel, tmp_path):
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    link_into(environment)
    # Without an index: what the wheel asks for and is not there would be an error.
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-index", wheel, cwd=tmp_path)
    version = wheel.name.split("-")[1]
    command = environment / "bin" / "hyperstream"
    assert run(command, "--version", cwd=tmp_path) == f"hyperstream-mesh {version}\n"
    assert "evaluate" in run(command, "--help", cwd=tmp_path), "its short helps come from every module"
    assert "identity" in run(command, "check", cwd=tmp_path), "the model that there is without any YAML"
