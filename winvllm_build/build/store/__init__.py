"""Finished edges by content: kept, found again, put in place; what of a build folder may be trusted."""
