"""Checks of PowerShell scripts: the grammar of 5.1, and the encoding it reads them in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import tree_sitter

from winvllm_build import data
from winvllm_build.audit.scripts.batch import foreign_lines, marked
from winvllm_build.audit.scripts.rules import Finding, Rule
from winvllm_build.errors import ToolchainError


def check(path: str, content: bytes) -> tuple[Finding, ...]:
    """What is wrong with a PowerShell script, by line.

    Raises:
        ToolchainError: the grammar is not installed.
    """
    found = []
    if not marked(content):
        found = [
            Finding(rule=Rule.ENCODING, path=path, line=number, detail=char)
            for number, char in foreign_lines(content)
        ]
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    tree = _parser().parse(content.decode(encoding, "replace").encode())
    for rule, node in _wrong(tree.root_node):
        line = node.start_point[0] + 1
        found.append(Finding(rule=rule, path=path, line=line, detail=_shown(node)))
    return tuple(sorted(found, key=lambda one: (one.line, one.rule.value.id)))


@cache
def _parser() -> tree_sitter.Parser:
    try:
        import tree_sitter_powershell  # noqa: PLC0415 - it comes with the extra `audit` alone
    except ImportError as error:
        raise ToolchainError(
            "the PowerShell grammar (tree-sitter-powershell) is not installed",
            fix=data.installing(extra="audit"),
        ) from error
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))


def _wrong(node: tree_sitter.Node) -> Iterator[tuple[Rule, tree_sitter.Node]]:
    if node.is_error or node.is_missing:
        yield Rule.SYNTAX, node
        return
    if node.type == "pipeline_chain_tail":
        yield Rule.POWERSHELL_7, node
    if node.has_error or node.child_count:
        for child in node.children:
            yield from _wrong(child)


def _shown(node: tree_sitter.Node) -> str:
    if node.is_missing:
        return f"{node.type} is missing"
    text = (node.text or b"").decode("utf-8", "replace").strip()
    return text.splitlines()[0][:60] if text else "unexpected end"
