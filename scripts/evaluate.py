"""`zoo evaluate` in a clone: see zoo/commands/evaluate.py."""

from zoo.commands import run

if __name__ == "__main__":
    run("evaluate")
