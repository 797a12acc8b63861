"""`hyperstream version`."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import typer
from rich import print as show

_SHOWN = (
    "hyperstream-mesh",
    "ray",
    "onnxruntime",
    "confluent-kafka",
    "redis",
    "numpy",
    "torch",
    "tensorflow-cpu",
)


def show_own(asked: bool) -> None:
    """With `--version`: name and version of this package, and no more."""
    if asked:
        typer.echo(f"{_SHOWN[0]} {installed(_SHOWN[0])}")
        raise typer.Exit


def version() -> None:
    """Show the versions of the mesh and of what it stands on.

    Example: `hyperstream version`
    """
    show(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in _SHOWN:
        try:
            show(f"{name} {installed(name)}")
        except PackageNotFoundError:
            show(f"{name} [dim]not installed[/]")
