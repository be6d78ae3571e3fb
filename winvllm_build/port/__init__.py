"""Carrying a patch set to another tag by merge, and handing conflicts to a human."""
