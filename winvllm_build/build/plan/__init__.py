"""What a build will do: its edges, what they cost, how they fit on a machine."""
