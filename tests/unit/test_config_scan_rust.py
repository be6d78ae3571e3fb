"""Rust: conditions, what stands around a place, which crates and modules are built, and what is of Unix."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from winvllm_build.audit.config.rust import scan
from winvllm_build.audit.config.rust_cfg import LINUX, WINDOWS, evaluate
from winvllm_build.audit.config.ternary import Answer
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Found, Reach, State

USE = "use std::os::unix::net::UnixStream;\n"


def found(tree: Mapping[str, str]) -> Found:
    return scan(Files.of_mapping({path: text.encode() for path, text in tree.items()}))


def states(text: str) -> list[State]:
    return [hit.state for hit in found({"src/a.rs": text}).hits]


@pytest.mark.parametrize(
    ("condition", "windows", "linux"),
    [
        ("unix", False, True),
        ("windows", True, False),
        ('target_os = "linux"', False, True),
        ('target_os="macos"', False, False),
        ('any(target_os = "linux", target_os = "windows")', True, True),
        ("not(unix)", True, False),
        ('all(unix, not(target_os = "macos"))', False, True),
        ('not(target_env = "msvc")', False, True),
        ("test", False, False),
        ('feature = "x"', None, None),
        ('all(feature = "x", unix)', False, None),
        ('any(feature = "x", unix,)', None, True),
        ("all()", True, True),
        ("any()", False, False),
        ("debug_assertions", None, None),
        ("true", True, True),
        ('target_has_atomic = "64"', None, None),
    ],
)
def test_conditions_on_both_targets(condition: str, windows: Answer, linux: Answer) -> None:
    assert (evaluate(condition, WINDOWS), evaluate(condition, LINUX)) == (windows, linux)


@pytest.mark.parametrize("text", ["", "all(unix", "unix windows", "=", 'feature "x"', "unix)", "a ? b"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ValueError, match="no condition of Rust"):
        evaluate(text, WINDOWS)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (USE, State.LIVE),
        (f"#[cfg(unix)]\n{USE}", State.GUARDED),
        (f"#[cfg(windows)]\n{USE}", State.LIVE),
        (f'#[cfg(target_os = "macos")]\n{USE}', State.DEAD),
        (f"#[cfg(unix)]\n// why\n#[allow(unused)]\n{USE}", State.GUARDED),
        (f"#[cfg(unix)]\nuse a::b;\n{USE}", State.LIVE),
        (f"#![cfg(unix)]\n{USE}", State.GUARDED),
        (f"#[cfg(unix)]\nmod a {{\n{USE}}}", State.GUARDED),
        (f"mod a {{\n#![cfg(unix)]\n{USE}}}", State.GUARDED),
        (f"#[cfg(test)]\nmod tests {{\n{USE}}}", State.DEAD),
        (f'#[cfg(feature = "x")]\n{USE}', State.LIVE),
        (f"cfg_if! {{ if #[cfg(unix)] {{ {USE} }} else {{ }} }}", State.GUARDED),
        (f"cfg_if::cfg_if! {{ if #[cfg(windows)] {{ }} else {{ {USE} }} }}", State.GUARDED),
        (f"cfg_if! {{ if #[cfg(windows)] {{ {USE} }} else {{ }} }}", State.LIVE),
        ("fn f() { #[cfg(unix)] { libc::kill(1, 2); } }", State.GUARDED),
        ("fn f() { if cfg!(unix) { libc::kill(1, 2); } }", State.LIVE),
        ("fn f(a: i32) { match a { #[cfg(unix)] 1 => libc::kill(1, 2), _ => 0 } }", State.GUARDED),
        ("impl A {\n    #[cfg(unix)]\n    fn f() { libc::kill(1, 2); }\n}", State.GUARDED),
    ],
)
def test_what_stands_around_a_place_decides(text: str, state: State) -> None:
    assert states(text) == [state]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ('fn f() -> &\'static str { "/tmp/x" }', State.LIVE),
        ('fn f() -> &\'static str { if cfg!(windows) { "C:/x" } else { "/tmp/x" } }', State.GUARDED),
        ('fn f() -> &\'static str { if cfg!(unix) { "/tmp/x" } else { "C:/x" } }', State.GUARDED),
        ('fn f() -> &\'static str { if cfg!(unix) { "x" } else { "/tmp/x" } }', State.LIVE),
        ('fn f() -> String { format!("ipc://{}", 1) }', State.LIVE),
    ],
)
def test_what_only_runs_is_met_by_a_condition_that_runs(text: str, state: State) -> None:
    assert states(text) == [state]


@pytest.mark.parametrize(
    "text",
    [
        f"// {USE}",
        f"/* {USE} */",
        f"/// {USE}fn f() {{}}",
        'const A: &str = "std::os::unix";',
        "use libc::c_int;\nfn f() -> i32 { unsafe { libc::getpid() } }",
        "fn f(code: i32) -> bool { code == libc::ESRCH || code == libc::SIGTERM }",
        "use std::os::raw::c_char;\nuse std::os::windows::io::AsRawHandle;",
        "use tokio::net::{TcpListener, TcpStream};\nenum Kind { UnixListener }",
        'const PATH: &str = "/v1/models";\nconst OTHER: &str = "tmp/x";',
    ],
)
def test_what_is_not_of_unix(text: str) -> None:
    assert states(text) == []


def test_a_list_of_imports_is_one_place_for_each_line() -> None:
    hits = found(
        {"src/a.rs": "use tokio::net::{\n    UnixListener, UnixStream,\n    TcpListener,\n};\n"}
    ).hits
    assert [(hit.rule, hit.line) for hit in hits] == [("tokio-of-unix", 2)]


def test_places_are_counted_in_characters() -> None:
    hits = found({"src/a.rs": f'// ä 漢字\nconst A: &str = "ö";\n#[cfg(unix)]\n{USE}{USE}'}).hits
    assert [(hit.line, hit.state) for hit in hits] == [(4, State.GUARDED), (5, State.LIVE)]


def test_modules_are_left_out_with_their_declaration() -> None:
    tree = {
        "src/lib.rs": '#[cfg(test)]\nmod tests;\nmod a;\n#[cfg(unix)]\n#[path = "other.rs"]\nmod b;\n',
        "src/tests.rs": f"mod deep;\n{USE}", "src/tests/deep.rs": USE, "src/a.rs": f"mod c;\n{USE}",
        "src/a/c/mod.rs": USE, "src/other.rs": USE,
    }  # fmt: skip
    assert {hit.path: hit.state for hit in found(tree).hits} == {
        "src/tests.rs": State.DEAD, "src/tests/deep.rs": State.DEAD, "src/a.rs": State.LIVE,
        "src/a/c/mod.rs": State.LIVE, "src/other.rs": State.GUARDED,
    }  # fmt: skip


WORKSPACE = {
    "setup.py": 'RustExtension(path="rust/cmd/Cargo.toml", features=["given"])\n',
    "rust/Cargo.toml": '[workspace.dependencies]\nours = { path = "ours" }\nopenssl = "0.10"\n',
    "rust/cmd/Cargo.toml": '[package]\nname = "cmd"\n[features]\ngiven = ["more"]\n[dependencies]\nours = '
    '{ workspace = true, features = ["asked"] }\n',
    "rust/ours/Cargo.toml": '[package]\nname = "ours"\n[features]\ndefault = ["base"]\n[dependencies]\n',
    "rust/other/Cargo.toml": '[package]\nname = "other"\n[dependencies]\nours = { workspace = true, '
    'features = ["never"] }\n[dev-dependencies]\nnix = "0.29"\n',
}


def test_only_what_the_build_makes_is_of_the_build() -> None:
    sources = {f"rust/{crate}/src/lib.rs": USE for crate in ("cmd", "ours", "other")}
    reaches = {
        hit.path: hit.reach for hit in found({**WORKSPACE, **sources, "rust/ours/tests/a.rs": USE}).hits
    }
    assert reaches == {
        "rust/cmd/src/lib.rs": Reach.BUILD, "rust/ours/src/lib.rs": Reach.BUILD,
        "rust/other/src/lib.rs": Reach.CORNER, "rust/ours/tests/a.rs": Reach.CORNER,
        "rust/other/Cargo.toml": Reach.CORNER,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("crate", "feature", "state"),
    [("cmd", "given", State.LIVE), ("cmd", "more", State.LIVE), ("cmd", "none", State.DEAD),
     ("ours", "asked", State.LIVE), ("ours", "base", State.LIVE), ("ours", "never", State.DEAD)],
)  # fmt: skip
def test_features_are_those_that_the_build_gives(crate: str, feature: str, state: State) -> None:
    path = f"rust/{crate}/src/lib.rs"
    hits = found({**WORKSPACE, path: f'#[cfg(feature = "{feature}")]\n{USE}'}).hits
    assert [hit.state for hit in hits if hit.path == path] == [state]


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ('[dependencies]\nnix = "0.29"', [("crate-of-unix", 4, State.LIVE)]),
        ("[target.'cfg(unix)'.dependencies]\nnix = \"0.29\"", [("crate-of-unix", 4, State.GUARDED)]),
        ("[target.'cfg(windows)'.dependencies]\nserde = \"1\"", []),
        ('[dependencies.nix]\nversion = "0.29"', [("crate-of-unix", 3, State.LIVE)]),
        (
            '[dependencies]\nssl = { package = "openssl", version = "0.10" }',
            [("openssl-not-vendored", 4, State.LIVE)],
        ),
        ('[dependencies]\nopenssl = { version = "0.10", features = ["vendored"] }', []),
        ('[build-dependencies]\nnix = "0.29"', [("crate-of-unix", 4, State.LIVE)]),
    ],
)
def test_what_manifests_ask_for(manifest: str, expected: list[tuple[str, int, State]]) -> None:
    hits = found({"Cargo.toml": f'[package]\nname = "a"\n{manifest}\n'}).hits
    assert [(hit.rule, hit.line, hit.state) for hit in hits] == expected


def test_what_cannot_be_read_is_named() -> None:
    tree = {"Cargo.toml": "[package\n", "src/a.rs": f"fn f( {{\n{USE}", "src/b.rs": USE}
    blind = found(tree).blind
    assert {one.path for one in blind} == {"Cargo.toml", "src/a.rs"}
    assert all(one.lines for one in blind if one.path.endswith(".rs"))
