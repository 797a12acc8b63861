"""The words of a `when`: a hand-written scanner for the subset of CEL that the rules use."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from mesh.routing.errors import RuleSyntaxError

TokenKind = Literal["name", "number", "text", "symbol", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """One word and where it starts. `value` is the number or the text of a literal, else `word` itself."""

    kind: TokenKind
    word: str
    value: float | int | str
    position: int


_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NUMBER: Final = re.compile(r"(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?")
_SYMBOL: Final = re.compile(r"==|!=|<=|>=|&&|\|\||[<>!()\[\],-]")
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_INSTEAD: Final = {
    "=": "use '==' to compare",
    "&": "use '&&' or 'and'",
    "|": "use '||' or 'or'",
    "~": "use '!' or 'not'",
    "+": "there is no arithmetic in rules",
    "*": "there is no arithmetic in rules",
    "/": "there is no arithmetic in rules",
    "%": "there is no arithmetic in rules",
    "{": "lists are written with [ ]",
    ".": "names are dotted like tenant.region",
}


def tokens(text: str) -> list[Token]:
    """The words of `text` with an `end` after the last; `RuleSyntaxError` where a character fits nothing."""
    found: list[Token] = []
    position = _skip(text, 0)
    while position < len(text):
        token, position = _next(text, position)
        found.append(token)
        position = _skip(text, position)
    found.append(Token("end", "", "", len(text)))
    return found


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _next(text: str, position: int) -> tuple[Token, int]:
    if text[position] in "\"'":
        return _text(text, position)
    if match := _NAME.match(text, position):
        return Token("name", match[0], match[0], position), match.end()
    if match := _NUMBER.match(text, position):
        if match.end() < len(text) and (text[match.end()].isalnum() or text[match.end()] in "_."):
            raise RuleSyntaxError(
                position, "this is neither a number nor a name; texts are written in quotes"
            )
        word = match[0]
        return Token("number", word, int(word) if word.isdigit() else float(word), position), match.end()
    if match := _SYMBOL.match(text, position):
        return Token("symbol", match[0], match[0], position), match.end()
    reason = _INSTEAD.get(text[position], "names hold letters, digits, '_' and dots")
    raise RuleSyntaxError(position, f"unexpected {text[position]!r}: {reason}")


def _text(text: str, start: int) -> tuple[Token, int]:
    quote = text[start]
    position = start + 1
    while position < len(text) and text[position] != quote:
        position += 2 if text[position] == "\\" else 1
    if position >= len(text):
        raise RuleSyntaxError(start, f"this text has no closing {quote}")
    value = _ESCAPE.sub(
        lambda match: _unescape(match[1], start + 1 + match.start()), text[start + 1 : position]
    )
    return Token("text", text[start : position + 1], value, start), position + 1


def _unescape(escape: str, position: int) -> str:
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape not in _ESCAPES:
        raise RuleSyntaxError(
            position, f"'\\{escape}' is no escape; there are \\n \\t \\r \\\\ \\\" \\' and \\u0041"
        )
    return _ESCAPES[escape]
