"""The command lines for cl.exe: by its documentation, never run."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.audit.frontend import messages, units
from winvllm_build.audit.frontend.command_lines import Headers
from winvllm_build.audit.frontend.outcome import Pass
from winvllm_build.audit.frontend.units import Language, Replacement, Unit
from winvllm_build.audit.frontend.windows import Msvc, split, steps

NOWHERE = Path()
MSVC = Msvc(
    cl=Path("cl.exe"),
    headers=Headers(
        cuda=Path("C:/CUDA"), release=(13, 0, 88), stand_ins=NOWHERE, stl=NOWHERE, wine=NOWHERE,
        windows=NOWHERE,
    ),
    environment={},
)  # fmt: skip
UNIT = Unit(
    path="csrc/a.cu", target="_C", language=Language.CUDA, definitions=("X=1",), includes=(Path("C:/t"),),
    standard="c++17", archs=("86",),
)  # fmt: skip
COMMAND = (
    r"C:\VC\cl.exe  /nologo /TP -DX=1 /DY=\"two\" -IC:\t\csrc -external:IC:\torch\include "
    r'"-external:IC:\Program Files\cuda" /std:c++20 /c C:\t\csrc\b.cpp'
)


def test_a_command_line_of_windows_keeps_its_backslashes_and_blanks() -> None:
    assert split(COMMAND)[5:9] == [
        r"-IC:\t\csrc", r"-external:IC:\torch\include", r"-external:IC:\Program Files\cuda", "/std:c++20",
    ]  # fmt: skip
    assert split(r"a /DY=\"two\"") == ["a", '/DY="two"']


def test_a_unit_is_read_from_cl_s_command_line() -> None:
    (unit,) = units.read(
        [{"file": "C:/t/csrc/b.cpp", "command": COMMAND}], tree=Path("C:/t"), generated=frozenset(),
        swap=Replacement(folders={}, dropped=frozenset()), split=split,
    )  # fmt: skip
    assert unit.definitions == ("X=1", 'Y="two"')
    assert [str(folder) for folder in unit.includes] == [
        r"C:\t\csrc", r"C:\torch\include", r"C:\Program Files\cuda",
    ]  # fmt: skip
    assert unit.standard == "c++20"


def test_a_host_file_is_only_checked() -> None:
    (words,) = steps(MSVC, UNIT, Pass.CLANG, source=Path("b.cpp"))
    assert words[0] == "cl.exe"
    assert {"/Zs", "/TP", "/std:c++17", "/DX=1", "b.cpp"} <= set(words)


def test_a_kernel_goes_through_both_halves_and_cl_checks_the_result() -> None:
    found = steps(MSVC, UNIT, Pass.HOST, source=Path("a.cu"))
    programs = [Path(words[0]).name for words in found]
    assert programs == ["cl.exe", "cicc.exe", "cl.exe", "cudafe++.exe", "cl.exe"]
    device, host = found[0], found[2]
    assert {"/P", "/Fiunit.cpp1.ii", "/D__CUDA_ARCH__=860", "/FIcuda_runtime.h"} <= set(device)
    assert "/Fiunit.ii" in host
    assert not any("__CUDA_ARCH__=" in word for word in host)
    assert found[3][-1] == "unit.ii"
    assert found[4][-2:] == ["/Zs", "unit.cudafe1.cpp"]


def test_errors_of_cl_are_read_with_their_codes() -> None:
    said = [
        r"C:\t\csrc\a.cu(12): error C2065: 'uint': undeclared identifier",
        r"C:\t\csrc\a.cu(3): fatal error C1061: compiler limit: blocks nested too deeply",
        r"C:\t\csrc\a.cu(5): warning C4819: code page",
    ]
    found = messages.parse(said, lambda file: file.removeprefix("C:/t/"))
    assert [(m.file, m.line, m.code) for m in found] == [
        ("csrc/a.cu", 12, "C2065"),
        ("csrc/a.cu", 3, "C1061"),
    ]
