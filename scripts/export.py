"""Writes a trained model for use without this code: python scripts/export.py --workdir=DIR --out=D.

The SavedModel's signatures are listed by `saved_model_cli show --all --dir D`.
"""

import pathlib

from absl import flags

from zoo import cli
from zoo.errors import InputError

cli.define_source()
_FORMAT = flags.DEFINE_enum("format", "saved_model", ["saved_model"], "What to write.")
_OUT = flags.DEFINE_string("out", None, "Folder to write; it must not exist.", required=True)


def main(argv: list[str]) -> None:
    """Reads the flags and exports."""
    out = pathlib.Path(_OUT.value)
    if out.exists():
        raise InputError(f"{out} exists already: choose another --out")

    import zoo
    from zoo.serving import export

    model = zoo.load(cli.source())
    out.parent.mkdir(parents=True, exist_ok=True)
    export.saved_model(model, out)
    print(f"{_FORMAT.value} of {model.name} in {out}: {', '.join(model.endpoints())}")


if __name__ == "__main__":
    cli.run(main, cli.parser(cli.define_composed))
