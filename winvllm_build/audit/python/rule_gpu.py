"""Rules on torch, CUDA and the packages around them: what their Windows builds lack."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from winvllm_build.audit.python.flow import Scope
from winvllm_build.audit.python.site import Finding, Rules, Site

GROUPS: Final = frozenset(
    ["init_process_group", "new_group", "init_device_mesh", "new_subgroups_by_enumeration"]
)
BACKENDS: Final = re.compile(r"\b(?:nccl|gloo)\b")
INDUCTOR: Final = "inductor"
CHOSEN: Final = re.compile(r"flashinfer|trtllm|_FI_|_FI\b|mnnvl", re.IGNORECASE)
"""Names of what runs only where FlashInfer was asked for and found."""
ASKS: Final = re.compile(
    r"has_flashinfer|is_flashinfer|FLASHINFER|use_flashinfer|FlashInfer\w*Backend|supports_trtllm"
)
"""What a module mentions that chooses FlashInfer at run time: its functions import it once it is chosen."""
HANDLES: Final = frozenset(
    [
        "cudaIpcGetMemHandle",
        "cudaIpcOpenMemHandle",
        "_share_cuda_",
        "_new_shared_cuda",
        "reduce_tensor(",
        "rebuild_cuda_tensor",
    ]
)
LEGACY: Final = re.compile(r"^numpy\.random\.(?:randint|random_integers)$")
WIDE: Final = re.compile(
    r"INT64|int64|sys\.maxsize|2 ?\*\* ?(?:3[1-9]|[4-9]\d)|1 << (?:3[1-9]|[4-9]\d)|MAX_INT|iinfo"
    r"|0x[0-9a-fA-F]{8,}"
)
NARROW: Final = 2**31
EXTENSION: Final = re.compile(
    r"^vllm\.(?:_C\w*|_moe_C|_flashmla\w*|cumem_allocator|vllm_flash_attn\._vllm_fa\w+)$"
)
LOADERS: Final = re.compile(r"(?:^|\.)(?:safe_open|load_file)$")


def groups(site: Site) -> Iterator[Finding]:
    """Process groups: Windows' torch has no NCCL, and Gloo only from 2.11 on."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    name = site.dotted(node.func)
    if name.rpartition(".")[2] in GROUPS and name.startswith(("torch.", "dist.")):
        written = [*node.args[:2], *(k.value for k in node.keywords if k.arg in {"backend", "pg_options"})]
        text = " ".join(ast.unparse(value) for value in written)
        if BACKENDS.search(text):
            yield Finding(hazard="E24", rule="backend-named", detail=text[:60])
        elif name.endswith("init_process_group"):
            yield Finding(hazard="E24", rule="group-made", detail=text[:60])
        if any(k.arg == "init_method" for k in node.keywords):
            yield Finding(hazard="E25", rule="address-resolved", detail="init_method")
    elif name.endswith("TCPStore") and not any(k.arg == "use_libuv" for k in node.keywords):
        yield Finding(hazard="E24", rule="libuv", detail="TCPStore without use_libuv")


def copies(site: Site) -> Iterator[Finding]:
    """`cuGetProcAddress(b"cuMemcpyBatchAsync", ...)`."""
    node = site.node
    if isinstance(node, ast.Call) and site.dotted(node.func).endswith("cuGetProcAddress") and node.args:
        asked = ast.unparse(node.args[0])
        if "MemcpyBatchAsync" in asked or "Memcpy3DBatchAsync" in asked:
            yield Finding(hazard="E40", rule="batched-copy", detail=asked)


def defaults(site: Site) -> Iterator[Finding]:
    """`simple_compile_backend: str = "inductor"`."""
    node = site.statement
    if site.node is not node or not isinstance(node, ast.AnnAssign | ast.Assign):
        return
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    name = ast.unparse(target)
    value = node.value
    if "backend" in name and isinstance(value, ast.Constant) and value.value == INDUCTOR:
        yield Finding(hazard="E32", rule="inductor-default", detail=f"{name} = inductor")


