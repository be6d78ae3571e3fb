"""Build vLLM natively on Windows, from a pinned tag to a verified wheel."""
