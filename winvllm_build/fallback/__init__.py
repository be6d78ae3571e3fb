"""An OpenAI-compatible server over transformers' continuous batching, for a machine without a built vLLM.

It runs in the Python that has the model's packages and imports nothing of the rest of winvllm_build.
"""
