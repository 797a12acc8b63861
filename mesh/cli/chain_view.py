"""The telemetry chain in the live view. Pure."""

from rich import box
from rich.table import Table

from mesh.cli.figures import milliseconds, pairs
from mesh.telemetry.summary import AlertFlow, ChainState


def chain_table(chain: ChainState) -> Table:
    """Each stage with its rate and time; what was late, odd and left out."""
    title = f"telemetry  L{chain.level}  {chain.assets:,} assets  {chain.rows.per_s:,.0f} windows/s"
    title += f"  reading to decision p50 {milliseconds(chain.alert.p50)} p95 {milliseconds(chain.alert.p95)}"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="bold")
    table.add_column("stage")
    for name in ("batches/s", "p50", "p95", "left out"):
        table.add_column(name, justify="right")
    for stage in chain.stages:
        left_out = chain.left_out.get(stage.stage, 0)
        table.add_row(
            stage.stage,
            f"{stage.batches.per_s:,.1f}",
            milliseconds(stage.seconds.p50),
            milliseconds(stage.seconds.p95),
            f"{left_out:,}" if left_out else "",
        )
    caption = [f"late {chain.late:,}  forgotten {chain.forgotten:,}  odd values {pairs(chain.odd) or 'none'}"]
    if chain.alerts:
        caption.append("alerts  " + ", ".join(_opened(one) for one in chain.alerts))
    table.caption, table.caption_justify = "\n".join(caption), "left"
    return table


def chain_words(chain: ChainState) -> str:
    """The same in a few words, for a log."""
    return (
        f"telemetry L{chain.level} windows {chain.rows.total:,} late {chain.late:,} "
        f"reading to decision p95 {milliseconds(chain.alert.p95)} alerts {sum(one.opened for one in chain.alerts):,}"
    )


def _opened(alert: AlertFlow) -> str:
    digested = f" and {alert.digested:,} in digests" if alert.digested else ""
    return f"{alert.rule} ({alert.severity}) {alert.opened:,}{digested}"
