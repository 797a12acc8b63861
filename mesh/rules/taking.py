"""What becomes of changed files: they are taken, refused for what they say, or proposed again until one or the other."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from mesh.errors import InvalidConfig
from mesh.rules.book import Book
from mesh.rules.files import FileWatch
from mesh.rules.opening import FILES, problems_of
from mesh.rules.reading import Reader
from mesh.rules.values import Accepted, Problem, Proposal, Refused

_NOT_THEIR_FAULT: Final = frozenset({"store", "conflict"})
"""Refusals that say nothing about the files: the same texts may be taken a moment later."""

logger = logging.getLogger("ray.serve")


async def take_files(book: Book, reader: Reader, watch: FileWatch) -> Accepted | Refused | None:
    """Propose what the files say, where that is news; None where it is not. The book is told what they were refused for."""
    try:
        texts = await asyncio.to_thread(reader.files)
    except InvalidConfig as error:
        return _refused(book, Refused("invalid", problems_of(error), book.kept.current.version))
    news = watch.news(texts)
    if news is None:
        watch.settled()
        return None
    result = await _proposed(book, *news)
    if isinstance(result, Refused) and result.reason in _NOT_THEIR_FAULT:
        watch.put_off(news[1])
        return _put_off(book, result)
    watch.settled()
    if isinstance(result, Refused):
        return _refused(book, result)
    book.note_refusal(None)
    return result


async def _proposed(book: Book, proposal: Proposal, changed: Mapping[str, str]) -> Accepted | Refused:
    """What nobody expected says nothing about the files either: what people have saved must not be lost by it."""
    try:
        return await book.propose(proposal, None, FILES, changed)
    except Exception as error:
        logger.debug("changed files could not be proposed", exc_info=True)
        reason = f"could not be taken: {type(error).__name__}: {error}"
        return Refused("store", (Problem("", 0, "", reason),), book.kept.current.version)


def _put_off(book: Book, result: Refused) -> Refused:
    """Said once, and not at each try."""
    if str(book.refused) != str(result):
        logger.warning(
            "changed files are proposed again until they are taken, version %d stands: %s",
            result.version,
            result,
        )
    book.note_refusal(result)
    return result


def _refused(book: Book, result: Refused) -> Refused:
    book.note_refusal(result)
    logger.warning("changed files are refused, version %d stands: %s", result.version, result)
    return result
