"""Rules on files: opened twice, renamed, deleted while open, linked, named as Windows does not allow."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from winvllm_build.audit.python.site import Finding, Rules, Site

PATH_LIKE: Final = re.compile(
    r"(?:path|file|dir|folder|tmp|temp|dst|src|dest|prefix|__file__|root)(?![a-z]*(?:_?name|_id)\b)",
    re.IGNORECASE,
)
NO_PATH: Final = re.compile(
    r"url|uri|repo|model|name|prefix|endpoint|route|request|http|scope|mime|media|version|lora|key|layer|module|dir_?entry",
    re.IGNORECASE,
)
WITH: Final = (ast.With, ast.AsyncWith)
FORBIDDEN: Final = re.compile(r"[?|<>\"]|(?<!^[A-Za-z]):")
CLOCK: Final = re.compile(r"%[HIM]:%|%T\b|%X\b|%c\b")
GLIBC: Final = re.compile(r"%-[a-zA-Z]|%s\b|%P\b|%k\b|%l\b")
MAKES_NAMES: Final = frozenset(["os.path.join", "open", "os.makedirs", "os.mkdir", "pathlib.Path", "Path"])
DELETES: Final = frozenset(
    ["os.remove", "os.unlink", "shutil.rmtree", "os.replace", "os.rename", "shutil.move"]
)
LIST_NAMES: Final = re.compile(r"sys\.path|LD_LIBRARY_PATH|PYTHONPATH|\bPATH\b|library_path", re.IGNORECASE)


def reopened(site: Site) -> Iterator[Finding]:
    """A NamedTemporaryFile whose name is used while it is open."""
    node = site.node
    if not (isinstance(node, ast.Call) and site.dotted(node.func) == "tempfile.NamedTemporaryFile"):
        return
    keyword = next((item for item in node.keywords if item.arg in {"delete", "delete_on_close"}), None)
    if keyword is not None and isinstance(keyword.value, ast.Constant) and keyword.value.value is False:
        return
    name = _bound_to(site)
    if name and _uses_name(site, name):
        met = keyword is not None and not isinstance(keyword.value, ast.Constant)
        yield Finding(hazard="E17", rule="temporary-file-reopened", detail=f"{name}.name", met=met)


def _bound_to(site: Site) -> str:
    """What the file is called: `with ... as f`, or `f = ...`."""
    if isinstance(site.parent, ast.withitem) and isinstance(site.parent.optional_vars, ast.Name):
        return site.parent.optional_vars.id
    statement = site.statement
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name | ast.Attribute):
        return ast.unparse(statement.targets[0])
    return ""


def _uses_name(site: Site, name: str) -> bool:
    """In the body of its `with`, or anywhere in its function."""
    around: ast.AST | None = site.statement if isinstance(site.statement, WITH) else site.place.function
    return around is not None and any(
        isinstance(node, ast.Attribute) and node.attr == "name" and ast.unparse(node.value) == name
        for node in ast.walk(around)
    )


def renamed(site: Site) -> Iterator[Finding]:
    """os.rename raises where the target exists."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    if site.dotted(node.func) == "os.rename":
        yield Finding(hazard="E18", rule="rename", detail=ast.unparse(node)[:60])
    elif isinstance(node.func, ast.Attribute) and node.func.attr == "rename":
        owner = ast.unparse(node.func.value)
        if len(node.args) == 1 and not node.keywords and PATH_LIKE.search(owner):
            yield Finding(hazard="E18", rule="rename", detail=ast.unparse(node)[:60])


