"""Makes a trained model part of the package: python scripts/publish.py --workdir=DIR.

It writes the weights and their entry in the manifest to `zoo/pretrained/`; evaluate it then with
`scripts/evaluate.py --pretrained=NAME --out=zoo/pretrained/NAME.json`.
"""

import pathlib

from absl import flags

from zoo import cli
from zoo.errors import InputError

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a training run.", required=True)
_NAME = flags.DEFINE_string("name", "", "What it is asked for by; default: the model's name.")


def main(argv: list[str]) -> None:
    """Reads the flags and publishes."""
    import json

    import zoo
    from zoo import data
    from zoo.serving import pretrained
    from zoo.training import checkpoints, setup

    workdir = pathlib.Path(_WORKDIR.value)
    settings = setup.read_config(workdir)
    try:
        summary = json.loads((workdir / "summary.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{workdir} has no summary.json: the run has not ended") from None
    if summary["epochs"] != settings["recipe"]["epochs"]:
        raise InputError(
            f"{workdir}/summary.json is of {summary['epochs']} epochs, the run of "
            f"{settings['recipe']['epochs']}: let it end"
        )
    run = settings["run"]
    run["dataset"] = data.name_of(run["dataset"], run["data_dir"])
    if run["dataset"] == data.name_of("", ""):
        run["dataset"] = ""  # the default
    for key in ("workdir", "data_dir"):  # of this machine
        run[key] = ""
    name = _NAME.value or settings["model"]
    about = {"settings": settings, "command": setup.command(settings), "summary": summary}
    pretrained.publish(name, checkpoints.weights_of(zoo.load(workdir)), about)
    print(f"published {name}: {pretrained.entry(name)['bytes']:,} bytes; {about['command']}")


if __name__ == "__main__":
    cli.run(main)
