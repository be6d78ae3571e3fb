"""Scripts for Windows and for bare machines, parsed and held against rules."""