def flavours(site: Site) -> Iterator[Finding]:
    """Gloo and NCCL classes of torch."""
    node = site.node
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch.distributed"):
        for name in node.names:
            if name.name in {"ProcessGroupGloo", "ProcessGroupNCCL"}:
                yield Finding(
                    hazard="E24",
                    rule="group-class",
                    detail=name.name,
                    raises=("ImportError",),
                    unless=r"nccl|gloo|backend",
                )


def packages(site: Site) -> Iterator[Finding]:
    """`import flashinfer` and `import triton` where nothing asks whether they are there."""
    node = site.node
    names = []
    if isinstance(node, ast.Import):
        names = [name.name for name in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [node.module or ""]
    for name in names:
        head = name.partition(".")[0]
        if head == "flashinfer":
            asked = site.place.function is not None and ASKS.search(site.module.text)
            met = bool(asked or CHOSEN.search(" ".join([site.module.path, *_scopes(site)])))
            yield Finding(
                hazard="E23", rule="flashinfer-import", detail=name, raises=("ModuleNotFoundError",),
                unless=CHOSEN.pattern, met=met,
            )  # fmt: skip
        elif head == "triton":
            yield Finding(
                hazard="E32",
                rule="triton-import",
                detail=name,
                raises=("ModuleNotFoundError",),
                unless=r"triton",
            )
        elif EXTENSION.search(name):
            yield Finding(hazard="E31", rule="extension-import", detail=name)


def _scopes(site: Site) -> list[str]:
    return [around.name for around in site.place.inside if isinstance(around, Scope)]


def extension_in_try(site: Site) -> Iterator[Finding]:
    """A compiled extension in a try that takes only ModuleNotFoundError for `not there`.

    A missing DLL raises ImportError, a library that is not found AssertionError or OSError.
    """
    node = site.node
    if not isinstance(node, ast.Try):
        return
    text = "\n".join(ast.unparse(statement) for statement in node.body)
    if not re.search(r"vllm\._\w*C\b|cumem_allocator|find_loaded_library", text):
        return
    for handler in node.handlers:
        kinds = ast.unparse(handler.type) if handler.type is not None else "Exception"
        if "ModuleNotFoundError" not in kinds:
            continue
        hazard = "E14" if "find_loaded_library" in text or "CudaRTLibrary" in text else "E31"
        met = "platform" in kinds
        yield Finding(hazard=hazard, rule="narrow-except", detail=kinds[:60], met=met)


def handles(site: Site) -> Iterator[Finding]:
    """CUDA memory shared between processes."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    name = site.dotted(node.func) or ast.unparse(node.func)
    if name.rpartition(".")[2] in HANDLES:
        yield Finding(hazard="E59", rule="cuda-ipc", detail=name[:60], raises=("RuntimeError",))


def numbers(site: Site) -> Iterator[Finding]:
    """NumPy's legacy randint draws C long, which has 32 bits."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    name = site.dotted(node.func)
    legacy = LEGACY.search(name) or (
        isinstance(node.func, ast.Attribute)
        and node.func.attr == "randint"
        and _is_random_state(node.func.value)
    )
    if legacy and not any(keyword.arg == "dtype" for keyword in node.keywords):
        bounds = " ".join(ast.unparse(value) for value in node.args)
        if WIDE.search(bounds) or any(_number(value) >= NARROW for value in node.args):
            yield Finding(hazard="E20", rule="randint-width", detail=bounds[:60])
    for keyword in node.keywords:
        if keyword.arg == "dtype" and name.startswith("numpy.") and ast.unparse(keyword.value) in DEFAULT_INT:
            yield Finding(hazard="E61", rule="default-int", detail=ast.unparse(keyword)[:40])


DEFAULT_INT: Final = frozenset(["int", "np.int_", "numpy.int_", "np.long", "np.intc"])


def _is_random_state(owner: ast.expr) -> bool:
    return bool(re.search(r"rng|random_state|RandomState|np\.random", ast.unparse(owner)))


def _number(node: ast.expr) -> int:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else 0


def weights(site: Site) -> Iterator[Finding]:
    """Safetensors maps a whole file into memory; Windows commits it."""
    node = site.node
    if isinstance(node, ast.Call):
        name = site.dotted(node.func)
        if LOADERS.search(name) and name.startswith("safetensors."):
            yield Finding(hazard="E26", rule="mapped-weights", detail=name)


def shared_memory(site: Site) -> Iterator[Finding]:
    """A named block of memory goes with its last handle; unlink does nothing."""
    node = site.node
    if not (isinstance(node, ast.Call) and site.dotted(node.func).endswith("shared_memory.SharedMemory")):
        return
    if any(keyword.arg == "create" and ast.unparse(keyword.value) != "False" for keyword in node.keywords):
        yield Finding(hazard="E58", rule="shared-memory", detail="SharedMemory(create=True)")


def metrics(site: Site) -> Iterator[Finding]:
    """Prometheus' folder of mapped files for several processes."""
    node = site.node
    if isinstance(node, ast.Call) and site.dotted(node.func).endswith("MultiProcessCollector"):
        yield Finding(hazard="E41", rule="metrics-folder", detail="MultiProcessCollector")


def host_names(site: Site) -> Iterator[Finding]:
    """The machine's own name looked up in DNS."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    name = site.dotted(node.func)
    if name in {"socket.gethostbyname", "socket.getfqdn"} and "gethostname" in ast.unparse(node):
        yield Finding(
            hazard="E25", rule="own-name-resolved", detail=ast.unparse(node)[:60], raises=("OSError",)
        )


def refusals(site: Site) -> Iterator[Finding]:
    """`assert sys.platform == "linux"`, or a raise that Windows gets to."""
    node = site.node
    if isinstance(node, ast.Assert):
        text = ast.unparse(node.test)
        if (
            re.search(r"sys\.platform|platform\.system|os\.name", text)
            and "linux" in text.lower()
            and not WINDOWS.search(text)
        ):
            yield Finding(hazard="E38", rule="linux-asserted", detail=text[:60], raises=("AssertionError",))
    elif isinstance(node, ast.If) and any(isinstance(inner, ast.Raise) for inner in node.body):
        text = ast.unparse(node.test)
        if LINUX_ONLY.search(text) and not WINDOWS.search(text):
            yield Finding(hazard="E38", rule="linux-asserted", detail=text[:60])


WINDOWS: Final = re.compile(r"win32|\bnt\b|windows", re.IGNORECASE)
LINUX_ONLY: Final = re.compile(
    r"(?:sys\.platform|platform\.system\(\)|os\.name).*(?:!=|not in|startswith).*(?:linux|posix)"
    r"|not .*startswith\('linux",
    re.IGNORECASE,
)

RULES: Final[Rules] = {
    ast.Call: (groups, copies, handles, numbers, weights, shared_memory, metrics, host_names),
    ast.AnnAssign: (defaults,),
    ast.Assign: (defaults,),
    ast.Import: (packages,),
    ast.ImportFrom: (packages, flavours),
    ast.Try: (extension_in_try,),
    ast.Assert: (refusals,),
    ast.If: (refusals,),
}
WORDS: Final = (
    "process_group", "new_group", "device_mesh", "TCPStore", '"inductor"', "ProcessGroup",
    "import flashinfer", "from flashinfer", "import triton", "from triton", "vllm._C",
    "vllm._moe_C", "vllm._flashmla", "_vllm_fa",
    "cumem_allocator", "cudaIpc", "_share_cuda_", "_new_shared_cuda", "reduce_tensor(",
    "rebuild_cuda", "randint", "random_integers", "dtype=int", "dtype=np.int_", "safe_open",
    "load_file", "SharedMemory", "MultiProcessCollector", "gethostbyname", "getfqdn",
    "sys.platform", "platform.system", "os.name", "cuGetProcAddress",
)  # fmt: skip
