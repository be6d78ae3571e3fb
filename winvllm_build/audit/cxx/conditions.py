"""Conditions of `#if`: yes, no or unknown where some macros are known, and what is left of them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WINDOWS_MACROS: Final = frozenset(
    {"_MSC_VER", "_MSC_FULL_VER", "_MSVC_LANG", "_MSVC_TRADITIONAL", "_WIN32", "_WIN64", "WIN32", "WIN64",
     "_WINDOWS", "_M_X64", "_M_AMD64"}
)  # fmt: skip
ROCM_MACROS: Final = frozenset(
    {"USE_ROCM", "__HIP__", "__HIPCC__", "__HIPCC_RTC__", "__HIP_PLATFORM_AMD__", "__HIP_PLATFORM_HCC__",
     "__HIP_DEVICE_COMPILE__", "__AMDGCN_WAVEFRONT_SIZE", "__AMDGCN_WAVEFRONT_SIZE__", "__GFX9__",
     "__GFX11__", "__GFX12__", "__gfx90a__", "__gfx942__", "__gfx950__"}
)  # fmt: skip
POSIX_MACROS: Final = frozenset(
    {"__GNUC__", "__GNUC_MINOR__", "__clang__", "__clang_major__", "__linux__", "__linux", "linux",
     "__unix__", "__unix", "__APPLE__", "__MACH__", "__ANDROID__", "__FreeBSD__", "__CYGWIN__", "__MINGW32__",
     "__MINGW64__", "__SIZEOF_INT128__", "__LP64__", "__INTEL_COMPILER", "O_DIRECT", "O_CLOEXEC",
     "CLOCK_MONOTONIC", "CLOCK_MONOTONIC_RAW", "CLOCK_REALTIME"}
)  # fmt: skip
OTHER_CPUS: Final = frozenset(
    {"__powerpc__", "__powerpc64__", "__aarch64__", "__arm__", "__ARM_NEON", "__s390x__", "__riscv",
     "__VSX__", "__x86_64__", "__x86_64", "__i386__", "__amd64__"}
)  # fmt: skip
"""What MSVC does not define on any CPU that vLLM's Windows build is for."""


@dataclass(frozen=True, slots=True)
class World:
    """What is known of macros; a name in neither is unknown.

    Attributes:
        defined: the values; None for a macro that is defined with a value that differs.
        undefined: the names that are surely not defined.
    """

    defined: Mapping[str, int | None]
    undefined: frozenset[str]


MSVC: Final = World(
    {"_MSC_VER": 1943, "_MSC_FULL_VER": None, "_MSVC_LANG": None, "_MSVC_TRADITIONAL": 0, "_WIN32": 1,
     "_WIN64": 1, "_M_X64": 100, "_M_AMD64": 100, "__cplusplus": None},
    ROCM_MACROS | POSIX_MACROS | OTHER_CPUS,
)  # fmt: skip
"""A header, which files of both kinds include."""
NVCC_MACROS: Final[Mapping[str, int | None]] = {
    "__CUDACC__": 1, "__NVCC__": 1, "__CUDACC_VER_MAJOR__": None, "__CUDACC_VER_MINOR__": None,
}  # fmt: skip
MSVC_HOST: Final = World(MSVC.defined, MSVC.undefined | frozenset([*NVCC_MACROS, "__CUDA_ARCH__"]))
"""A file that cl.exe compiles alone."""
MSVC_CUDA: Final = World(
    {**MSVC.defined, **NVCC_MACROS, "CUDA_VERSION": None, "CUDART_VERSION": None}, MSVC.undefined
)
"""A file for nvcc: both passes, the host's and the device's."""
LINUX_CUDA: Final = World({"__linux__": 1, "__unix__": 1, "__GNUC__": None}, WINDOWS_MACROS | ROCM_MACROS)
LINUX_ROCM: Final = World(
    {"__linux__": 1, "__unix__": 1, "__GNUC__": None, "__clang__": 1, "USE_ROCM": 1,
     "__HIP_PLATFORM_AMD__": 1},
    WINDOWS_MACROS,
)  # fmt: skip

