"""Python sources that use torch.ao, rewritten for torchq."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

from torchq.dtypes import QDtype
from torchq.migrate.names import counterpart, find, is_for_quantization, module_of

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_WIDTH = 100
_DTYPES = {f"torch.{dtype.value}" for dtype in QDtype}


class Unmapped(NamedTuple):
    """A name for which torchq has nothing.

    Attributes:
        line: where it is, counted from 1.
        name: its dotted name.
    """

    line: int
    name: str


@dataclass(frozen=True)
class Rewritten:
    """What became of a source.

    Attributes:
        text: the new source; the old one where nothing was to be done.
        unmapped: the names that stayed as they were, in order.
    """

    text: str
    unmapped: list[Unmapped]


def rewrite(source: str) -> Rewritten:
    """Replaces the names of torch.ao and of torch's quantized tensors by torchq's.

    Imports and dotted names are followed through their aliases; what is in strings and comments stays. A name that
    torchq does not have stays, too, and is listed.

    Args:
        source: of a Python file.

    Raises:
        SyntaxError: if it is none.

    Example:
        >>> rewrite("from torch.ao.quantization import prepare").text
        'from torchq.quantization import prepare'
    """
    return _Rewriting(source).run()


class _Rewriting:
    def __init__(self, source: str) -> None:
        self.tree = ast.parse(source)
        self.data = source.encode()
        self.newline = "\r\n" if b"\r\n" in self.data else "\n"
        self.starts = [0]
        for line in self.data.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        # First byte, the byte behind the last, and what comes there.
        self.edits: list[tuple[int, int, str]] = []
        self.unmapped: set[Unmapped] = set()
        self.statements = [node for node in ast.walk(self.tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        self.bound = dict(pair for node in self.statements for pair in _bindings(node))
        # Modules that ``import`` statements of the new source name, and those that they should.
        self.imported: set[str] = set()
        self.used: set[str] = set()

    def run(self) -> Rewritten:
        for node in self.statements:
            if isinstance(node, ast.Import):
                self._import(node)
            elif node.module is not None and node.level == 0:
                self._import_from(node)
        for node, name in _chains(self.tree, frozenset()):
            if name.partition(".")[0] in self.bound:
                self._chain(node, name)
        self._note_questions()
        self._add_imports()
        data = self.data
        for first, last, text in sorted(self.edits, reverse=True):
            data = data[:first] + text.encode() + data[last:]
        return Rewritten(data.decode(), sorted(self.unmapped))

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def _target(self, line: int, path: str) -> str | None:
        """Returns what torchq has for a dotted name, or None; notes a name that it should have."""
        target = counterpart(path) if is_for_quantization(path) else None
        if target is None and is_for_quantization(path):
            self.unmapped.add(Unmapped(line, path))
        return target

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            target = self._target(node.lineno, alias.name)
            if target is not None:
                first = self._span(alias)[0]
                self.edits.append((first, first + len(alias.name), target))
            if alias.asname is None:
                self.imported.add(target or alias.name)

    def _import_from(self, node: ast.ImportFrom) -> None:
        groups: dict[str, list[ast.alias]] = {}
        for alias in node.names:
            if alias.name == "*":
                target = self._target(node.lineno, node.module)
            else:
                target = self._target(node.lineno, f"{node.module}.{alias.name}")
                target = target and target.rpartition(".")[0]
            groups.setdefault(target or node.module, []).append(alias)
        first, last = self._span(node)
        if list(groups) == [node.module]:
            return
        if len(groups) == 1:
            match = re.compile(rb"from\s+(\S+)\s").match(self.data, first)
            self.edits.append((*match.span(1), *groups))
            return
        line_end = self.starts[node.end_lineno]
        indent = self.data[self.starts[node.lineno - 1] : first].decode()
        alone = not indent.strip() and not self.data[last:line_end].split(b"#")[0].strip()
        comments = _comments(self.data[first:last].decode()) if alone else []
        lines = [*comments, *(_from_import(module, names, indent) for module, names in groups.items())]
        self.edits.append((first, last, (self.newline + indent if alone else "; ").join(lines)))

    def _chain(self, node: ast.expr, name: str) -> None:
        root, _, rest = name.partition(".")
        origin = self.bound[root]
        path = f"{origin}.{rest}" if rest else origin
        if not is_for_quantization(path):
            self.used.update({"torch"} if path.partition(".")[0] == root == "torch" else ())
            return
        mapped = _longest(path)
        if mapped is None:
            if not is_for_quantization(origin) or counterpart(origin) is not None:
                self.unmapped.add(Unmapped(node.lineno, path))
            self.used.update({"torch"} if root == "torch" else ())
            return
        kept, target = mapped
        new_origin = counterpart(origin) if is_for_quantization(origin) else None
        if new_origin is not None and root != "torch" and target == new_origin + kept.removeprefix(origin):
            return  # the import brings it
        for _ in range(path.count(".") - kept.count(".")):
            node = node.value
        self.edits.append((*self._span(node), target))
        self.used.add(module_of(target))

    def _note_questions(self) -> None:
        """Notes what a QTensor answers in another way than torch's quantized tensors: its dtype is that of floats."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and node.attr == "is_quantized":
                self.unmapped.add(Unmapped(node.lineno, "is_quantized, which is False of a QTensor"))
            if isinstance(node, ast.Compare) and any(map(self._is_dtype, ast.walk(node))):
                sides = [node.left, *node.comparators]
                if any(isinstance(side, ast.Attribute) and side.attr == "dtype" for side in sides):
                    self.unmapped.add(
                        Unmapped(node.lineno, "dtype, which is torch.float32 of a QTensor: ask for qdtype")
                    )

    def _is_dtype(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Attribute | ast.Name):
            return False
        name = ast.unparse(node)
        root, _, rest = name.partition(".")
        path = ".".join([self.bound.get(root, ""), *([rest] if rest else [])])
        return path in _DTYPES

    def _add_imports(self) -> None:
        roots = {name.partition(".")[0] for name in self.imported}
        missing = sorted(
            name for name in self.used if name not in self.imported and not (name in roots and "." not in name)
        )
        if not missing:
            return
        after = [
            node
            for node in self.tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            and any(path.partition(".")[0] == "torch" for _, path in _bindings(node))
        ]
        # Behind the first of them, since names of torch may be used between two.
        after = after[:1] or [node for node in self.tree.body if _begins(node)]
        line = after[-1].end_lineno if after else 0
        lines = "".join(f"import {name}{self.newline}" for name in missing)
        place = self.starts[line]
        if place == len(self.data) and not self.data.endswith(b"\n"):
            lines = self.newline + lines.removesuffix(self.newline)
        self.edits.append((place, place, lines))


