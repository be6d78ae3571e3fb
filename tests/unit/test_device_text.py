"""What a comparison of the front end's device text sees, and what it looks past."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import device_text

TEXT = """\
typedef char __nv_bool;
# 7 "csrc/a.cu"
struct __C5 { int a; };
__global__ __attribute__((visibility("hidden"))) void _Z6kernelPii(
int *p,  int n){
{ int __cuda_local_var_2459_7_non_const_sum; struct __T17 __T18;
# 9 "csrc/a.cu"
__cuda_local_var_2459_7_non_const_sum = n; p[0] = _Z5twicei("}" , &__T18);
}}
___device__(static  __no_sc__) __inline__ int _Z5twicei(
int n){ { return n + n; }
}
"""
OTHERWISE = TEXT.replace("_2459_", "_3902_").replace("__T17", "__T93").replace("__T18", "__T94")


def read(folder: Path, text: str) -> device_text.Functions:
    file = folder / "a.gpu"
    file.write_text(text, encoding="utf-8")
    return device_text.read(file)


def test_numbers_and_lines_of_the_front_end_are_no_difference(tmp_path: Path) -> None:
    old, new = read(tmp_path, TEXT), read(tmp_path, OTHERWISE.replace("# 9 ", "# 11 "))
    assert list(old.kernels) == ["_Z6kernelPii"]
    assert list(old.others) == ["_Z5twicei"]
    assert old.digest == new.digest
    assert new.differing(old) == new.others_differing(old) == []


@pytest.mark.parametrize(
    ("old", "new", "kernels", "others"),
    [
        ("p[0] = ", "p[1] = ", ["_Z6kernelPii"], []),
        ("&__T94", "&__T93", ["_Z6kernelPii"], []),
        ("n + n", "n * n", [], ["_Z5twicei"]),
        ("_Z6kernelPii", "_Z7anotherPii", ["_Z6kernelPii", "_Z7anotherPii"], []),
    ],
)
def test_another_word_is_a_difference_of_its_function(
    tmp_path: Path, old: str, new: str, kernels: list[str], others: list[str]
) -> None:
    before, after = read(tmp_path, TEXT), read(tmp_path, OTHERWISE.replace(old, new))
    assert after.differing(before) == kernels
    assert after.others_differing(before) == others


def test_what_torch_adds_to_the_other_side_does_not_count(tmp_path: Path) -> None:
    more = "___device__(static  __no_sc__) void _ZN5torch3addEv(){ { }\n}\n"
    before, after = read(tmp_path, TEXT + more), read(tmp_path, TEXT)
    assert after.others_differing(before) == []
    assert before.others_differing(after) == ["_ZN5torch3addEv"]
