"""`vllm serve`."""