def _begins(node: ast.stmt) -> bool:
    """Whether a statement has to come before any import: a docstring, or an import of the future."""
    docstring = (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    return docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _bindings(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Yields the names that an import binds, and the dotted names that they stand for."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            if node.level == 0 and alias.name != "*":
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif alias.asname is None:
            root = alias.name.partition(".")[0]
            yield root, root
        else:
            yield alias.asname, alias.name


def _longest(path: str) -> tuple[str, str] | None:
    """Returns the longest beginning of a dotted name that torchq has, and what that is called there."""
    kept = path
    while is_for_quantization(kept):
        target = counterpart(kept)
        if target is not None:
            # An attribute behind it must be there too. A module stands for itself only: what torchq's lacks is not
            # found by naming it.
            found, rest = find(target), path.removeprefix(kept).split(".")[1:]
            is_there = not rest or (not isinstance(found, ModuleType) and hasattr(found, rest[0]))
            return (kept, target) if is_there else None
        kept = kept.rpartition(".")[0]
    return None


def _chains(node: ast.AST, hidden: frozenset[str]) -> Iterator[tuple[ast.expr, str]]:
    """Yields dotted names, the longest of each, whose first part is not a local variable."""
    if isinstance(node, ast.Attribute | ast.Name):
        parts, inner = [], node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            if inner.id not in hidden:
                yield node, ".".join([inner.id, *reversed(parts)])
            return
    inside = hidden
    if isinstance(node, _FUNCTIONS):
        inside = hidden | _locals(node)
    elif isinstance(node, _COMPREHENSIONS):
        inside = hidden | _stored(generator.target for generator in node.generators)
    if isinstance(node, ast.ClassDef):
        # What a class assigns hides a name from its own statements, and not from its methods.
        assigned = hidden | _stored([child for child in node.body if not isinstance(child, _FUNCTIONS)])
        for child in ast.iter_child_nodes(node):
            is_statement = child in node.body and not isinstance(child, _FUNCTIONS)
            yield from _chains(child, assigned if is_statement else hidden)
        return
    body = getattr(node, "body", []) if isinstance(node, _FUNCTIONS) else []
    body = body if isinstance(body, list) else [body]
    for child in ast.iter_child_nodes(node):
        outside = isinstance(node, _FUNCTIONS) and child not in body
        yield from _chains(child, hidden if outside else inside)


def _locals(function: ast.AST) -> frozenset[str]:
    """Returns the local variables of a function that no import binds."""
    arguments = function.args
    names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    body = function.body if isinstance(function.body, list) else [function.body]
    declared = {
        name for node in ast.walk(function) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names
    }
    return frozenset({argument.arg for argument in names if argument is not None} | (_stored(body) - declared))


def _stored(nodes: Iterator[ast.AST] | list[ast.AST]) -> frozenset[str]:
    """Returns the names that are assigned to, outside of functions and classes inside."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        if isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        if not isinstance(node, ast.Lambda):
            found |= _stored(list(ast.iter_child_nodes(node)))
    return frozenset(found)


def _comments(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def _from_import(module: str, names: list[ast.alias], indent: str) -> str:
    written = [name.name if name.asname is None else f"{name.name} as {name.asname}" for name in names]
    line = f"from {module} import {', '.join(written)}"
    if len(indent) + len(line) <= _WIDTH:
        return line
    inner = "".join(f"{indent}    {name},\n" for name in written)
    return f"from {module} import (\n{inner}{indent})"
