"""What a Python program that runs the build does in the way of POSIX."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from winvllm_build.audit.config.cmake_commands import POSIX
from winvllm_build.audit.python.site import Finding, Site

PATH_LIKE: Final = re.compile(
    r"(?:^|[._])(?:executable|\w*dir|\w*path|prefix|\w*home|\w*root)$", re.IGNORECASE
)
OF_URLS: Final = re.compile(r"url|uri|href|link|ref|tag|repo", re.IGNORECASE)
OWN_PROGRAMS: Final = re.compile(r"(?:^|/)(?:nvcc|vllm-rs)$")
SHARED_OBJECT: Final = re.compile(r"[\w*\]*+-]\\?\.so\$?$")
OF_OTHERS: Final = re.compile(r"rocm|hip|tcmalloc|gomp|darwin", re.IGNORECASE)
RUNNERS: Final = re.compile(r"subprocess\.(?:run|call|check_call|check_output|Popen)$")
FORWARD: Final = r"replace\('\\\\', '/'\)|as_posix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What was found.

    Attributes:
        finding: as for any Python file.
        line: where, if not at the expression itself.
        repair: how a statement for Windows alone, later in the function and on the same variable, meets it.
        other: it is for another platform or device.
    """

    finding: Finding
    line: int = 0
    repair: str = ""
    other: bool = False


Rule = Callable[[Site], Iterator[Trace]]


def colons(site: Site) -> Iterator[Trace]:
    """`":".join(sys.path)`: a drive's letter is followed by a colon."""
    match site.node:
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=":"), attr="join"), args=[joined]):
            if re.search("path", ast.unparse(joined), re.IGNORECASE):
                yield _trace("D38", "joined-with-colons", ast.unparse(joined), repair="pathsep")
        case ast.Call(func=ast.Attribute(value=value, attr="split"), args=[ast.Constant(value=":")]):
            if re.search("path", ast.unparse(value), re.IGNORECASE):
                yield _trace("D38", "split-at-colons", ast.unparse(value), repair="pathsep")
        case _:
            return


def slashes(site: Site) -> Iterator[Trace]:
    """`file.split("vllm/a/")`: glob returns backslashes."""
    match site.node:
        case ast.Call(func=ast.Attribute(value=value, attr="split"), args=[ast.Constant(value=str(at))]):
            whole = len(at) > 1 and "/" in at and "://" not in at
            one = at == "/" and PATH_LIKE.search(ast.unparse(value))
            if (whole or one) and not OF_URLS.search(ast.unparse(value)):
                yield _trace(
                    "E45", "split-at-slash", ast.unparse(site.node), repair=r"relpath|relative_to|parts"
                )
        case _:
            return


def programs(site: Site) -> Iterator[Trace]:
    """`CUDA_HOME + "/bin/nvcc"`: no `.exe` is added to a name with a path."""
    node = site.node
    match node:
        case ast.Constant(value=str(text)) if "/" in text and OWN_PROGRAMS.search(text):
            yield _trace("D61", "no-exe", text, repair=r"\.exe")
        case ast.BinOp(op=ast.Div(), right=ast.Constant(value=str(text))) if OWN_PROGRAMS.search(text):
            yield _trace("D61", "no-exe", text, repair=r"\.exe")
        case ast.Call(args=[_, *_, ast.Constant(value=str(text))]) if OWN_PROGRAMS.fullmatch(text):
            if site.dotted(node.func).endswith("path.join"):
                yield _trace("D61", "no-exe", text, repair=r"\.exe")
        case _:
            return


def defines(site: Site) -> Iterator[Trace]:
    """`-DX={path}`: where CMake writes the value into a file, a backslash starts an escape."""
    node = site.node
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), ast.FormattedValue(value=value), *_]):
            if start.startswith("-D") and _is_path(value):
                yield _trace("D42", "backslash-in-define", start.strip("=-D"), repair=FORWARD)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(start)), attr="format"), args=[value]):
            if start.startswith("-D") and _is_path(value):
                yield _trace("D42", "backslash-in-define", start.strip("={}-D"), repair=FORWARD)
        case _:
            return


