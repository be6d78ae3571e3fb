"""Every rule over every C++ and CUDA file of a build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from winvllm_build.audit.collection import uncollected
from winvllm_build.audit.cxx import sequences, words
from winvllm_build.audit.cxx.branches import Sight
from winvllm_build.audit.cxx.compile_set import CompileSet, compile_set, read
from winvllm_build.audit.cxx.generators import GENERATED, Generated, generate, generators
from winvllm_build.audit.cxx.place import Place, Rule
from winvllm_build.audit.cxx.source import ENDINGS, Source
from winvllm_build.audit.cxx.structure import structure
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind, Found
from winvllm_build.intake.checkout import Checkout

RULES: Final[tuple[Rule, ...]] = (words.words, words.headers, words.missing, *sequences.RULES)


def scan(files: Files, checkout: Checkout | None) -> Found:
    """What MSVC and nvcc would stumble over.

    Args:
        files: the tree.
        checkout: the same tree for the reader of CMake; what CMake compiles for CUDA is scanned then, with
            what the tree's generators write. None: every C++ and CUDA file of `files`.

    Raises:
        SourceError: CMake's files are missing or not CMake.
    """
    with uncollected():
        return _scan(files, checkout)


def _scan(files: Files, checkout: Checkout | None) -> Found:
    if checkout is None:
        roots = dict.fromkeys((path for path in files.names if path.endswith(ENDINGS)), Sight.ALL)
        return _scanned(read(files, roots))
    wanted = compile_set(checkout)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(generate, files, generators(checkout))
        known = _read_ahead(files, wanted)
        made = running.result()
    sources = read(_with(files, made), _roots(wanted, made), known)
    for path, way in made.ways.items():
        if path in sources:
            sources[path].note = way
    for source in sources.values():
        source.standard = wanted.standard
        source.definitions = wanted.definitions
    return _scanned(sources) + Found(blind=(*made.blind, *_outside(wanted)))


def _read_ahead(files: Files, wanted: CompileSet) -> Mapping[str, Source]:
    """The sources that need no generator, cut into tokens while the generators run."""
    known = read(files, wanted.sources)
    for source in known.values():
        source.row  # noqa: B018 - computed once, and kept
    return known


def _with(files: Files, made: Generated) -> Files:
    return Files(
        [*files.names, *made.files], lambda path: made.files.get(path, files.content(path)), files.fetch
    )


def _roots(wanted: CompileSet, made: Generated) -> Mapping[str, Sight]:
    """What CMake compiles, and what was generated and is no header."""
    roots = dict(wanted.sources)
    for path in made.files:
        if path.endswith(".cu"):
            roots[path] = wanted.sight_of(path.removeprefix(f"{GENERATED}/"))
    return roots


def _outside(wanted: CompileSet) -> Iterator[Blind]:
    """Sources in dependencies, each project once."""
    projects: dict[str, int] = {}
    for path in wanted.outside:
        project = path.partition("/")[0]
        projects[project] = projects.get(project, 0) + 1
    for project, count in projects.items():
        name = project.removeprefix("${").partition("_SOURCE_DIR")[0]
        yield Blind(
            path=name, why=f"{count} sources of this dependency are compiled; they are not in the tree"
        )


def _is_template(source: Source, place: Place) -> bool:
    live = source.within is Sight.ALL and place.sight is Sight.ALL
    return live and place.rule == "variable-template-attribute"


def _scanned(sources: Mapping[str, Source]) -> Found:
    places: list[tuple[Source, Place]] = []
    blind: list[Blind] = []
    for source in sources.values():
        places += ((source, place) for rule in RULES for place in rule(source))
        structural, unseen = structure(source)
        places += ((source, place) for place in structural)
        blind += [unseen] if unseen is not None else []
    names = {place.detail.split()[-1] for source, place in places if _is_template(source, place)}
    places += ((s, place) for s in sources.values() for place in sequences.uses_of_templates(s, names))
    hits = {place.hit(source): None for source, place in places}
    return Found(
        hits=tuple(sorted(hits, key=lambda hit: (hit.path, hit.line, hit.hazard, hit.rule, hit.detail))),
        blind=tuple(blind), files=len(sources),
        lines=sum(source.text.count("\n") for source in sources.values()),
    )  # fmt: skip
