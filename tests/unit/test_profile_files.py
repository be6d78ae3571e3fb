"""Profile files as editors write them, where they are found, and how they inherit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.errors import ProfileError
from winvllm_build.profile import tomlfile
from winvllm_build.profile.files import available, find_project
from winvllm_build.profile.loader import ProfileRoots, ResolvedProfile, resolve, schema
from winvllm_build.profile.problem import LayerKind, Origin, Problem

TEXT = 'tag = "v0.14.1"\n\n[build]\nmax_jobs = 3\n'
HERE = Origin(layer=LayerKind.PROJECT, source="here.toml")


@pytest.fixture
def roots(tmp_path: Path) -> ProfileRoots:
    found = ProfileRoots(shipped=tmp_path / "shipped", user=tmp_path / "user")
    found.shipped.mkdir()
    found.user_profiles.mkdir(parents=True)
    return found


def resolved(name: str | None, roots: ProfileRoots) -> ResolvedProfile:
    return resolve(name, roots=roots, environment={}, overrides={})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_files_of_windows_editors_load_with_their_lines(
    roots: ProfileRoots, encoding: str, newline: str
) -> None:
    (roots.shipped / "mine.toml").write_bytes(TEXT.replace("\n", newline).encode(encoding))
    found = resolved("mine", roots)
    assert found.profile.build.max_jobs == 3
    assert found.origins["build.max_jobs"].line == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'tag = "a\nb"', "here.toml:1: is not valid TOML"),
        (b"a = 1\n\nb = \n", "here.toml:3: is not valid TOML"),
        (b"a = 1\n[b\n", "here.toml:2: is not valid TOML"),
        (b"a = 1\na = 2\n", "here.toml:2: is not valid TOML"),
        (b'a = 1\nhome = "C:\\Program Files"\n', "write a Windows path with / or in single quotes"),
        (b"a = 1\nb = '\xff'\n", "here.toml:2: is not UTF-8 text"),
        (b"#" * (1 << 20) + b"#", "larger than 1 MiB"),
    ],
)
def test_an_unreadable_file_is_told_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "here.toml"
    path.write_bytes(content)
    problem = tomlfile.read(path, HERE)
    assert isinstance(problem, Problem)
    assert said in str(problem)


def test_a_folder_or_nothing_in_place_of_a_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml"):
        assert isinstance(tomlfile.read(path, HERE), Problem)


def test_lines_of_keys_in_every_notation() -> None:
    text = (
        "# head = 1\n"
        'a.b = "x # = [" # tail = 2\n'
        '"quo.ted" = """one\n'
        "two = 3\n"
        '""""\n'
        "list = [ # why\n"
        "  'x = 1', # [no]\n"
        "]\n"
        "[ table . inner ] # note\n"
        "key = { p = 1, q = [2,\n3] }\n"
        "last = '''x\n'''"
    )
    assert tomlfile.key_lines(text) == {
        ("a", "b"): 2,
        ("quo.ted",): 3,
        ("list",): 6,
        ("table", "inner"): 9,
        ("table", "inner", "key"): 10,
        ("table", "inner", "last"): 12,
    }


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.text(max_size=8), st.booleans()), max_size=8))
def test_lines_are_right_whatever_the_values_hold(entries: list[tuple[str, str, bool]]) -> None:
    lines: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    for number, (name, content, blank) in enumerate(entries):
        if blank:
            lines.append("# [x] = '")
        escaped = "".join(f"\\U{ord(c):08x}" for c in content if not 0xD800 <= ord(c) < 0xE000)
        expected[(f"{name}{number}",)] = len(lines) + 1
        lines.append(f'{name}{number} = ["=[{escaped}", {{ k = "]" }}]')
    assert tomlfile.key_lines("\n".join(lines)) == expected


