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
from collections.abc import Iterator
from typing import Any, Final

_JSON_BYTES: Final = 64 << 20
_FILES: Final = re.compile(rb"\b(?:torch|aten)\.(from_file|save|_save|load)\b")
_NATIVE: Final = re.compile(rb"__torch__\.torch\.classes\.(?!quantized\.|xnnpack\.)([\w.]+)")
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


def script_dangers(file: zipfile.ZipFile) -> Iterator[str]:
    """What the code of a TorchScript file does with files and native classes; nothing for a model that computes."""
    for name in file.namelist():
        if "/code/" in name and name.endswith(".py"):
            code = file.read(name)
            for found in _FILES.finditer(code):
                yield f"it calls {found[0].decode()}, which reads or writes files"
            for found in _NATIVE.finditer(code):
                yield f"it holds an object of the native class {found[1].decode()}"


def exported_dangers(file: zipfile.ZipFile) -> Iterator[str]:
    """What reading a torch.export file would run; nothing for a model that computes."""
    for entry in file.infolist():
        base = entry.filename.rpartition("/")[2]
        if base.startswith(_PICKLED):
            yield f"{entry.filename} is a pickle of an object, and reading it can run any code"
        if not base.endswith(".json"):
            continue
        if entry.file_size > _JSON_BYTES:
            yield f"{entry.filename} is larger than {_JSON_BYTES} bytes"
            continue
        try:
            yield from _document_dangers(json.loads(file.read(entry)))
        except (ValueError, RecursionError):
            yield f"{entry.filename} is no JSON"


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
