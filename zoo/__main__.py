"""`python -m zoo train ...`, where the command `zoo` is not on the path."""

from zoo.commands import main

if __name__ == "__main__":
    main()
