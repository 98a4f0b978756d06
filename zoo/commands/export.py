"""Writes a trained model for use without this package: zoo export --pretrained=cgan --out=DIR.

The SavedModel's signatures are listed by `saved_model_cli show --all --dir DIR`. ONNX and LiteRT
get a file for each endpoint that draws no random numbers.
"""

import pathlib

from absl import flags

from zoo.commands import cli
from zoo.core import files
from zoo.errors import InputError

cli.define_source()
_FORMAT = flags.DEFINE_enum(
    "format",
    "saved_model",
    ["saved_model", "onnx", "litert", "keras"],
    "What to write: a SavedModel for TensorFlow; a folder with a file for each endpoint, for ONNX "
    "or LiteRT; or a .keras file, for Python with this package.",
)
_OUT = flags.DEFINE_string(
    "out", None, "Folder, or .keras file, to write; it must not exist.", required=True
)


def main(argv: list[str]) -> None:
    """Reads the flags and exports."""
    out, kind = pathlib.Path(_OUT.value), _FORMAT.value
    if out.exists() or out.is_symlink():
        raise _exists(out)
    cli.output_folder(out)
    files.check_utf8(out)
    if (out.suffix == ".keras") != (kind == "keras"):
        raise InputError("--format=keras writes a file: choose --out=NAME.keras for it alone")

    import zoo
    from zoo.hub import export

    model = zoo.load(cli.source())
    try:
        written = export.WRITE[kind](model, out, replace=False)
    except FileExistsError:  # another process has written it meanwhile
        raise _exists(out) from None
    print(f"{kind} of {model.name} in {out}" + (f": {', '.join(written)}" if written else ""))


def _exists(out) -> InputError:
    return InputError(f"{out} exists already: choose another --out")


def run() -> None:
    """Reads the command line and ends the process."""
    cli.run(main, cli.parser(cli.define_composed))
