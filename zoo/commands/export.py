"""Writes a trained model for use without this package: zoo export --pretrained=cgan --out=DIR.

The SavedModel's signatures are listed by `saved_model_cli show --all --dir DIR`.
"""

from absl import flags

from zoo.commands import cli
from zoo.core import files
from zoo.errors import InputError

cli.define_source()
_FORMAT = flags.DEFINE_enum("format", "saved_model", ["saved_model"], "What to write.")
_OUT = flags.DEFINE_string("out", None, "Folder to write; it must not exist.", required=True)


def main(argv: list[str]) -> None:
    """Reads the flags and exports."""
    out = cli.output_folder(_OUT.value)
    files.check_utf8(out)
    if out.exists() or out.is_symlink():
        raise _exists(out)

    import zoo
    from zoo.hub import export

    model = zoo.load(cli.source())
    try:
        export.saved_model(model, out, replace=False)
    except FileExistsError:  # another process has written it meanwhile
        raise _exists(out) from None
    print(f"{_FORMAT.value} of {model.name} in {out}: {', '.join(model.endpoints())}")


def _exists(out) -> InputError:
    return InputError(f"{out} exists already: choose another --out")


def run() -> None:
    """Reads the command line and ends the process."""
    cli.run(main, cli.parser(cli.define_composed))
