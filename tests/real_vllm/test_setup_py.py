"""setup.py: the target device, CMake's arguments and what is copied, on Windows and as before on Linux."""

from __future__ import annotations

import ast
import ntpath
import os
import shlex
import sys
import types
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.real_vllm.modules import BOTH_PLATFORMS, Modules, Recorder, execute, fake_module, fake_sys

pytestmark = pytest.mark.network
SETUP = "setup.py"


def target_device(modules: Modules, platform: str, cuda: str | None, env: Mapping[str, str]) -> str:
    """What the statement that looks for macOS makes of VLLM_TARGET_DEVICE."""
    body = ast.parse(modules.text(SETUP)).body
    node = next(n for n in body if isinstance(n, ast.If) and "darwin" in ast.dump(n.test))
    scope = execute(
        [node],
        SETUP,
        {
            "sys": fake_sys(platform),
            "os": types.SimpleNamespace(getenv=env.get),
            "torch": types.SimpleNamespace(
                __version__="2.9.1", version=types.SimpleNamespace(cuda=cuda, hip=None)
            ),
            "logger": Recorder(),
            "VLLM_TARGET_DEVICE": env.get("VLLM_TARGET_DEVICE", "cuda"),
        },
    )
    return str(scope["VLLM_TARGET_DEVICE"])


@pytest.mark.parametrize(
    ("platform", "cuda", "chosen", "expected"),
    [
        ("win32", "12.6", None, "cuda"),
        ("win32", "12.6", "cuda", "cuda"),
        ("win32", "12.6", "empty", "empty"),
        ("win32", "12.6", "cpu", "empty"),
        ("win32", None, None, "empty"),
        ("linux", "12.9", None, "cuda"),
        ("linux", None, None, "cpu"),
        ("linux", None, "cuda", "cuda"),
        ("freebsd14", "12.9", None, "empty"),
        ("darwin", None, None, "cpu"),
    ],
)
def test_target_device(
    modules: Modules, platform: str, cuda: str | None, chosen: str | None, expected: str
) -> None:
    env = {} if chosen is None else {"VLLM_TARGET_DEVICE": chosen}
    assert target_device(modules, platform, cuda, env) == expected


def test_cuda_with_a_cpu_build_of_torch_is_an_error_on_windows(modules: Modules) -> None:
    with pytest.raises(RuntimeError, match="--no-build-isolation"):
        target_device(modules, "win32", None, {"VLLM_TARGET_DEVICE": "cuda"})


def configure_command(modules: Modules, platform: str, *, ninja: bool) -> list[str]:
    windows = platform == "win32"
    paths = [r"C:\a", r"D:\b"] if windows else ["/a", "/b"]
    commands: list[list[str]] = []
    modules.cut(
        SETUP,
        "cmake_build_ext.configure",
        sys=fake_sys(platform, path=paths, executable=paths[0] + "/python"),
        os=types.SimpleNamespace(
            environ={"CMAKE_ARGS": r'-DA=1 "-DB=C:\Program Files\x"'},
            path=ntpath if windows else os.path,
            pathsep=";" if windows else ":",
        ),
        shlex=shlex,
        subprocess=types.SimpleNamespace(check_call=lambda command, **_: commands.append(command)),
        envs=types.SimpleNamespace(CMAKE_BUILD_TYPE="Release", VERBOSE=False),
        cmake_build_ext=types.SimpleNamespace(did_config={}),
        is_sccache_available=lambda: False,
        is_ccache_available=lambda: False,
        is_ninja_available=lambda: ninja,
        _is_cuda=lambda: True,
        _is_hip=lambda: False,
        CUDA_HOME=r"C:\Program Files\CUDA\v12.6" if windows else "/usr/local/cuda",
        ROCM_HOME=None,
        ROOT_DIR=paths[0],
        VLLM_TARGET_DEVICE="cuda",
    )(
        types.SimpleNamespace(debug=False, build_temp="build", compute_num_jobs=lambda: (4, 1)),
        types.SimpleNamespace(cmake_lists_dir="src"),
    )
    return commands[0]