def test_the_project_file_is_found_upwards(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    assert find_project(deep) is None
    outer, inner = tmp_path / "winvllm-build.toml", tmp_path / "a" / "b" / "winvllm-build.toml"
    outer.write_text("")
    assert find_project(deep) == outer
    inner.write_text("")
    assert find_project(deep) == inner
    assert find_project(tmp_path) == outer


def test_relative_folders_start_at_the_file(roots: ProfileRoots, hermetic_seal: Path) -> None:
    (roots.shipped / "mine.toml").write_text(
        "[source]\nlocation = '../vllm'\ndependencies = { cutlass = 'cutlass', other = '~/x' }\n"
        "[python]\nexecutable = 'python3.11'\n[cuda]\nhome = 'C:\\CUDA\\v13.0'\n"
    )
    profile = resolved("mine", roots).profile
    assert profile.source.location == str(roots.shipped / "../vllm")
    assert profile.source.dependencies == {
        "cutlass": str(roots.shipped / "cutlass"),
        "other": str(hermetic_seal / "x"),
    }
    assert profile.python.executable == "python3.11"
    assert profile.cuda.home == "C:\\CUDA\\v13.0"


@pytest.mark.parametrize("address", ["https://host/vllm", "git@host:vllm.git", "file:///x"])
def test_addresses_are_left_alone(roots: ProfileRoots, address: str) -> None:
    (roots.shipped / "mine.toml").write_text(f'[source]\nlocation = "{address}"\n')
    assert resolved("mine", roots).profile.source.location == address


def test_inheriting_puts_the_other_files_below(roots: ProfileRoots) -> None:
    (roots.shipped / "base.toml").write_text(
        "[build]\nmax_jobs = 1\nwheel = false\n[cuda]\nnvcc_threads = 2\n"
    )
    (roots.user_profiles / "base.toml").write_text("[cuda]\nnvcc_threads = 3\n")
    (roots.user_profiles / "mine.toml").write_text('inherit = "base"\n[build]\nmax_jobs = 4\n')
    found = resolved("mine", roots)
    assert (found.profile.build.max_jobs, found.profile.build.wheel) == (4, False)
    assert found.profile.cuda.nvcc_threads == 3
    assert found.profile.inherit == "base"
    assert str(found.origins["build.wheel"]) == f"{roots.shipped / 'base.toml'}:3"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"mine": "mine"}, 'mine.toml:2: inherit: a cycle: "mine" inherits itself'),
        ({"mine": "b", "b": "mine"}, "mine.toml:2: inherit: a cycle: mine -> b -> mine"),
        ({"mine": "b", "b": "c", "c": ""}, "one level is allowed, this is a chain: mine -> b -> c"),
        ({"mine": "quikstart", "quickstart": ""}, 'named "quikstart"; did you mean "quickstart"?'),
        ({"mine": "../shipped/mine.toml"}, 'inherit: there is no profile named "../shipped/mine.toml"'),
    ],
)
def test_impossible_inheritance_is_refused(roots: ProfileRoots, files: dict[str, str], said: str) -> None:
    for name, parent in files.items():
        line = f'inherit = "{parent}"\n' if parent else ""
        (roots.shipped / f"{name}.toml").write_text(f"# head\n{line}")
    with pytest.raises(ProfileError) as caught:
        resolved("mine", roots)
    assert said in str(caught.value)


def test_the_profile_is_named_by_command_line_variable_project_or_user(roots: ProfileRoots) -> None:
    for name in ("a", "b", "c", "d"):
        (roots.shipped / f"{name}.toml").write_text(f'description = "{name}"\n')
    project = roots.shipped.parent / "winvllm-build.toml"
    project.write_text('inherit = "c"\n')
    roots.user_file.write_text('inherit = "d"\n')
    with_project = ProfileRoots(shipped=roots.shipped, user=roots.user, project=project)
    variable = {"WINVLLM_PROFILE": "b"}
    chosen = [
        resolve("a", roots=with_project, environment=variable, overrides={}),
        resolve(None, roots=with_project, environment=variable, overrides={}),
        resolve(None, roots=with_project, environment={}, overrides={}),
        resolve(None, roots=roots, environment={}, overrides={}),
    ]
    assert [found.name for found in chosen] == ["a", "b", "c", "d"]
    assert [found.profile.description for found in chosen] == ["a", "b", "c", "d"]
    assert [found.profile.inherit for found in chosen] == [None, None, "c", "d"]


@pytest.mark.parametrize("name", ["sm68", "../shipped/sm86", "SM86"])
def test_an_unknown_name_is_refused(roots: ProfileRoots, name: str) -> None:
    (roots.shipped / "sm86.toml").write_text("")
    with pytest.raises(ProfileError, match=r'did you mean "sm86"|cannot be read'):
        resolved(name, roots)


def test_an_unknown_name_in_a_variable_names_the_variable(roots: ProfileRoots) -> None:
    with pytest.raises(
        ProfileError, match='environment variable WINVLLM_PROFILE: there is no profile named "x"'
    ):
        resolve(None, roots=roots, environment={"WINVLLM_PROFILE": "x"}, overrides={})


def test_a_profile_may_be_named_by_its_file(roots: ProfileRoots, tmp_path: Path) -> None:
    (roots.shipped / "base.toml").write_text("[build]\nmax_jobs = 1\nwheel = false\n")
    path = tmp_path / "other.toml"
    path.write_text('inherit = "base"\n[build]\nmax_jobs = 9\n')
    found = resolved(str(path), roots)
    assert (found.profile.build.max_jobs, found.profile.build.wheel) == (9, False)
    assert str(found.origins["build.max_jobs"]) == f"{path}:3"


def test_available_lists_names_descriptions_and_broken_files(roots: ProfileRoots) -> None:
    (roots.shipped / "a.toml").write_text('description = "first"\n')
    (roots.user_profiles / "a.toml").write_text("[build]\nmax_jobs = 1\n")
    (roots.user_profiles / "bad.toml").write_text("= 1\n")
    (roots.user_profiles / "-odd name.toml").write_text("")
    found = {summary.name: summary for summary in available(roots)}
    assert set(found) == {"a", "bad"}
    assert (found["a"].description, found["a"].layer) == ("first", LayerKind.USER)
    assert found["bad"].description.startswith("unusable: is not valid TOML")


def test_the_schema_describes_every_key() -> None:
    described = schema()
    sections = [described, *described["$defs"].values()]
    assert all(
        "description" in node or "$ref" in node
        for part in sections
        for node in part.get("properties", {}).values()
    )
    assert described["additionalProperties"] is False
