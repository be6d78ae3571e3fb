"""vLLM's collectives through the host's memory and Gloo, where no library passes tensors between GPUs.

Stands alone: it runs in vLLM's environment, and imports nothing of the rest of the package.
"""
