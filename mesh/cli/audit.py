"""`hyperstream audit`: the log of every change, read from the database itself and not from who may have changed it."""

import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mesh.cli import environment
from mesh.errors import InvalidInput, MeshError
from mesh.stores.times import parse_time, show_time

if TYPE_CHECKING:
    from mesh.records.chain import Verdict
    from mesh.records.entry import Entry, Head

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Who changed what: search, export, and check that nobody rewrote it (docs/audit.md).",
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document a line, as export writes it.")]
_MIN_KNOWN = 12
_LAST = 2**63 - 1  # the largest number that a database keeps


class LogBroken(MeshError):
    """The audit log is not whole."""


@app.command()
def verify(
    *,
    published: Annotated[bool, typer.Option("--published", help="Also against the heads in Kafka.")] = False,
    known: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SEQ:HASH", help="Also against a head that you know; HASH may be its beginning."
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file of export instead of the database.")] = None,
) -> None:
    """Compute every entry's hash again; exit status 1 with the first fault.

    Somebody who may write the database can rewrite all of the log and every hash in it. That shows only against what is known
    from elsewhere: `--published`, or `--known`.

    For example: `hyperstream audit verify --published --known 1204:9f2c41d0a7be`
    """
    heads = [_known(text) for text in known or ()]
    verdict = _verified(heads, published) if file is None else _of_file(file, heads, published)
    if not verdict.whole:
        raise LogBroken(f"{verdict.fault} ({verdict.entries:,} entries before it are whole)")
    head = verdict.head
    against = f", and {len(heads):,} known heads are in it" if heads else ""
    sys.stdout.write(f"whole: {verdict.entries:,} entries, the last is {head.seq}:{head.hash}{against}\n")


@app.command()
def search(
    *,
    actor: Annotated[str | None, typer.Option(help="Only by this one.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this, such as alerts.resolve or 'alerts.*'.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Only of this, such as alert:5f1c or 'token:*'.")] = None,
    since: Annotated[str | None, typer.Option(help="At or after this time, RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    before: Annotated[
        int | None, typer.Option(min=1, max=_LAST, help="Only entries before this number.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="So many of the newest.")] = 50,
    json: Json = False,
) -> None:
    """Show entries that fit, newest first: number, time, who, what, of what, and the detail."""
    from mesh.cli.records import local_records  # noqa: PLC0415 - SQLAlchemy, which other commands do without
    from mesh.records.ports import AuditQuery  # noqa: PLC0415

    low = None if since is None else parse_time("--since", since)
    high = None if until is None else parse_time("--until", until)
    with local_records() as records:
        _write(records.audit.page(AuditQuery(actor, action, target, low, high, before, limit)), json=json)


@app.command()
def export(
    *,
    output: Annotated[Path | None, typer.Option(help="A new file [default: standard output]")] = None,
    after: Annotated[int, typer.Option(min=0, max=_LAST, help="Only entries after this number.")] = 0,
) -> None:
    """Write the whole log as lines that can be checked without the database, oldest first."""
    from mesh.cli.records import local_records  # noqa: PLC0415
    from mesh.records.export import line_of  # noqa: PLC0415

    with local_records() as records:
        lines = (line_of(entry) + "\n" for entry in records.audit.entries(after))
        if output is None:
            sys.stdout.writelines(lines)
            return
        try:
            with output.open("x", encoding="utf-8", newline="\n") as file:
                file.writelines(lines)
        except OSError as error:
            raise InvalidInput("--output", f"{output}: {error.strerror}") from None


def _verified(heads: "list[Head]", published: bool) -> "Verdict":
    from mesh.cli.records import local_records  # noqa: PLC0415

    with local_records() as records:
        if published:
            heads += _published(records.audit.chain())
        return records.audit.verify(heads)


def _of_file(file: Path, heads: "list[Head]", published: bool) -> "Verdict":
    from mesh.records.chain import Verdict, verify  # noqa: PLC0415
    from mesh.records.entry import Head  # noqa: PLC0415
    from mesh.records.export import entries_of  # noqa: PLC0415

    try:
        with file.open(encoding="utf-8") as lines:
            entries = entries_of(lines, str(file))
            first = next(entries, None)
            if first is None:
                return Verdict(0, Head())
            if published:
                heads += _published(first.hash if first.seq == 1 else None)
            heads[:] = [head for head in heads if head.seq >= first.seq]
            after = Head() if first.seq == 1 else Head(first.seq - 1, first.prev)
            return verify(itertools.chain([first], entries), after, heads)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("--file", f"{file}: {getattr(error, 'strerror', None) or 'is no UTF-8'}") from None


def _published(chain: str | None) -> "list[Head]":
    """The heads in Kafka. One of another chain is of another log, or this log was rewritten from its first entry on."""
    from mesh.records.entry import Head  # noqa: PLC0415
    from mesh.records.kafka_heads import published_heads  # noqa: PLC0415
    from mesh.spec import load_topics  # noqa: PLC0415

    settings = environment.settings()
    topic = load_topics(Path(settings.config_dir))["audit"]
    found = published_heads(settings.kafka_bootstrap_servers, topic)
    others = {head.chain for head in found if chain is not None and head.chain != chain}
    if others:
        raise LogBroken(
            f"topic {topic} holds heads of {len(others)} log(s) that begin otherwise: this log was rewritten from its first "
            "entry on, or another one is published to the same topic"
        )
    return [Head(head.seq, head.hash) for head in found]


def _known(text: str) -> "Head":
    from mesh.records.entry import Head  # noqa: PLC0415

    seq, _, digest = text.partition(":")
    hexadecimal = bool(digest) and set(digest) <= set("0123456789abcdef")
    if not (seq.isascii() and seq.isdigit()) or not hexadecimal or not _MIN_KNOWN <= len(digest) <= 64:
        raise InvalidInput(
            "--known", f"'{text}' is no SEQ:HASH; write 1204:9f2c41d0a7be, with 12 to 64 digits"
        )
    return Head(int(seq), digest)


def _write(entries: "Iterable[Entry]", *, json: bool) -> None:
    from mesh.records.export import line_of  # noqa: PLC0415

    for entry in entries:
        if json:
            sys.stdout.write(line_of(entry) + "\n")
        else:
            who = f"{entry.actor} ({entry.role}, {entry.via})"
            detail = "" if entry.detail == "{}" else f"  {entry.detail}"
            sys.stdout.write(
                f"{entry.seq}  {show_time(entry.at)}  {who}  {entry.action}  {entry.target}{detail}\n"
            )
