"""Is what Linux and ROCm see of a patched file what upstream wrote?"""
