"""Python: what POSIX has and Windows lacks, and whether serving reaches it."""
