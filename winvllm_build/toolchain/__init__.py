"""Compiler, CUDA toolkit, Python and torch: found, or laid down from hash-checked wheels."""
