"""Configure, compile, link, install and pack, with upstream's own CMake."""
