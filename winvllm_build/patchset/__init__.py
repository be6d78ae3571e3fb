"""Patch files, manifest and lock; apply, status, regen."""
