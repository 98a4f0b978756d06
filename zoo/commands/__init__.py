"""The commands: `zoo train ...` once installed, `python scripts/train.py ...` in a clone."""

from zoo.core import stopping  # noqa: F401  isort: skip  (first: Ctrl-C during the imports)
import importlib
import sys

from absl import flags

COMMANDS = {
    "train": "trains a model, or continues a run",
    "sample": "draws from a trained model",
    "evaluate": "measures a trained model on images that it has not seen",
    "export": "writes a trained model for use without this package",
}


def run(name: str) -> None:
    """Runs one of the commands with the flags in `sys.argv`, and ends the process."""
    command = importlib.import_module(f"zoo.commands.{name}")
    sys.modules["__main__"].__doc__ = command.__doc__  # which --help shows
    for flag in flags.FLAGS.get_key_flags_for_module(command.__name__):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    command.run()


def main() -> None:
    """The command line `zoo NAME --flag=value ...`."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        sys.argv = [f"zoo {name}", *sys.argv[2:]]
        run(name)
    elif name in ("-h", "-help", "--help", "help"):
        print("Usage: zoo COMMAND [--flag=value ...]\n")
        print("\n".join(f"  {command:<10}{does}" for command, does in COMMANDS.items()))
        print("\n`zoo COMMAND --help` lists the flags of a command.")
    elif name == "--version":
        from zoo import __version__

        print(f"zoo {__version__}")
    else:
        known = ", ".join(COMMANDS)
        print(f"error: zoo has no command {name!r}. Commands: {known}.", file=sys.stderr)
        sys.exit(2)
