"""One Rust file as a tree, and the conditions that stand around a place in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

import tree_sitter_rust
from tree_sitter import Language, Node, Parser

CFG: Final = re.compile(r"#!?\[\s*cfg\s*\((?P<inside>.*)\)\s*\]", re.DOTALL)
CALLED: Final = re.compile(r"cfg!\s*\((?P<inside>.*?)\)\s*$", re.DOTALL)
BRACKET: Final = re.compile(r"\[\s*cfg\s*\((?P<inside>.*)\)\s*\]", re.DOTALL)
COMMENTS: Final = frozenset({"line_comment", "block_comment"})
STRINGS: Final = frozenset({"string_literal", "raw_string_literal", "string_content", "escape_sequence"})
HOLDERS: Final = {
    "source_file": "inner_attribute_item", "block": "inner_attribute_item", "match_arm": "attribute_item",
    "declaration_list": "inner_attribute_item", "field_initializer": "attribute_item",
}  # fmt: skip
"""Nodes with attributes among their children that count for all of them."""
ATTRIBUTES: Final = frozenset({"attribute_item", "inner_attribute_item"})


class RustTree:
    """A parsed file.

    Attributes:
        unread: how many lines the parser could not follow.
    """

    def __init__(self, text: str) -> None:
        self._bytes = text.encode()
        self._text = text
        self._root = _parser().parse(self._bytes).root_node
        self.unread = sum(node.end_point[0] - node.start_point[0] + 1 for node in _errors(self._root))

    def node(self, start: int, end: int) -> Node:
        """The smallest node that holds these characters."""
        before = len(self._text[:start].encode())
        length = len(self._text[start:end].encode())
        return self._root.named_descendant_for_byte_range(before, before + max(length - 1, 0)) or self._root

    def compiled_if(self, node: Node) -> Iterator[str]:
        """The conditions under which the node is compiled; each has to hold."""
        at: Node | None = node
        while at is not None:
            yield from self._before(at)
            for child in at.named_children if at.type in HOLDERS else ():
                if child.type == HOLDERS[at.type]:
                    yield from _cfg(_read(child))
            if at.type == "token_tree":
                yield from self._branch(at)
            at = at.parent

    def run_if(self, node: Node) -> Iterator[str]:
        """The conditions of `if cfg!(...)` around it, with `not` for an `else`."""
        at = node
        while at.parent is not None:
            outer = at.parent
            if outer.type == "if_expression" and (test := outer.child_by_field_name("condition")) is not None:
                found = CALLED.search(_read(test))
                if found is not None and test != at:
                    inside = found["inside"]
                    plain = _read(test).startswith("cfg!")
                    if plain or at.type != "else_clause":
                        yield f"not({inside})" if at.type == "else_clause" else inside
            at = outer

    def _before(self, node: Node) -> Iterator[str]:
        """The attributes right before an item, a statement or a field."""
        before = node.prev_named_sibling
        while before is not None and before.type in (*ATTRIBUTES, *COMMENTS):
            if before.type == "attribute_item":
                yield from _cfg(_read(before))
            before = before.prev_named_sibling

    def _branch(self, tree: Node) -> Iterator[str]:
        """The branch of a `cfg_if!` that a block is: its condition, and those before it, turned round."""
        outer = tree.parent
        if outer is None or outer.type != "token_tree" or not _is_cfg_if(outer):
            return
        conditions: list[str] = []
        fresh = False
        for child in outer.children:
            if child == tree:
                break
            text = _read(child)
            found = BRACKET.fullmatch(text)
            if found is not None:
                conditions.append(found["inside"])
                fresh = True
            elif text.startswith("{"):
                fresh = False
        behind = conditions[:-1] if fresh else conditions
        yield from (f"not({condition})" for condition in behind)
        yield from conditions[-1:] if fresh else ()


def is_comment(node: Node) -> bool:
    return node.type in COMMENTS or any(parent.type in COMMENTS for parent in ancestors(node))


def is_string(node: Node) -> bool:
    return node.type in STRINGS


def ancestors(node: Node) -> Iterator[Node]:
    at = node.parent
    while at is not None:
        yield at
        at = at.parent


def _is_cfg_if(tree: Node) -> bool:
    outer = tree.parent
    return outer is not None and outer.type == "macro_invocation" and "cfg_if" in _read(outer)[:20]


def _cfg(attribute: str) -> Iterator[str]:
    found = CFG.fullmatch(attribute.strip())
    if found is not None:
        yield found["inside"]


def _errors(root: Node) -> Iterator[Node]:
    if not root.has_error:
        return
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type == "ERROR" or node.is_missing:
            yield node
        elif node.has_error:
            stack += node.children


def _read(node: Node) -> str:
    return (node.text or b"").decode()


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_rust.language()))
