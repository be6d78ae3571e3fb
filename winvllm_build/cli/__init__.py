"""The command line: parse, call, render; the only room that prints or exits."""
