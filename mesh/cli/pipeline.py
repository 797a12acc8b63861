"""`hyperstream pipeline`."""

from pathlib import Path
from typing import Annotated

import typer

from mesh.cli import environment
from mesh.pipeline.draw import as_mermaid, as_text
from mesh.spec import load_mesh, load_pipeline

app = typer.Typer(help="The chain from raw telemetry to alerts.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `show` a command of its own while it is the only one."""


@app.command()
def show(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            help="The folder with pipeline.yaml and the like [default: config]", exists=True, file_okay=False
        ),
    ] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="A Mermaid flowchart in place of text.")] = False,
) -> None:
    """Check the stages and draw them: what each takes and gives, and by when.

    Circles, unknown stages and endpoints, and deadlines that cannot be met are mistakes: exit status 1.

    For example:

    - `hyperstream pipeline show`
    - `hyperstream pipeline show --mermaid > docs/pipeline.mmd`
    """
    settings = environment.settings()
    folder = config or Path(settings.config_dir)
    mesh = load_mesh(folder, settings)
    plan, topics = load_pipeline(folder, mesh), dict(mesh.topics)
    typer.echo(as_mermaid(plan, topics) if mermaid else as_text(plan, topics), nl=False)
