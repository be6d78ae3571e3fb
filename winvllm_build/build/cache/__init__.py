"""An optional compiler cache beside the tool's own store: sccache, its server, and when to do without."""
