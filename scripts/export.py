"""`zoo export` in a clone: see zoo/commands/export.py."""

from zoo.commands import run

if __name__ == "__main__":
    run("export")
