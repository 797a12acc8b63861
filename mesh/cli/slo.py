"""`hyperstream slo`."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml

from mesh.cli import environment
from mesh.slo.rules import slo_rules
from mesh.spec import load_slos

RULES: Final = Path("observability/prometheus/slo.rules.yml")
_HEAD: Final = "# Made from config/slos.yaml by `hyperstream slo render`; do not edit.\n"

app = typer.Typer(no_args_is_help=True, help="Service level objectives as Prometheus rules.")


@app.command()
def render(
    output: Annotated[Path, typer.Option(help="The rule file to write; - for standard output.")] = RULES,
    config: Annotated[Path | None, typer.Option(help="The folder with slos.yaml [default: config]")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit status 1 where the file differs.")
    ] = False,
) -> None:
    """Make Prometheus rules of slos.yaml: error ratios over eight windows, and alerts on burn rates 14.4, 6, 3 and 1.

    For example:

    - `hyperstream slo render`
    - `hyperstream slo render --config deploy/config --output -`
    """
    text = rendered(config or Path(environment.settings().config_dir))
    if str(output) == "-":
        sys.stdout.write(text)
    elif check:
        if not output.exists() or output.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"{output} is not what slos.yaml says: run hyperstream slo render\n")
            raise typer.Exit(1)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


@app.command(name="list")
def list_slos(
    config: Annotated[Path | None, typer.Option(help="The folder with slos.yaml [default: config]")] = None,
) -> None:
    """The objectives, one a line."""
    for slo in load_slos(config or Path(environment.settings().config_dir)).objectives:
        sys.stdout.write(f"{slo.name}  {slo.objective:g} %  {slo.description}\n")


def rendered(config: Path) -> str:
    """The text of the rule file for the `slos.yaml` in `config`. Raises `InvalidConfig`."""
    return _HEAD + yaml.safe_dump(slo_rules(load_slos(config)), sort_keys=False, width=120)