def commands(site: Site) -> Iterator[Trace]:
    match site.node:
        case ast.Call(args=[ast.List(elts=[ast.Constant(value=str(program)), *_]), *_]) if program in POSIX:
            if RUNNERS.search(site.dotted(site.node.func)):
                finding = Finding(
                    hazard="D62", rule="posix-program", detail=program, raises=("FileNotFoundError",)
                )
                yield Trace(finding=finding)
        case ast.Call(func=ast.Attribute(attr="symlink_to" | "symlink")):
            yield Trace(finding=Finding(hazard="D68", rule="symbolic-link", raises=("OSError",)))
        case _:
            return


def generator(site: Site) -> Iterator[Trace]:
    """`if ninja: build_tool = ["-G", "Ninja"] else: build_tool = []`: the rest is Visual Studio's."""
    node = site.node
    if not isinstance(node, ast.If) or "ninja" not in ast.unparse(node.test).lower():
        return
    if node.orelse and "-G" in _constants(node.body):
        first = node.orelse[0]
        if "-G" not in _constants(node.orelse):
            met = isinstance(first, ast.If) and "win32" in ast.unparse(first.test)
            yield Trace(finding=Finding(hazard="D36", rule="generator-left-open", met=met), line=first.lineno)


def arguments(site: Site) -> Iterator[Trace]:
    node = site.node
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="split"), args=[]):
            if re.search(r"cmake_args", ast.unparse(value), re.IGNORECASE):
                yield _trace("D30", "arguments-cut-at-blanks", ast.unparse(value))
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]) if re.fullmatch(r"-j=?", start):
            yield _trace("D66", "jobs-option", repair=r"remove\(|-j")
        case _:
            return


def shared_objects(site: Site) -> Iterator[Trace]:
    """Names that only Linux gives to a module; one trace for a statement, at the first of them."""
    node = site.node
    if isinstance(node, ast.stmt):
        found = {one.lineno: one.value for one in _strings(node) if _names_module(one.value)}
        if found:
            line = min(found)
            detail = f"{found[line]!s}, {len(found)} in all"
            finding = Finding(hazard="D63", rule="shared-object", detail=detail)
            other = all(OF_OTHERS.search(str(text)) for text in found.values())
            yield Trace(finding=finding, line=line, other=other)


def gates(site: Site) -> Iterator[Trace]:
    """`VLLM_TARGET_DEVICE = "empty"`, or an end, wherever the system is not Linux."""
    node = site.node
    around = [ast.unparse(one.test) for one in site.place.inside if isinstance(one, ast.If)]
    if not site.place.windows or "win32" in " ".join(around[-1:]):
        return
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value="empty")):
            if name.endswith("TARGET_DEVICE"):
                yield _trace("D60", "device-gate", name)
        case ast.Raise():
            yield _trace("D60", "platform-gate")
        case _:
            return


STATEMENTS: Final = (ast.Expr, ast.Return, ast.For, ast.AugAssign, ast.With)
RULES: Final[Mapping[type[ast.AST], tuple[Rule, ...]]] = {
    **dict.fromkeys(STATEMENTS, (shared_objects,)),
    ast.Call: (colons, slashes, programs, defines, commands, arguments),
    ast.Constant: (programs,), ast.BinOp: (programs,), ast.JoinedStr: (defines, arguments),
    ast.If: (generator, shared_objects), ast.Assign: (gates, shared_objects),
    ast.Raise: (gates,),
}  # fmt: skip


def _trace(hazard: str, rule: str, detail: str = "", *, line: int = 0, repair: str = "") -> Trace:
    return Trace(finding=Finding(hazard=hazard, rule=rule, detail=detail), line=line, repair=repair)


def _is_path(node: ast.expr) -> bool:
    return not isinstance(node, ast.IfExp) and PATH_LIKE.search(ast.unparse(node)) is not None


def _constants(body: list[ast.stmt]) -> list[object]:
    return [node.value for one in body for node in ast.walk(one) if isinstance(node, ast.Constant)]


def _names_module(value: object) -> bool:
    return isinstance(value, str) and " " not in value and SHARED_OBJECT.search(value) is not None


def _strings(statement: ast.stmt) -> Iterator[ast.Constant]:
    """The texts of a statement's own expressions, not those of the statements in it."""
    stack: list[ast.AST] = [
        child for child in ast.iter_child_nodes(statement) if not isinstance(child, ast.stmt)
    ]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Constant):
            yield node
        stack += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]
