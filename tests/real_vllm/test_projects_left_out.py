"""v0.33.0 without the projects that MSVC does not build: another way is taken, or a refusal says so."""

from __future__ import annotations

import types
from pathlib import Path

import pytest

from tests.real_vllm.modules import BOTH_PLATFORMS, Modules, Recorder, fake_sys
from tests.real_vllm.newest import patched_modules

pytestmark = pytest.mark.network
KIMI = ("vllm/models/kimi_k3/nvidia/kda.py", "resolve_kda_prefill_backend")
GLM = ("vllm/models/glm5next/common/kda.py", "_resolve_kda_prefill_backend")
QUANTIZATION = "vllm/model_executor/layers/quantization"
QUTLASS = f"{QUANTIZATION}/compressed_tensors/transform/schemes/linear_qutlass_nvfp4.py"


@pytest.fixture(scope="module")
def newest(checkout: Path, test_cache: Path) -> Modules:
    return patched_modules(checkout, test_cache)


@BOTH_PLATFORMS
@pytest.mark.parametrize("place", [KIMI, GLM])
def test_flashkda_gives_way_to_triton(newest: Modules, platform: str, place: tuple[str, str]) -> None:
    card = types.SimpleNamespace(major=12, minor=0)
    resolve = newest.cut(
        *place,
        sys=fake_sys(platform),
        current_platform=types.SimpleNamespace(is_cuda=lambda: True, get_device_capability=lambda: card),
        torch=types.SimpleNamespace(bfloat16="bf16"),
        logger=Recorder(),
        is_flashkda_supported=lambda *_: True,
        is_flashinfer_recurrent_kda_prefill_supported=lambda *_: False,
    )
    state = ("bf16",) if place == KIMI else ()
    for backend, linux in {"auto": "flashkda", "flashkda": "flashkda", "triton": "triton"}.items():
        if platform == "win32" and backend == "flashkda":
            with pytest.raises(RuntimeError, match="FlashKDA is not built on Windows; use 'triton'"):
                resolve(backend, 128, "bf16", *state, -5.0)
        else:
            found = resolve(backend, 128, "bf16", *state, -5.0)
            assert found == ("triton" if platform == "win32" else linux)


@BOTH_PLATFORMS
def test_fpquant_is_refused_and_qutlass_not_chosen(newest: Modules, platform: str) -> None:
    class Scheme:
        """Stands in for CompressedTensorsW4A4Fp4."""

    method = types.SimpleNamespace()
    make = newest.cut(f"{QUANTIZATION}/fp_quant.py", "FPQuantLinearMethod.__init__", sys=fake_sys(platform))
    choose = newest.cut(
        QUTLASS, "is_qutlass_fp4_scheme", sys=fake_sys(platform), CompressedTensorsW4A4Fp4=Scheme
    )
    transform = types.SimpleNamespace(scheme=types.SimpleNamespace(head_dim=32))
    assert choose(Scheme(), {0: transform}) is (platform == "linux")
    if platform == "win32":
        with pytest.raises(RuntimeError, match="FPQuant needs QuTLASS, which is not built on Windows"):
            make(method, "config")
    else:
        make(method, "config")
        assert method.quant_config == "config"
