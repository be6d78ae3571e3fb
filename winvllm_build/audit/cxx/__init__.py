"""C++ and CUDA: text, conditions, compile set, rules."""
