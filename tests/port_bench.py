"""The worktree of a hand-off as tests see it: where it is, how far it is, what it became."""

from __future__ import annotations

from pathlib import Path

from tests.port_cases import NEW, OLD
from tests.port_story import Story, lines, path
from winvllm_build.git import Git
from winvllm_build.patchset import patchset
from winvllm_build.port import driver
from winvllm_build.port.decide import Side, Wish
from winvllm_build.port.progress import OpenPatch, Progress, look

OURS = lines(40, l20="both of them")
SKIPPED = (
    "both/added.py",
    "deleted here.py",
    "fought.bin",
    "gone.py",
    "lib/added.py",
    "lostname.py",
    "twice.cu",
)
"""Open patches that a test about another one gives up."""


CLEAN = "v1.0.1"
MANIFEST = '[layer.fast]\ntitle = "Faster"\n[layer.extra]\ntitle = "More"\nrequires = ["fast"]\n'


def small_story(top: Path) -> Story:
    """Two patches, one of which will be in conflict."""
    made = Story.make(top)
    made.release(OLD, {"a.py": lines(40), "b.py": lines(40), "c.py": lines(9)})
    made.patch(OLD, {"a.py": lines(40, l20="twenty"), "b.py": lines(40, l5="five")})
    made.rest()
    made.release(NEW, {"a.py": lines(40, l20="XX"), "b.py": b"first\n" + lines(40)})
    return made


def layered_story(top: Path) -> Story:
    """Conflicts in the required layer (a.py) and in one on top of it (b.py), and a clean one above.

    To the release `CLEAN` every patch is carried.
    """
    story = Story.make(top)
    story.release(OLD, {"a.py": lines(40), "b.py": lines(40), "c.py": lines(40)}, manifest=MANIFEST)
    story.patch(OLD, {"a.py": lines(40, l20="twenty"), "c.py": lines(40, l5="five")})
    fast = {"b.py": lines(40, l20="fast"), "a.py": lines(40, l20="twenty", l35="fast")}
    story.patch(OLD, fast, layer="fast")
    story.patch(OLD, {"c.py": lines(40, l5="five", l30="extra")}, layer="extra")
    story.rest()
    story.release(CLEAN, {"c.py": lines(40, l15="fifteen")}, manifest=MANIFEST)
    story.release(NEW, {"a.py": lines(40, l20="XX"), "b.py": lines(40, l20="YY")}, manifest=MANIFEST)
    return story


def bench(story: Story, tag: str = NEW) -> Path:
    return story.handoff(tag).worktree


def progress(story: Story, tag: str = NEW) -> Progress:
    found = look(story.state(tag))
    assert found is not None
    return found


def standing(story: Story, name: str, tag: str = NEW) -> OpenPatch:
    return next(patch for patch in progress(story, tag).patches if patch.verdict.path == name)


def wish(story: Story, *names: str, side: Side | None = None, reason: str = "", tag: str = NEW) -> None:
    wishes = [Wish(path=path(name), side=side, reason=reason) for name in names]
    driver.judge(story.workspace, story.state(tag), wishes, tell=story.told.append)


def only(story: Story, *left: str) -> None:
    """Give up every open patch but those."""
    names = [name for name in (*SKIPPED, "fought.py") if name not in left]
    wish(story, *names, reason="not in this test")


def patched(story: Story, name: str, tag: str = NEW) -> bytes:
    """What the set of `tag` makes of a file."""
    target = patchset.load(story.root, tag).lock.targets["vllm"]
    tree = next(iter(target.trees.values())).patched
    return Git(story.repository).out("cat-file", "blob", f"{tree}:{name}")