Expression = tuple["str | int | Expression", ...]
"""`("value", 3)`, `("name", "X")`, `("defined", "X")`, `("call", "f", "(", ...)`, or an operator before its
operands: `("!", e)`, `("&&", e, e)`, `("?", e, e, e)`."""
SPELLED: Final = {"and": "&&", "or": "||", "not": "!", "bitand": "&", "bitor": "|", "xor": "^", "compl": "~",
                  "not_eq": "!="}  # fmt: skip
STRENGTH: Final = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7, "<<": 8,
    ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip
ARITHMETIC: Final[Mapping[str, Callable[[int, int], int]]] = {
    "|": operator.or_, "^": operator.xor, "&": operator.and_, "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "+": operator.add,
    "-": operator.sub, "*": operator.mul,
}  # fmt: skip
UNARY: Final = frozenset({"!", "~", "-", "+"})
LONGEST: Final = 400
"""Tokens of a condition; one that has more is no condition a person wrote."""
WIDEST_SHIFT: Final = 63
INTEGER: Final = re.compile(r"(0[xX][\dA-Fa-f]+|0[bB][01]+|\d+)[uUlLzZ]*")


def evaluate(tokens: Sequence[str], world: World) -> bool | None:
    """Whether the condition behind `#if` holds; None where the world does not decide it, or no one can."""
    decided, _ = simplify(tokens, world)
    return decided


def simplify(tokens: Sequence[str], world: World) -> tuple[bool | None, tuple[str, ...]]:
    """The condition's value, and where there is none, what is left of it once known parts are taken out.

    What is left is spelled in one way: `defined ( X )`, operators as signs, no parentheses without need.
    A condition that cannot be parsed stays as it is.
    """
    try:
        whole = _Parser(tokens).whole()
    except (SyntaxError, IndexError):
        return None, tuple(tokens)
    left = _reduced(whole, world, truth=True)
    if left[0] == "value":
        return bool(left[1]), ()
    return None, tuple(_spelled(left))


