"""The Windows CUDA front end and Microsoft mode, run on this machine."""
