"""`python -m winsim.command ARGUMENTS...`: the command `vllm`, in a module that spawned processes import."""

from __future__ import annotations

from vllm.entrypoints.cli.main import main

if __name__ == "__main__":
    main()