class _Parser:
    """Precedence climbing over the tokens of one condition."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = [SPELLED.get(token, token) for token in tokens]
        self._at = 0

    def whole(self) -> Expression:
        if len(self._tokens) > LONGEST:
            raise SyntaxError(f"{len(self._tokens)} tokens")
        found = self._choice()
        if self._at != len(self._tokens):
            raise SyntaxError(self._tokens[self._at])
        return found

    def _next_is(self, token: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == token:
            self._at += 1
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._next_is(token):
            raise SyntaxError(token)

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _choice(self) -> Expression:
        found = self._binary(1)
        if self._next_is("?"):
            yes = self._choice()
            self._expect(":")
            found = ("?", found, yes, self._choice())
        return found

    def _binary(self, weakest: int) -> Expression:
        left = self._term()
        while self._at < len(self._tokens):
            sign = self._tokens[self._at]
            strength = STRENGTH.get(sign, 0)
            if strength < weakest:
                break
            self._at += 1
            left = (sign, left, self._binary(strength + 1))
        return left

    def _term(self) -> Expression:
        signs: list[str] = []
        while self._tokens[self._at] in UNARY:
            signs.append(self._take())
        found = self._atom()
        for sign in reversed(signs):
            found = (sign, found)
        return found

    def _atom(self) -> Expression:
        token = self._take()
        if token == "(":  # noqa: S105 - a parenthesis
            found = self._choice()
            self._expect(")")
            return found
        if token == "defined":  # noqa: S105 - the operator
            bracketed = self._next_is("(")
            found = ("defined", self._take())
            if bracketed:
                self._expect(")")
            return found
        number = INTEGER.fullmatch(token.replace("'", ""))
        if number is not None:
            octal = re.fullmatch(r"0[0-7]+", number[1])
            return ("value", int(number[1], 8 if octal else 0))
        if not re.match(r"[A-Za-z_$]", token):
            raise SyntaxError(token)
        if self._at < len(self._tokens) and self._tokens[self._at] == "(":
            return ("call", token, *self._arguments())
        return ("name", token)

    def _arguments(self) -> list[str]:
        """What stands behind the name of a function-like macro, with the parentheses."""
        begun, depth = self._at, 0
        while True:
            token = self._take()
            depth += (token == "(") - (token == ")")  # noqa: S105 - a parenthesis
            if depth == 0:
                return self._tokens[begun : self._at]


def _reduced(node: Expression, world: World, *, truth: bool) -> Expression:  # noqa: PLR0911 - a case each
    """`node` with known parts decided; where only its truth matters, whatever is not zero is 1."""
    match node:
        case ("value", int(number)):
            return ("value", int(bool(number)) if truth else number)
        case ("name", str(name)):
            known = _value(name, world)
            return node if known is None else ("value", int(bool(known)) if truth else known)
        case ("defined", str(name)):
            return (
                ("value", 1) if name in world.defined else ("value", 0) if name in world.undefined else node
            )
        case ("!", tuple() as inner):
            return _negated(_reduced(inner, world, truth=True))
        case (("&&" | "||") as sign, tuple() as one, tuple() as other):
            return _joined(
                sign, _reduced(one, world, truth=True), _reduced(other, world, truth=True), truth=truth
            )
        case ("?", tuple() as question, tuple() as yes, tuple() as no):
            asked = _reduced(question, world, truth=True)
            left, right = _reduced(yes, world, truth=truth), _reduced(no, world, truth=truth)
            return (right if asked[1] == 0 else left) if asked[0] == "value" else ("?", asked, left, right)
        case (str(sign), tuple() as one, tuple() as other):
            made = _computed(sign, _reduced(one, world, truth=False), _reduced(other, world, truth=False))
            return _as_truth(made) if truth else made
        case (str(sign), tuple() as inner):
            made = _signed(sign, _reduced(inner, world, truth=False))
            return _as_truth(made) if truth else made
        case _:
            return node


def _as_truth(node: Expression) -> Expression:
    return ("value", int(bool(node[1]))) if node[0] == "value" else node


def _value(name: str, world: World) -> int | None:
    if name in ("true", "false"):
        return int(name == "true")
    return 0 if name in world.undefined else world.defined.get(name)


def _negated(inner: Expression) -> Expression:
    if inner[0] == "value":
        return ("value", int(not inner[1]))
    if inner[0] == "!" and isinstance(inner[1], tuple) and inner[1][0] in ("!", "&&", "||", "defined"):
        return inner[1]
    return ("!", inner)


def _joined(sign: str, one: Expression, other: Expression, *, truth: bool) -> Expression:
    """`&&` and `||`: one side that is known decides, or goes away."""
    decisive = int(sign == "||")
    for known, rest in ((one, other), (other, one)):
        if known[0] == "value":
            if known[1] == decisive:
                return known
            return rest if truth or rest[0] in ("value", "!", "&&", "||", "defined") else (sign, one, other)
    return (sign, one, other)


def _computed(sign: str, one: Expression, other: Expression) -> Expression:
    if not (isinstance(one[1], int) and isinstance(other[1], int)):
        return (sign, one, other)
    left, right = one[1], other[1]
    if sign in ARITHMETIC:
        return ("value", int(ARITHMETIC[sign](left, right)))
    if sign in ("<<", ">>") and 0 <= right <= WIDEST_SHIFT:
        return ("value", left << right if sign == "<<" else left >> right)
    if sign in ("/", "%") and right:
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        return ("value", quotient if sign == "/" else left - right * quotient)
    return (sign, one, other)


def _signed(sign: str, inner: Expression) -> Expression:
    if not isinstance(inner[1], int):
        return (sign, inner)
    return ("value", {"-": -inner[1], "~": ~inner[1]}.get(sign, inner[1]))


def _spelled(node: Expression, weakest: int = 0) -> list[str]:
    """The tokens of an expression, in parentheses where it binds less than `weakest`."""
    match node:
        case ("value" | "name", found):
            return [str(found)]
        case ("defined", str(name)):
            return ["defined", "(", name, ")"]
        case ("call", *rest):
            return [str(token) for token in rest]
        case ("?", tuple() as asked, tuple() as yes, tuple() as no):
            words, strength = [*_spelled(asked, 1), "?", *_spelled(yes), ":", *_spelled(no)], 0
        case (str(sign), tuple() as one, tuple() as other):
            strength = STRENGTH[sign]
            words = [*_spelled(one, strength), sign, *_spelled(other, strength + 1)]
        case (str(sign), tuple() as inner):
            return [sign, *_spelled(inner, 11)]
        case _:
            raise AssertionError(node)
    return ["(", *words, ")"] if strength < weakest else words
