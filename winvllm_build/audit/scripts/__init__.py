"""PowerShell and batch files: parsed, linted, run."""
