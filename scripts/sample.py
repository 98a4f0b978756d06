"""`zoo sample` in a clone: see zoo/commands/sample.py."""

from zoo.commands import run

if __name__ == "__main__":
    run("sample")
