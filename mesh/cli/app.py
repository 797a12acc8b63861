"""`hyperstream`: the one entry point, and what every command shares: errors without a stack trace."""

import sys
from typing import Annotated

import typer

from mesh.cli import (
    alerts,
    apply,
    audit,
    backfill,
    bench,
    check,
    cost,
    doctor,
    explain,
    features,
    feed,
    k8s,
    learn,
    materialize,
    models,
    pipeline,
    plugins,
    replay,
    review,
    rollout,
    send,
    simulate,
    slo,
    store,
    tail,
    token,
    train,
    train_samples,
    up,
    version,
)
from mesh.errors import MeshError

app = typer.Typer(
    help="A model mesh for real-time streams. `hyperstream up` starts everything.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)

app.command()(up.up)
app.command()(check.check)
app.command()(apply.apply)
app.command()(explain.explain)
app.command()(feed.feed)
app.command()(backfill.backfill)
app.command()(cost.cost)
app.command()(doctor.doctor)
app.command(name="support-bundle")(doctor.support_bundle)
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(k8s.app, name="k8s")
app.command()(replay.replay)
app.command()(simulate.simulate)
app.command()(send.send)
app.command()(tail.tail)
app.add_typer(alerts.app, name="alerts")
app.add_typer(review.app, name="review")
app.add_typer(audit.app, name="audit")
app.add_typer(token.app, name="token")
app.add_typer(rollout.app, name="rollout")
app.command()(bench.bench)
app.add_typer(train.app, name="train")
app.command()(train_samples.train_samples)
app.add_typer(slo.app, name="slo")
app.add_typer(learn.app, name="learn")
app.add_typer(models.app, name="models")
app.command()(version.version)


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=version.show_own, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of `hyperstream` itself."""


feature_commands = typer.Typer(no_args_is_help=True, help="Features of an entity: newest, history, upkeep.")
feature_commands.command()(features.get)
feature_commands.command()(features.history)
feature_commands.command()(materialize.materialize)
feature_commands.command()(features.parity)
app.add_typer(feature_commands, name="features")

store_commands = typer.Typer(no_args_is_help=True, help="Age the history of features.")
store_commands.command()(store.compact)
store_commands.command()(store.expire)
app.add_typer(store_commands, name="store")

for name, command in plugins.loaded(plugins.declared()):
    app.command(name)(command)


def main() -> None:
    """Run the command line; what the mesh says no with is one message and exit status 1."""
    try:
        app()
    except MeshError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
