"""The proofs prove something: run on upstream's unpatched modules, they fail, each for its own reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real_vllm import test_engine as engine
from tests.real_vllm import test_files as files
from tests.real_vllm import test_imports as imports
from tests.real_vllm import test_loops as loops
from tests.real_vllm import test_setup_py as setup
from tests.real_vllm.modules import Modules

pytestmark = pytest.mark.network
Proof = Callable[[Modules], None]


def counted_client(modules: Modules) -> None:
    with pytest.MonkeyPatch.context() as patch:
        engine.test_engine_client_of_llm(modules, patch, "win32", processes=True, expected="counted")


PROOFS: dict[str, tuple[type[BaseException], Proof]] = {
    "fork": (AssertionError, engine.test_get_mp_context_always_spawns_on_windows),
    "SIGKILL": (AttributeError, engine.test_kill_process_tree_without_sigkill),
    "proc": (
        FileNotFoundError,
        lambda modules: engine.test_find_loaded_library_without_proc(modules, "libamdhip64", None),
    ),
    "ipc": (AssertionError, engine.test_zmq_path_is_loopback_tcp_on_windows),
    "sched_yield": (
        AttributeError,
        lambda modules: engine.test_sched_yield_without_the_system_call(modules, has_call=True),
    ),
    "SO_REUSEPORT": (
        AttributeError,
        lambda modules: engine.test_server_socket_options(modules, "win32"),
    ),
    "AF_UNIX": (AttributeError, engine.test_unix_sockets_are_refused_on_windows),
    "InprocClient": (AssertionError, counted_client),
    "sentinels": (TypeError, lambda modules: engine.test_a_dead_engine_is_noticed(modules, "win32")),
    "device properties": (
        AssertionError,
        lambda modules: engine.test_device_properties_are_read_in_a_spawned_process(modules, "win32"),
    ),
    "SIGTSTP": (
        AttributeError,
        lambda modules: loops.test_sigtstp_is_only_used_where_it_exists(modules, "win32"),
    ),
    "UTF-8": (
        AssertionError,
        lambda modules: files.test_templates_are_read_as_utf8_on_windows(modules, "win32"),
    ),
    "target device": (
        AssertionError,
        lambda modules: setup.test_target_device(modules, "win32", "12.6", "cuda", "cuda"),
    ),
    "cmake arguments": (AssertionError, setup.test_cmake_gets_windows_paths_it_can_read),
    "nvcc.exe": (AssertionError, lambda modules: setup.test_nvcc_name(modules, "win32")),
    "fcntl, uvloop": (
        AssertionError,
        imports.test_no_posix_module_is_imported_on_windows_at_module_level,
    ),
}
PROOFS_IN_A_FOLDER: dict[str, tuple[type[BaseException], Callable[[Modules, Path], None]]] = {
    "flock": (NameError, files.test_file_lock_waits_like_flock),
    "jobs": (
        AssertionError,
        lambda modules, folder: setup.test_build_leaves_the_jobs_to_ninja_on_windows(
            modules, "win32", folder
        ),
    ),
    "temporary file": (
        KeyError,
        lambda modules, folder: files.test_batch_results_are_uploaded_and_removed(modules, "win32", folder),
    ),
}


@pytest.mark.parametrize("name", PROOFS)
def test_the_proof_fails_on_pristine_modules(pristine_modules: Modules, name: str) -> None:
    expected, proof = PROOFS[name]
    with pytest.raises(expected):
        proof(pristine_modules)


@pytest.mark.parametrize("name", PROOFS_IN_A_FOLDER)
def test_the_proof_with_files_fails_on_pristine_modules(
    pristine_modules: Modules, name: str, tmp_path: Path
) -> None:
    expected, proof = PROOFS_IN_A_FOLDER[name]
    with pytest.raises(expected):
        proof(pristine_modules, tmp_path)
