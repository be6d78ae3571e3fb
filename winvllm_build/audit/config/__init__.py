"""CMake, setup.py, requirements, pyproject and Rust."""
