"""Where things lie in a store."""

from __future__ import annotations

from typing import Final

BLOBS: Final = "blobs"
RECORDS: Final = "records"
BUILDS: Final = "builds"
HASHES: Final = "hashes.json"
LOCK: Final = "tidying.lock"
INCOMING: Final = "incoming-"
"""What a folder begins with that an import fills."""
