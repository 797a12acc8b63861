"""Secrets out of texts that leave the machine or land in a log. Pure: stdlib.

What is known to hold secrets by its name, and what looks like one wherever it stands. It hides rather too much; what looks
like ordinary text cannot be recognised, so values of one's own belong under a name that says what they are.
"""

import re
from collections.abc import Mapping
from typing import Final

HIDDEN: Final = "***"
_SAYS: Final = (
    r"(?:passw(?:or)?d|passphrase|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key|credential|authorization"
    r"|cookie|sasl|headers|dsn)"
)
# One start for a run of letters and no way back in it: a long one would cost its length squared, in every line that is logged.
_WORD: Final = rf"(?:(?!{_SAYS})[\w.\-])*+{_SAYS}[\w.\-]*+"
_NAME: Final = rf"(?<![\w.\-]){_WORD}"
_SECRET_NAME: Final = re.compile(_NAME, re.IGNORECASE)
_QUOTED: Final = r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
"""A value in quotes ends with its quote; in double ones a quote behind a backslash is part of it."""
_PATTERNS: Final = (
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL), HIDDEN),
    # scheme://user:password@host, where the password holds what should be percent-encoded; the number of an http port is none
    (
        re.compile(
            r"(?<![a-zA-Z0-9+.\-])(?!https?://[^\s/:@\"']*+:\d{1,5}[/?#])"
            r"([a-zA-Z][a-zA-Z0-9+.\-]*+://)[^\s/:@\"']*+:(?:(?!://)[^\s\"]){1,512}@"
        ),
        rf"\1{HIDDEN}@",
    ),
    # scheme://user:password@host; a password may hold an @ of its own
    (re.compile(r"(?<![a-zA-Z0-9+.\-])([a-zA-Z][a-zA-Z0-9+.\-]*+://)[^\s/\"']*@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b(bearer|basic|digest)\s+[A-Za-z0-9._~+/=\-]{4,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*"), HIDDEN),  # a JSON web token
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),  # an AWS access key
    (re.compile(r"\b(?:gh[pousr]|xox[abpr]|sk)[_\-][A-Za-z0-9_\-]{16,}"), HIDDEN),
    (re.compile(r"\bhsm_[A-Za-z0-9_\-]{8,}"), HIDDEN),  # a token of the mesh
    (re.compile(r"\b((?:set-)?cookie\s*:\s*)[^\n\"']+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # the indented lines of "name: |" in YAML
    (
        re.compile(
            rf"^([ ]*+)((?:- )?{_NAME}[ ]*+:[ ]*+)[|>][\-+\d]*[ ]*\n(?:\1[ ]+[^\n]*\n?|[ ]*\n)++",
            re.IGNORECASE | re.MULTILINE,
        ),
        rf"\1\2{HIDDEN}\n",
    ),
    # "name: A_PASSWORD" and "value: ..." below it, as Kubernetes writes variables
    (
        re.compile(rf"""(\bname:\s*["']?{_NAME}["']?\s*\n\s*value:\s*)(?:{_QUOTED}|[^\n]+)""", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(rf"((?<![\w.\-])--{_WORD}[ ]++)(?!-)(?:{_QUOTED}|\S+)", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),  # an option and its value
    # name: value, name=value, "name": "value"
    (
        re.compile(rf"""(["']?{_NAME}["']?\s*+[:=]\s*+)(?:{_QUOTED}|[^\s,;&}}\]\n]+)""", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
)


def redact(text: str) -> str:
    """`text` with everything that looks like a secret replaced by `***`."""
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def redact_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables with their values; those whose name or value says secret are hidden."""
    return {
        name: HIDDEN if value and _SECRET_NAME.fullmatch(name) else redact(value)
        for name, value in environ.items()
    }
