"""Rules that need a parser: nested lambdas of dispatch macros, and arrays of variable length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

import tree_sitter
import tree_sitter_cuda
from tree_sitter import Node

from winvllm_build.audit.cxx.branches import PARTS, Sight
from winvllm_build.audit.cxx.place import Place
from winvllm_build.audit.cxx.source import Source
from winvllm_build.audit.hit import Blind

QUERY: Final = """
(ERROR) @error
(MISSING) @error
(lambda_expression) @lambda
(array_declarator size: (identifier)) @array
"""
LEFT_OUT: Final = frozenset([*PARTS, "pragma", "undef"])
INTEGER: Final = r"(?:u?int\w*|size_t|long|unsigned)"
PARAMETER: Final = rf"[(,]\s*(?:const\s+)?{INTEGER}(?:\s+const)?\s+{{}}\s*[,)]"
VARIABLE: Final = rf"[;{{{{}}}}]\s*{INTEGER}\s+{{}}\s*[=;]"
"""A parameter, and a variable that is not const, with the name put in."""


@cache
def _language() -> tree_sitter.Language:
    return tree_sitter.Language(tree_sitter_cuda.language())


@cache
def _query() -> tree_sitter.Query:
    made: tree_sitter.Query = tree_sitter.Query(_language(), QUERY)
    return made


def structure(source: Source) -> tuple[list[Place], Blind | None]:
    """What the parser finds, and the lines it could not follow."""
    text = _for_windows(source).encode()
    tree = tree_sitter.Parser(_language()).parse(text)
    found = tree_sitter.QueryCursor(_query()).captures(tree.root_node)
    seen = _sights(source)
    places = [*_lambdas(source, found.get("lambda", []), seen), *_arrays(found.get("array", []), seen)]
    return places, _blind(source, found.get("error", []))


def _for_windows(source: Source) -> str:
    """The text without the lines that MSVC never gets, and without conditionals and pragmas.

    Braces that are opened in one branch and closed in another confuse the parser less than directives do: on
    v0.33.0 a third of the lines that it cannot follow is left.
    """
    lines = list(source.physical)
    for line, sight in zip(source.lines, source.sights, strict=True):
        if not sight.compiled or line.directive in LEFT_OUT:
            last = line.tokens[-1]
            for number in range(line.line, last.line + last.text.count("\n") + 1):
                lines[number - 1] = ""
    return "\n".join(lines)


def _sights(source: Source) -> dict[int, Sight]:
    """Who gets each line that holds a token."""
    return {
        token.line: sight
        for line, sight in zip(source.lines, source.sights, strict=True)
        for token in line.tokens
    }


def _blind(source: Source, errors: list[Node]) -> Blind | None:
    lines: set[int] = set()
    for node in errors:
        lines.update(range(node.start_point.row, node.end_point.row + 1))
    if not lines:
        return None
    why = "the parser cannot follow it; rules that need structure may have missed something there"
    return Blind(path=source.path, why=why, lines=len(lines))


def _lambdas(source: Source, nodes: list[Node], seen: dict[int, Sight]) -> Iterator[Place]:
    """A lambda given to a switching macro inside another: constants of the outer are lost in it."""
    for node in nodes:
        names = _switches(source, node)
        if len(names) > 1:
            line = node.start_point.row + 1
            yield Place("D9", "nested-dispatch", line, seen.get(line, Sight.ALL), " in ".join(names))


def _switches(source: Source, node: Node) -> list[str]:
    """The switching macros around a lambda, the first of which it is given to; none where it is to none."""
    found: list[str] = []
    here: Node | None = node
    direct = True
    while here is not None:
        if here.type == "lambda_expression":
            name = _given_to(source, here)
            if direct and not name:
                return []
            direct = False
            if name:
                found.append(name)
        here = here.parent
    return found


def _given_to(source: Source, node: Node) -> str:
    """The macro that a lambda is an argument of, if it puts it into a lambda of its own with a constant."""
    arguments = node.parent
    call = arguments.parent if arguments is not None and arguments.type == "argument_list" else None
    function = call.child_by_field_name("function") if call is not None else None
    name = (function.text or b"").decode() if function is not None else ""
    body = " ".join(source.macro(name)) if name.isupper() else ""
    return name if "[ & ]" in body and re.search(r"(?<!static )\bconstexpr\b", body) else ""


def _arrays(nodes: list[Node], seen: dict[int, Sight]) -> Iterator[Place]:
    """An array whose size is a parameter of the function, or a variable that is no constant."""
    for node in nodes:
        size = node.child_by_field_name("size")
        function = _function(node)
        if size is None or function is None or not size.text or not function.text:
            continue
        name = size.text.decode()
        declared = function.text[: node.start_byte - function.start_byte].decode("utf-8", "replace")
        if name[0].islower() and _is_variable(name, declared):
            line = node.start_point.row + 1
            yield Place("D28", "variable-length-array", line, seen.get(line, Sight.ALL), f"[{name}]")


def _function(node: Node) -> Node | None:
    here: Node | None = node.parent
    while here is not None and here.type not in ("function_definition", "lambda_expression"):
        if here.type in ("parameter_declaration", "template_declaration", "class_specifier"):
            return None
        here = here.parent
    return here


def _is_variable(name: str, declared: str) -> bool:
    word = re.escape(name)
    return any(re.search(form.format(word), declared) for form in (PARAMETER, VARIABLE))
