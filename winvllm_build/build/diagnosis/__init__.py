"""Why a build failed: logs read, the first real error found, its rule, its patch, what to do."""
