"""What is compared as text: aligned sources, preprocessed text, assembly, generated selectors."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.audit.device import assembly, generators
from winvllm_build.audit.device.lines import aligned
from winvllm_build.audit.device.preprocessed import digest_of
from winvllm_build.audit.device.record import Kind
from winvllm_build.audit.device.stage import Content, Side

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c \\\n", b"\n", b"#ifdef X\n", b"}\n"]), max_size=12)


@given(LINES, LINES)
def test_aligned_texts_have_the_same_tokens_and_equal_lines_at_equal_numbers(
    old: list[bytes], new: list[bytes]
) -> None:
    left, right = aligned(b"".join(old), b"".join(new))
    assert len(left.splitlines()) == len(right.splitlines())
    for text, lines in ((left, old), (right, new)):
        assert text.replace(b"\\\n", b"").split() == b"".join(lines).replace(b"\\\n", b"").split()


def test_what_follows_a_change_keeps_its_line() -> None:
    old = b"one\nint x = __LINE__;\n"
    left, right = aligned(old, b"one\n#ifdef _MSC_VER\ntwo\n#endif\nint x = __LINE__;\n")
    assert left == b"one\n\n\n\nint x = __LINE__;\n"
    assert right.splitlines()[4] == left.splitlines()[4]
    assert aligned(b"a", b"a\nb") == (b"a\n\n", b"a\nb\n")
    assert aligned(b"", b"") == (b"", b"")


def test_lines_added_inside_of_a_macro_stay_inside() -> None:
    left, right = aligned(b"#define A(x) \\\n  f(x)\ng();\n", b"#define A(x) \\\n  h(x); \\\n  f(x)\ng();\n")
    assert left == b"#define A(x) \\\n\\\n  f(x)\ng();\n"
    assert right.endswith(b"  f(x)\ng();\n")


def test_a_file_of_one_side_is_shown_on_that_side() -> None:
    assert Content(before=None, after=b"x").of(Side.BEFORE) is None
    assert Content(before=None, after=b"x").of(Side.AFTER) == b"x"
    assert Content(before=b"a\n", after=b"b\na\n").of(Side.BEFORE) == b"\na\n"


def test_preprocessed_text_is_the_same_however_empty_lines_are_written() -> None:
    one = digest_of([b'# 1 "a.h"\n', b"int x;\n", b"\n", b"\n", b"\n", b"int y;\n"])
    other = digest_of([b'# 1 "a.h" 1\n', b"int x;\n", b'# 5 "a.h" 2\n', b"  int y;\n"])
    assert one == other
    assert one.lines == 2


@pytest.mark.parametrize("line", [b"int z;\n", b"\nint y;\n", b'# 9 "a.h"\nint y;\n', b'# 2 "b.h"\nint y;\n'])
def test_other_text_and_other_places_are_noticed(line: bytes) -> None:
    head = [b'# 1 "a.h"\n', b"int x;\n"]
    changed = [*head, *(part + b"\n" for part in line.split(b"\n") if part or line[:1] == b"\n")]
    assert digest_of(changed) != digest_of([*head, b"int y;\n"])


ASSEMBLY = """\
	.file	"a.cu"
	.text
	.section	.rodata
.LC0:
	.string	"blocks > 2 # no"
	.text
	.globl	launch
	.type	launch, @function
launch:
.LFB0:
	.cfi_startproc
	cmpl	$2, %eax	# a comment
	jle	.L2
	leaq	.LC0(%rip), %rdi
	call	check
.L2:
	ret
	.cfi_endproc
.LFE0:
	.size	launch, .-launch
	.weak	table
	.data
	.type	table, @object
table:
	.long	5
	.size	table, 4
	.globl	other
	.type	other, @function
other:
	jmp	.L4
.L4:
	ret
	.ident	"GCC: (Debian 12.2.0-14) 12.2.0"
"""


def test_assembly_is_read_by_symbols() -> None:
    found = assembly.symbols(ASSEMBLY)
    assert set(found) == {"launch", "table", "other"}
    assert found["table"] == (".type table, @object", ".weak table", ".long 5")
    assert 'leaq <.string "blocks > 2 # no">(%rip), %rdi' in found["launch"]
    assert "cmpl $2, %eax" in found["launch"]


def test_numbers_of_labels_and_places_of_constants_do_not_matter() -> None:
    other = ASSEMBLY.replace(".L4", ".L14").replace(".LC0", ".LC7").replace('"a.cu"', '"b.cu"')
    assert other != ASSEMBLY
    assert assembly.differing(ASSEMBLY, other) == []
    assert assembly.differing(ASSEMBLY, ASSEMBLY) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("$2, %eax", "$3, %eax", ["launch"]),
        ("blocks > 2", "blocks > 3", ["launch"]),
        (".long	5", ".long	6", ["table"]),
        (".weak	table", ".globl	table", ["table"]),
        ("jmp	.L4\n", "jmp	.L4\n	nop\n", ["other"]),
        ("jle	.L2\n", "jle	.L2\n	nop\n", ["launch"]),
        ("other", "another", ["another", "other"]),
    ],
)
def test_one_changed_instruction_is_found(old: str, new: str, expected: list[str]) -> None:
    changed = ASSEMBLY.replace(old, new)
    assert changed != ASSEMBLY
    assert assembly.differing(ASSEMBLY, changed) == expected


CHAIN = "if (a == 1)\n  kernel = One;\nelse if (a == 2)\n  kernel = Two;\n"
FLAT = (
    "do {\nif (a == 1) {\n  kernel = One;\n  break;\n}\n"
    "if (a == 2) {\n  kernel = Two;\n  break;\n}\n} while (false);\n"
)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda text: text, {}),
        (lambda text: text.replace("Two", "Three"), {Kind.SELECTOR: ("s.h",)}),
        (lambda text: text.replace("do {", "while (true) {"), {Kind.SELECTOR: ("s.h",)}),
        (lambda _: "", {Kind.SELECTOR: ("s.h",)}),
    ],
)
def test_a_header_for_windows_has_to_choose_the_same(
    edit: Callable[[str], str], expected: dict[Kind, tuple[str, ...]]
) -> None:
    linux = {"k.cu": b"kernel", "s.h": CHAIN.encode()}
    found = generators.compare_files(linux, linux, {**linux, "s.h": edit(FLAT).encode()})
    assert found.differing == expected
    assert found.counts[Kind.GENERATED] == 2
    if not expected:
        assert found.counts[Kind.SELECTOR] == 3


def test_generated_files_are_compared_byte_by_byte() -> None:
    linux = {"k.cu": b"kernel", "s.h": CHAIN.encode()}
    changed = {**linux, "k.cu": b"kernel "}
    assert generators.compare_files(linux, changed, linux).differing == {Kind.GENERATED: ("k.cu",)}
    more = {**linux, "l.cu": b""}
    assert generators.compare_files(linux, more, more).differing == {
        Kind.GENERATED: ("l.cu",), Kind.SELECTOR: ("l.cu",)
    }  # fmt: skip


def test_a_script_is_run_as_on_the_system_asked_for() -> None:
    script = (
        b"import os, sys\n"
        b"with open(os.path.join(os.path.dirname(__file__), 'out.txt'), 'w') as f:\n"
        b"    f.write(sys.platform + ' ' + sys.argv[1])\n"
    )
    assert generators.written("generate.py", script, "8.6") == {"out.txt": f"{sys.platform} 8.6".encode()}
    assert generators.written("generate.py", script, "8.6", "win32") == {"out.txt": b"win32 8.6"}
