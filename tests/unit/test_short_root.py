"""Short names for long folders: which pointer is taken, which is made, which is somebody else's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from winvllm_build import cuda_home, short_root
from winvllm_build.build import short_home
from winvllm_build.errors import StorageError
from winvllm_build.profile.model import Profile
from winvllm_build.short_root import Plan, Way, at_most, dos_path, letters_for, links_for, make_whole, reach
from winvllm_build.workspace import Workspace

ROOT = r"C:\Users\Maximiliane Mustermann-Beispiel\AppData\Local\winvllm-build\Cache"
LINK, SECOND = links_for(ROOT)


@dataclass
class Machine:
    """Pointers in memory; `refused` are the ways that the system does not allow."""

    links: dict[str, str] = field(default_factory=dict)
    letters: dict[str, str] = field(default_factory=lambda: {"C": "", "D": ""})
    refused: frozenset[Way] = frozenset()
    made: list[str] = field(default_factory=list)

    def junction(self, link: str) -> str | None:
        return self.links.get(link)

    def drives(self) -> Mapping[str, str]:
        return dict(self.letters)

    def make_junction(self, link: str, target: str) -> None:
        self._allow(Way.JUNCTION)
        self.links[link] = target
        self.made.append(link)

    def make_drive(self, letter: str, target: str) -> None:
        self._allow(Way.DRIVE)
        self.letters[letter] = target
        self.made.append(letter)

    def _allow(self, way: Way) -> None:
        if way in self.refused:
            raise PermissionError(13, "Access is denied")


def test_a_short_folder_is_left_alone() -> None:
    machine = Machine()
    assert reach(r"C:\w", wanted=at_most(40), pointers=machine) == Plan(
        way=Way.AS_IT_IS, view=r"C:\w", there=True
    )
    assert machine.made == []


def test_a_junction_is_made_once_and_found_by_every_later_run() -> None:
    machine = Machine()
    assert reach(ROOT, wanted=at_most(40), pointers=machine) == Plan(way=Way.JUNCTION, view=LINK, there=False)
    again = reach(ROOT.upper(), wanted=at_most(40), pointers=machine)  # Windows' paths have no case
    assert (again.view.lower(), again.there, machine.made) == (LINK.lower(), True, [LINK])


@pytest.mark.parametrize("other", ["", r"C:\somebody\else"])
def test_what_is_somebody_else_s_is_not_taken(other: str) -> None:
    machine = Machine(links={LINK: other})
    assert reach(ROOT, wanted=at_most(40), pointers=machine).view == SECOND
    assert machine.links[LINK] == other


def test_a_drive_letter_stands_in_where_no_junction_may_be_made() -> None:
    first, second = (letters_for(ROOT)[at] for at in (0, 1))
    machine = Machine(refused=frozenset({Way.JUNCTION}), letters={"C": "", first: r"\\server\share"})
    made = Plan(way=Way.DRIVE, view=f"{second}:\\", there=False)
    assert reach(ROOT, wanted=at_most(40), pointers=machine) == made
    assert reach(ROOT, wanted=at_most(40), pointers=machine) == replace(made, there=True)


def test_a_share_has_no_root_for_junctions() -> None:
    root = r"\\server\share\a folder with a rather long name\winvllm-build"
    assert links_for(root) == ()
    machine = Machine()
    made = reach(root, wanted=at_most(40), pointers=machine)
    assert made.way is Way.DRIVE
    assert reach(root, wanted=at_most(40), pointers=machine) == replace(made, there=True)


def test_a_letter_is_the_same_after_every_logon_and_another_for_another_folder() -> None:
    machine = Machine(refused=frozenset({Way.JUNCTION}))
    before = reach(ROOT, wanted=at_most(40), pointers=machine)
    reach(ROOT + "-other", wanted=at_most(40), pointers=machine)
    logon = Machine(refused=frozenset({Way.JUNCTION}))
    reach(ROOT + "-other", wanted=at_most(40), pointers=logon)
    assert reach(ROOT, wanted=at_most(40), pointers=logon) == before
    assert sorted(letters_for(ROOT)) == sorted(short_root.LETTERS)


@pytest.mark.parametrize(
    ("device", "folder"),
    [
        (r"\??\C:\w", r"C:\w"), (r"\??\UNC\server\share\w", r"\\server\share\w"),
        (r"\Device\HarddiskVolume3", ""), (r"\Device\LanmanRedirector\;Z:0000000000012345\server\share", ""),
    ],
)  # fmt: skip
def test_what_windows_notes_of_a_letter(device: str, folder: str) -> None:
    assert dos_path(device) == folder


def test_a_run_that_was_slower_takes_the_junction_of_the_faster_one() -> None:
    class Slower(Machine):
        def make_junction(self, link: str, target: str) -> None:
            self.links[link] = target
            raise FileExistsError(17, "Cannot create a file when that file already exists")

    machine = Slower()
    assert reach(ROOT, wanted=at_most(40), pointers=machine) == Plan(way=Way.JUNCTION, view=LINK, there=True)
    assert machine.links == {LINK: ROOT}


def test_a_letter_that_leads_elsewhere_once_it_is_made_is_not_taken() -> None:
    class Shared(Machine):
        def make_drive(self, letter: str, target: str) -> None:
            first = not self.made
            super().make_drive(letter, r"C:\another" if first else target)

    machine = Shared(refused=frozenset({Way.JUNCTION}))
    with pytest.raises(StorageError, match="it leads elsewhere"):
        reach(ROOT, wanted=at_most(40), pointers=machine)


@pytest.mark.parametrize(
    ("error", "taken_back"), [(FileExistsError(17, "exists"), False), (OSError(50, "not supported"), True)]
)
def test_only_an_own_half_made_junction_is_taken_back(error: OSError, taken_back: bool) -> None:  # noqa: FBT001 - a parameter
    def make() -> None:
        raise error

    removed: list[str] = []
    with pytest.raises(OSError, match=str(error.strerror)):
        make_whole(make, lambda: removed.append("link"))
    assert bool(removed) is taken_back


def test_a_toolkit_with_a_blank_gets_a_junction_however_short_it_is() -> None:
    machine = Machine()
    wanted = short_root.Wanted(fits=lambda view: cuda_home.first_mark(view) is None, lacks="", fix="")
    (link, _) = links_for(r"C:\C A")
    assert reach(r"C:\C A", wanted=wanted, pointers=machine).view == link
    assert reach(r"C:\CUDA\v13.0", wanted=wanted, pointers=machine).way is Way.AS_IT_IS


def test_what_cannot_be_made_is_told_with_the_variable_that_repairs_it() -> None:
    machine = Machine(refused=frozenset({Way.JUNCTION, Way.DRIVE}))
    with pytest.raises(StorageError, match=r"Access is denied.*Access is denied") as told:
        reach(ROOT, wanted=at_most(40), pointers=machine)
    assert "WINVLLM_BUILD_HOME" in str(told.value.fix)


def test_no_name_is_short_enough_for_no_room() -> None:
    machine = Machine()
    with pytest.raises(StorageError, match="none fits"):
        reach(ROOT, wanted=at_most(2), pointers=machine)
    assert machine.made == []


def test_the_long_form_of_a_target_is_the_same_folder() -> None:
    machine = Machine(links={LINK: f"\\\\?\\{ROOT}"})
    assert reach(ROOT, wanted=at_most(40), pointers=machine).there
    assert short_root.PREFIX in LINK


@pytest.mark.parametrize(("layers", "room"), [((), 68), (("gcc12",), 62)])
def test_a_longer_tree_leaves_less_room(layers: tuple[str, ...], room: int) -> None:
    assert short_home.room(Profile(tag="v0.33.0"), layers, long_paths=False) == room


def test_nothing_is_too_long_elsewhere_than_on_windows(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path / ("x" * 200))
    if sys.platform == "win32":
        pytest.skip("Windows makes a pointer; tests/wine looks at that")
    told: list[str] = []
    assert short_home.fitting(workspace, Profile(), (), on_event=told.append) == workspace
    assert not workspace.root.exists()
    assert told == []


def test_the_other_path_of_a_workspace_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    short = short_home.fitting(
        Workspace(root=tmp_path / "long"), Profile(), (), on_event=told.append,
        shorten=lambda root, room: root.with_name("w") if room > 0 else root,
    )  # fmt: skip
    assert short.root == tmp_path / "w"
    assert told == [
        f"{tmp_path / 'long'} is too long for Windows' programs; this build reaches it as {tmp_path / 'w'}"
    ]
