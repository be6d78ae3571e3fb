"""Device code of original and patched sources, compared entry by entry."""
