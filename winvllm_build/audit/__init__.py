"""Checks that need no Windows: hazards found, Linux and ROCm proven unchanged, device code compared."""
