"""Looking at a patch set and keeping it in order: show, lint, doctor, drop, export, import, shell."""
