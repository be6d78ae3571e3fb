"""A tag becomes a commit and a tree: pins, git, package index, safe extraction."""