def deleted(site: Site) -> Iterator[Finding]:
    """A file removed or replaced inside the `with` that holds it open."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    if site.dotted(node.func) in DELETES and node.args:
        victims = [ast.unparse(argument) for argument in node.args]
    elif isinstance(node.func, ast.Attribute) and node.func.attr in {"unlink", "rename", "replace"}:
        victims = [ast.unparse(node.func.value)]
    else:
        return
    for opened, name in _open_files(site):
        if any(victim in {opened, f"{name}.name"} for victim in victims):
            yield Finding(
                hazard="E54",
                rule="open-file-removed",
                detail=ast.unparse(node)[:60],
                raises=("PermissionError",),
            )


def _open_files(site: Site) -> Iterator[tuple[str, str]]:
    """The path and the name of each file that a surrounding `with` holds open."""
    for around in site.place.inside:
        for item in around.items if isinstance(around, WITH) else ():
            call = item.context_expr
            if isinstance(call, ast.Call) and site.dotted(call.func) in {
                "open",
                "tempfile.NamedTemporaryFile",
            }:
                path = ast.unparse(call.args[0]) if call.args else ""
                yield path, ast.unparse(item.optional_vars) if item.optional_vars else ""


def linked(site: Site) -> Iterator[Finding]:
    """Symbolic links need a privilege, or developer mode."""
    node = site.node
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return
    if site.dotted(node.func) == "os.symlink" or node.func.attr == "symlink_to":
        yield Finding(hazard="E51", rule="symlink", detail=ast.unparse(node)[:60], raises=("OSError",))


def clock_names(site: Site) -> Iterator[Finding]:
    """A time with colons in a file name; directives of strftime that glibc alone has."""
    node = site.node
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return
    if node.func.attr == "strftime":
        text = next((item.value for item in node.args if isinstance(item, ast.Constant)), "")
        if isinstance(text, str) and GLIBC.search(text):
            yield Finding(hazard="E57", rule="strftime-directive", detail=text)
        if isinstance(text, str) and CLOCK.search(text) and _names_a_file(site):
            yield Finding(hazard="E52", rule="colon-in-name", detail=text)
    elif node.func.attr == "isoformat" and _names_a_file(site):
        yield Finding(hazard="E52", rule="colon-in-name", detail=ast.unparse(node)[:60])


def _names_a_file(site: Site) -> bool:
    for parent in site.parents:
        if isinstance(parent, ast.Call) and site.dotted(parent.func) in MAKES_NAMES:
            return True
        if isinstance(parent, ast.JoinedStr) and re.search(
            r"\.(?:json|jsonl|log|csv|txt|pt|html|pkl)\b", ast.unparse(parent)
        ):
            return True
    statement = site.statement
    if isinstance(statement, ast.Assign):
        return bool(re.search(r"file_?name|_path\b|_dir\b", ast.unparse(statement.targets[0])))
    return False


def forbidden_names(site: Site) -> Iterator[Finding]:
    """A character in a name that is created which Windows does not allow."""
    node = site.node
    if not (isinstance(node, ast.Call) and site.dotted(node.func) in MAKES_NAMES - {"pathlib.Path", "Path"}):
        return
    if site.dotted(node.func) == "open" and not _writes(node):
        return
    pieces = [
        piece
        for argument in node.args[: 1 if site.dotted(node.func) == "open" else None]
        for piece in _pieces(argument)
    ]
    if site.dotted(node.func) == "os.path.join" and "glob" in site.module.line(node.lineno):
        return
    for piece in pieces:
        if FORBIDDEN.search(piece) and "://" not in piece:
            yield Finding(hazard="E52", rule="forbidden-character", detail=piece[:40], raises=("OSError",))


def _pieces(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from (str(value.value) for value in node.values if isinstance(value, ast.Constant))


def _writes(node: ast.Call) -> bool:
    mode = (
        node.args[1]
        if len(node.args) > 1
        else next((k.value for k in node.keywords if k.arg == "mode"), None)
    )
    return isinstance(mode, ast.Constant) and any(letter in str(mode.value) for letter in "wax")


def divided(site: Site) -> Iterator[Finding]:
    """A path taken apart by `/`, or a list of paths by `:`."""
    node = site.node
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        return
    word = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
    method, owner = node.func.attr, node.func.value
    if (
        method == "join"
        and isinstance(owner, ast.Constant)
        and owner.value == ":"
        and LIST_NAMES.search(ast.unparse(node.args[0]))
    ):
        yield Finding(hazard="E63", rule="colon-list", detail=ast.unparse(node)[:60])
    if not isinstance(word, str):
        return
    text = ast.unparse(owner)
    if method in {"split", "rsplit", "partition", "rpartition"} and word == ":" and LIST_NAMES.search(text):
        yield Finding(hazard="E63", rule="colon-list", detail=ast.unparse(node)[:60])
    if method in DIVIDES and "/" in word and _is_path(text, word, site, owner):
        rule = "slash-tested" if method in {"startswith", "endswith"} else "slash-split"
        yield Finding(hazard="E45", rule=rule, detail=ast.unparse(node)[:60])


DIVIDES: Final = frozenset(
    ["split", "rsplit", "partition", "rpartition", "startswith", "removeprefix", "rfind", "rindex", "count"]
)


def _is_path(text: str, word: str, site: Site, owner: ast.expr) -> bool:
    """Told by its name, or by being a file of glob or os.walk."""
    if re.search(r"__file__|os\.path\.|glob\(|os\.getcwd|as_posix", text):
        return "as_posix" not in text
    if isinstance(owner, ast.Name) and _from_glob(owner.id, site):
        return True
    return word in {"/", "./", "../"} and bool(PATH_LIKE.search(text)) and not NO_PATH.search(text)


def _from_glob(name: str, site: Site) -> bool:
    for around in site.place.inside:
        if isinstance(around, ast.For) and isinstance(around.target, ast.Name) and around.target.id == name:
            text = ast.unparse(around.iter)
            if "glob" in text or "os.listdir" in text:
                return True
            function = site.place.function
            for node in (
                ast.walk(function) if function is not None and isinstance(around.iter, ast.Name) else ()
            ):
                if (
                    isinstance(node, ast.Assign)
                    and ast.unparse(node.targets[0]) == text
                    and "glob" in ast.unparse(node.value)
                ):
                    return True
    return False


def file_addresses(site: Site) -> Iterator[Finding]:
    """`f"file://{path}"`: a drive letter becomes the host."""
    node = site.node
    if isinstance(node, ast.JoinedStr) and not site.is_message and len(node.values) > 1:
        first = node.values[0]
        if isinstance(first, ast.Constant) and str(first.value) == "file://":
            yield Finding(hazard="E64", rule="file-url", detail=ast.unparse(node)[:60])


def long_names(site: Site) -> Iterator[Finding]:
    """A whole hash as the name of a folder: with what is below it, longer than 260 characters."""
    node = site.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "hexdigest":
        sha = "sha256" in ast.unparse(node.func.value) or "sha512" in ast.unparse(node.func.value)
        sliced = isinstance(site.parent, ast.Subscript)
        if sha and not sliced and _names_a_file(site):
            yield Finding(hazard="E29", rule="hash-as-name", detail=ast.unparse(node)[:60])


RULES: Final[Rules] = {
    ast.Call: (reopened, renamed, deleted, linked, clock_names, forbidden_names, divided, long_names),
    ast.JoinedStr: (file_addresses,),
}
WORDS: Final = (
    "NamedTemporaryFile", ".rename(", "os.rename", "os.remove", "unlink", "symlink",
    "strftime", "isoformat", '":".join(', 'plit("', 'artition("', 'startswith("/',
    'removeprefix("/', "file://", "hexdigest", "os.path.join", "makedirs", "rmtree",
    "os.replace", "shutil.move",
)  # fmt: skip
