"""The compile engine: what an edge is and costs, when it may start, what becomes of it."""
