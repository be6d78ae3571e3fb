"""A vLLM as far as its server's command line and wire format go: it answers with what it was asked."""
