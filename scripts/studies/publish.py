"""Makes a trained model part of the package: python scripts/studies/publish.py --workdir=DIR.

It writes the folder `zoo/pretrained/NAME` with its weights and settings. Evaluate it then with
`scripts/evaluate.py --pretrained=NAME --out=zoo/pretrained/NAME/record.json`. A model that is made
of pretrained parts is published by `--model` and its settings.
"""

from zoo.core import stopping  # noqa: F401  isort: skip  (first: Ctrl-C during the imports)
import pathlib

from absl import flags

from zoo.commands import cli
from zoo.core import files, schemas
from zoo.errors import InputError

cli.define_source()
_NAME = flags.DEFINE_string("name", "", "What it is asked for by; default: the model's name.")


def main(argv: list[str]) -> None:
    """Reads the flags and publishes."""
    from zoo.hub import pretrained, references

    source = cli.source()
    cli.output_folder(pretrained.FOLDER)
    if _NAME.value:
        pretrained.check_name(_NAME.value)
    if isinstance(source, references.Packaged):
        raise InputError(f"{source} is published already")
    if isinstance(source, references.Remote):
        raise InputError(f"{source} is of another place: train it here, and name its --workdir")
    if isinstance(source, references.Composed):
        name = composed(source)
    else:
        name = trained(source)
    print(f"published {name}: {pretrained.entry(name)['command']}")


def trained(workdir: pathlib.Path) -> str:
    """Publishes the model of a run; its name."""
    import zoo
    from zoo import data
    from zoo.data import toy
    from zoo.hub import checkpoints, loading, pretrained
    from zoo.training import defaults

    settings = loading.read_config(workdir)
    if not (workdir / "summary.json").exists():
        raise InputError(f"{workdir} has no summary.json: the run has not ended")
    summary = files.read_json(workdir / "summary.json", schemas.SUMMARY)
    if summary["epochs"] != settings["recipe"]["epochs"]:
        raise InputError(
            f"{workdir}/summary.json is of {summary['epochs']} epochs, the run of "
            f"{settings['recipe']['epochs']}: let it end"
        )
    if not summary["last_epoch"]:
        raise InputError(
            f"{workdir}/summary.json has no figures of the last epoch, which were lost with "
            "metrics.jsonl: train it again in another --workdir"
        )
    run = settings["run"]
    if run["init_from"]:
        name = pretrained.name_of(settings.get("initial_weights_sha256", ""))
        if name is None:
            raise InputError(
                f"{workdir} began with weights of {run['init_from']} that are not pretrained ones, "
                "so nobody could repeat it: publish those, and train it again with --init_from=NAME"
            )
        run["init_from"] = name  # however it was spelt
    if run["classifier"]:
        name = pretrained.name_of(settings.get("classifier_sha256", ""))
        if name is None:
            raise InputError(
                f"{workdir} was judged by {run['classifier']}, which is not pretrained, so nobody "
                "could repeat it: publish that, and train it again with --classifier=NAME"
            )
        run["classifier"] = name
    if run["dataset"] in toy.MIXTURES:
        raise InputError(f"{workdir} is of 2-D toy data, and RESULTS.md is of images")
    run["dataset"] = data.name_of(run["dataset"], run["data_dir"])
    if run["dataset"] == data.name_of("", ""):
        run["dataset"] = ""  # the default
    for key in ("workdir", "data_dir"):  # of this machine
        run[key] = ""
    name = _NAME.value or settings["model"]
    about = {"settings": settings, "command": defaults.command(settings), "summary": summary}
    pretrained.publish(name, checkpoints.weights_of(zoo.load(workdir)), about)
    return name


def composed(source) -> str:
    """Publishes a model that is made of pretrained parts; its name."""
    import zoo
    from zoo.hub import loading, pretrained
    from zoo.training import defaults, provenance

    model, settings = zoo.load(source), loading.read_config(source)
    settings["versions"] = provenance.versions()
    parts = [settings["config"][part] for part in model.parts]
    summary = {"parameters": model.num_parameters(), "training_seconds": 0.0}
    about = {"settings": settings, "command": defaults.command(settings), "summary": summary}
    name = _NAME.value or settings["model"]
    pretrained.publish_composed(name, parts, about)
    return name


if __name__ == "__main__":
    cli.run(main, cli.parser(cli.define_composed))
