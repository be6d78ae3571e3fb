"""A new tag: what it pins, what it expects, and what changed since the last one."""
