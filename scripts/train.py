"""`zoo train` in a clone: see zoo/commands/train.py."""

from zoo.commands import run

if __name__ == "__main__":
    run("train")