def test_cmake_gets_windows_paths_it_can_read(modules: Modules) -> None:
    command = configure_command(modules, "win32", ninja=True)
    assert not [word for word in command if "\\" in word]
    assert "-DCMAKE_CUDA_COMPILER=C:/Program Files/CUDA/v12.6/bin/nvcc.exe" in command
    assert "-DVLLM_PYTHON_PATH=C:/a;D:/b" in command
    assert "-DFETCHCONTENT_BASE_DIR=C:/a/.deps" in command
    assert command[-2:] == ["-DA=1", "-DB=C:/Program Files/x"]


def test_windows_needs_ninja(modules: Modules) -> None:
    with pytest.raises(RuntimeError, match="ninja"):
        configure_command(modules, "win32", ninja=False)


@pytest.mark.parametrize("ninja", [True, False])
def test_cmake_arguments_on_linux_are_upstreams(
    modules: Modules, pristine_modules: Modules, *, ninja: bool
) -> None:
    command = configure_command(modules, "linux", ninja=ninja)
    assert command == configure_command(pristine_modules, "linux", ninja=ninja)
    assert "-DCMAKE_CUDA_COMPILER=/usr/local/cuda/bin/nvcc" in command


@BOTH_PLATFORMS
def test_nvcc_name(modules: Modules, platform: str) -> None:
    asked: list[str] = []

    def check_output(command: list[str], **_: object) -> str:
        asked.append(command[0])
        return "Cuda compilation tools, release 12.6, V12.6.20"

    version = modules.cut(
        SETUP,
        "get_nvcc_cuda_version",
        sys=fake_sys(platform),
        CUDA_HOME="/cuda",
        subprocess=types.SimpleNamespace(check_output=check_output),
        parse=str,
    )()
    assert version == "12.6"
    assert asked == ["/cuda/bin/nvcc" + (".exe" if platform == "win32" else "")]


@BOTH_PLATFORMS
def test_build_leaves_the_jobs_to_ninja_on_windows(modules: Modules, platform: str, tmp_path: Path) -> None:
    commands: list[list[object]] = []
    prefix = tmp_path / "lib"
    builder = types.SimpleNamespace(
        build_temp=str(tmp_path),
        extensions=[types.SimpleNamespace(name="vllm._C")],
        configure=lambda _: None,
        compute_num_jobs=lambda: (4, 1),
        get_ext_fullpath=lambda _: str(prefix / "vllm" / "_C.pyd"),
    )
    modules.cut(
        SETUP,
        "cmake_build_ext.build_extensions",
        sys=fake_sys(platform),
        os=os,
        Path=Path,
        subprocess=types.SimpleNamespace(
            check_output=lambda _: b"", check_call=lambda command, **_: commands.append(command)
        ),
    )(builder)
    build, install = commands
    assert ("-j=4" in build) == (platform == "linux")
    assert "--target=_C" in build
    expected = prefix.as_posix() if platform == "win32" else prefix
    assert install[4] == expected
    assert type(install[4]) is type(expected)


def test_flash_attn_wrappers_are_copied(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    build_lib = r"C:\build\lib"
    found = [rf"{build_lib}\vllm\vllm_flash_attn\layers\rotary.py"]
    monkeypatch.setitem(sys.modules, "glob", fake_module("glob", glob=lambda *_, **__: found))
    copied: list[tuple[str, str]] = []
    made: list[str] = []
    modules.cut(
        SETUP,
        "cmake_build_ext.run",
        sys=fake_sys("win32"),
        os=types.SimpleNamespace(path=ntpath, makedirs=lambda name, **_: made.append(name)),
        super=lambda: types.SimpleNamespace(run=lambda: None),
        print=lambda *_: None,
        _is_cuda=lambda: False,
        _is_hip=lambda: False,
    )(types.SimpleNamespace(build_lib=build_lib, copy_file=lambda *pair: copied.append(pair)))
    assert copied == [(found[0], r"vllm/vllm_flash_attn\layers\rotary.py")]
    assert made == [r"vllm/vllm_flash_attn\layers"]
