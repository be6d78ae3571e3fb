"""Short names for long folders: which pointer is taken, which is made, which is somebody else's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from winvllm_build import short_root
from winvllm_build.build import short_home
from winvllm_build.errors import StorageError
from winvllm_build.profile.model import Profile
from winvllm_build.short_root import Plan, Way, links_for, reach
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
    assert reach(r"C:\w", room=40, pointers=machine) == Plan(way=Way.AS_IT_IS, view=r"C:\w", there=True)
    assert machine.made == []


def test_a_junction_is_made_once_and_found_by_every_later_run() -> None:
    machine = Machine()
    assert reach(ROOT, room=40, pointers=machine) == Plan(way=Way.JUNCTION, view=LINK, there=False)
    again = reach(ROOT.upper(), room=40, pointers=machine)  # Windows' paths have no case
    assert (again.view.lower(), again.there, machine.made) == (LINK.lower(), True, [LINK])


@pytest.mark.parametrize("other", ["", r"C:\somebody\else"])
def test_what_is_somebody_else_s_is_not_taken(other: str) -> None:
    machine = Machine(links={LINK: other})
    assert reach(ROOT, room=40, pointers=machine).view == SECOND
    assert machine.links[LINK] == other


def test_a_drive_letter_stands_in_where_no_junction_may_be_made() -> None:
    machine = Machine(refused=frozenset({Way.JUNCTION}), letters={"C": "", "Z": r"\\server\share"})
    assert reach(ROOT, room=40, pointers=machine) == Plan(way=Way.DRIVE, view="Y:\\", there=False)
    assert reach(ROOT, room=40, pointers=machine) == Plan(way=Way.DRIVE, view="Y:\\", there=True)


def test_a_share_has_no_root_for_junctions() -> None:
    root = r"\\server\share\a folder with a rather long name\winvllm-build"
    assert links_for(root) == ()
    assert reach(root, room=40, pointers=Machine()).way is Way.DRIVE


def test_what_cannot_be_made_is_told_with_the_variable_that_repairs_it() -> None:
    machine = Machine(refused=frozenset({Way.JUNCTION, Way.DRIVE}))
    with pytest.raises(StorageError, match=r"Access is denied.*Access is denied") as told:
        reach(ROOT, room=40, pointers=machine)
    assert "WINVLLM_BUILD_HOME" in str(told.value.fix)


def test_no_name_is_short_enough_for_no_room() -> None:
    machine = Machine()
    with pytest.raises(StorageError, match="none is short enough"):
        reach(ROOT, room=2, pointers=machine)
    assert machine.made == []


def test_the_long_form_of_a_target_is_the_same_folder() -> None:
    machine = Machine(links={LINK: f"\\\\?\\{ROOT}"})
    assert reach(ROOT, room=40, pointers=machine).there
    assert short_root.PREFIX in LINK


@pytest.mark.parametrize(("layers", "room"), [((), 68), (("gcc12",), 62)])
def test_a_longer_tree_leaves_less_room(layers: tuple[str, ...], room: int) -> None:
    assert short_home.room(Profile(tag="v0.33.0"), layers, long_paths=False) == room


def test_nothing_is_too_long_elsewhere_than_on_windows(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path / ("x" * 200))
    if sys.platform == "win32":
        pytest.skip("Windows makes a pointer; tests/wine looks at that")
    assert short_home.fitting(workspace, Profile(), ()) == workspace
    assert not workspace.root.exists()
