"""Hazards in a tree's CMake files."""

from __future__ import annotations

from winvllm_build.audit.config import cmake_commands, cmake_flags, cmake_missing, cmake_paths
from winvllm_build.audit.config.cmake_view import Reader
from winvllm_build.audit.config.places import Places
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Found


def scan(files: Files) -> Found:
    view = Reader(files).view()
    places = Places(files)
    hits = [
        *cmake_flags.hits(view.placed, places),
        *cmake_commands.hits(view.placed, places),
        *cmake_missing.hits(view.placed, places),
        *cmake_paths.hits(view.placed, places),
        *cmake_paths.long_names(places),
    ]
    return Found(hits=tuple(hits), blind=view.blind, files=view.files, lines=view.lines)
