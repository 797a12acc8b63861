"""What a PyTorch file would do besides computing, found without running any of it.

Both kinds of file are programs. TorchScript may map and write files; torch.export's reader calls `pickle`, looks functions up by
name in the module `torch` (from where everything can be reached) and hands texts to sympy, which evaluates them as Python. What
a model needs of all that is little, so everything else is refused unless the model says `trusted: true`. See docs/security.md and
https://github.com/pytorch/pytorch/security/policy#untrusted-models.
"""

import ast
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

_MOST_BYTES: Final = 64 << 20
_GAP: Final = rb"(?:\s|\\|#[^\n]*\n)*"
"""What TorchScript allows between two parts of a dotted name."""
_FILE_NAMES: Final = rb"(from_file|save|_save|load|load_tensor)\b"
# Whatever stands before the dot: a name may stand for the module torch, or brackets around it.
_FILES: Final = re.compile(rb"\." + _GAP + _FILE_NAMES)
_LOOKED_UP: Final = re.compile(rb'getattr\((?:(?!getattr)[\w.()])+, "([^"\\\n]*)"\)')
"""How a saved model reads an attribute whose name is no identifier, as those of torch.nn.Sequential."""
_NATIVE: Final = re.compile(rb"__torch__[\s.]+torch[\s.]+classes[\s.]+(?!quantized\b|xnnpack\b)([\w.]+)")
_OPERATOR: Final = re.compile(
    r"torch\.ops\.(aten|prims|prim|quantized|quantized_decomposed|higher_order)\.\w+(\.\w+)?"
    r"|torch\.sym_\w+|math\.\w+|_operator\.(?!attrgetter|itemgetter|methodcaller|call)\w+"
)
_FILE_OPERATOR: Final = re.compile(r"torch\.ops\.aten\.(from_file|save|_save|load)\b")
_SYMBOL: Final = re.compile(r"[A-Za-z_]\w{0,63}")
_FUNCTION: Final = re.compile(r"[A-Z][A-Za-z]{0,63}")
_PICKLED: Final = ("custom_obj", "opaque_obj")
_ARITHMETIC: Final = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.Load,
    ast.keyword,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an archive. `name` is in lower case, because torch finds entries whatever their case."""

    name: str
    read: Callable[[], bytes]
    size: int = 0


def zipped(file: zipfile.ZipFile) -> Iterator[Member]:
    """Entries as Python finds them; of several with one name, each."""
    for entry in file.infolist():
        yield Member(entry.filename.lower(), partial(file.read, entry), entry.file_size)


def script_dangers(members: Iterable[Member]) -> Iterator[str]:
    """What the code of a TorchScript file does with files and native classes; nothing for a model that computes."""
    for member in members:
        code = "/code/" in f"/{member.name}" and member.name.endswith(".py")
        if not code and not member.name.endswith(".pkl"):
            continue
        if member.size > _MOST_BYTES:
            yield f"{member.name} is larger than {_MOST_BYTES} bytes"
            continue
        content = member.read()
        for found in _NATIVE.finditer(content):
            yield f"it holds an object of the native class {found[1].decode()}"
        if code:
            yield from _code_dangers(content)


def _code_dangers(code: bytes) -> Iterator[str]:
    for found in _FILES.finditer(code):
        yield f"it names {found[1].decode()}, which reads or writes files"
    looked_up = 1
    while looked_up:  # one may stand inside another
        for found in _LOOKED_UP.finditer(code):
            if re.fullmatch(_FILE_NAMES, found[1]):
                yield f"it names {found[1].decode()}, which reads or writes files"
        code, looked_up = _LOOKED_UP.subn(b"_", code)
    if re.search(rb"\bgetattr\b", code):
        yield "it looks something up by getattr as no saved model does"


def exported_dangers(members: Iterable[Member]) -> Iterator[str]:
    """What reading a torch.export file would run; nothing for a model that computes."""
    for member in members:
        base = member.name.rpartition("/")[2]
        if "/data/aotinductor/" in f"/{member.name}":
            yield f"{member.name} is of a compiled model, and reading it runs native code"
        if base.startswith(_PICKLED):
            yield f"{member.name} is a pickle of an object, and reading it can run any code"
        if not base.endswith(".json"):
            continue
        if member.size > _MOST_BYTES:
            yield f"{member.name} is larger than {_MOST_BYTES} bytes"
            continue
        try:
            yield from _document_dangers(json.loads(member.read()))
        except (ValueError, RecursionError):
            yield f"{member.name} is no JSON"


def _document_dangers(document: Any) -> Iterator[str]:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            yield from _field_dangers(value)
            waiting += value.values()


def _field_dangers(fields: dict[str, Any]) -> Iterator[str]:
    if fields.get("use_pickle"):
        yield "a tensor in it is a pickle"
    target = fields.get("target")
    if "inputs" in fields and isinstance(target, str) and not _is_operator(target):
        yield f"it calls {target[:80]}, which is no operator of a model"
    text = fields.get("expr_str")
    if text is not None and not _is_arithmetic(text):
        yield f"the size {str(text)[:80]!r} is no arithmetic over sizes"


def _is_operator(target: str) -> bool:
    return _OPERATOR.fullmatch(target) is not None and _FILE_OPERATOR.match(target) is None


def _is_arithmetic(text: object) -> bool:
    """Numbers, symbols, operators and calls of sympy's classes; texts only as the name of a `Symbol`.

    sympy evaluates texts that its functions are given, so those count as code as well.
    """
    if not isinstance(text, str) or len(text) > 10_000:
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(map(_is_harmless, ast.walk(tree))) and _texts(tree) == _symbol_names(tree)


def _is_harmless(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and _FUNCTION.fullmatch(node.func.id) is not None
    if isinstance(node, ast.Name):
        return _SYMBOL.fullmatch(node.id) is not None and "__" not in node.id
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float | bool) or (
            isinstance(node.value, str) and _SYMBOL.fullmatch(node.value) is not None
        )
    return isinstance(node, _ARITHMETIC)


def _texts(tree: ast.AST) -> int:
    return sum(isinstance(node, ast.Constant) and isinstance(node.value, str) for node in ast.walk(tree))


def _symbol_names(tree: ast.AST) -> int:
    return sum(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Symbol"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        for node in ast.walk(tree)
    )
