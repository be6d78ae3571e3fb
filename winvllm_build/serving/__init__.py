"""A model behind an OpenAI-compatible server: what is started, with which settings, and the chat with it."""
