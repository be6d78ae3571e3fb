"""How a vLLM is started on a machine: values computed from the GPU, the machine and the model's own files."""
