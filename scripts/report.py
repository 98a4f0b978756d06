"""Writes RESULTS.md and the model cards from the records: python scripts/report.py."""

import json
import pathlib

from absl import flags

from zoo import cli
from zoo.errors import InputError
from zoo.evaluation import report
from zoo.serving import pretrained

_CHECK = flags.DEFINE_bool("check", False, "Write nothing; fail where a page is out of date.")

ROOT = pathlib.Path(__file__).resolve().parents[1]


def pages() -> dict[pathlib.Path, str]:
    """Each page and what it should say."""

    def read(name):
        return json.loads((pretrained.FOLDER / f"{name}.json").read_text(encoding="utf-8"))

    manifest = pretrained.manifest()
    records = {name: read(name) for name in manifest}
    notes = read("notes")
    found = {ROOT / "RESULTS.md": report.results(manifest, records)}
    for name, about in manifest.items():
        path = pretrained.FOLDER / f"{name}.md"
        found[path] = report.card(name, about, records[name], notes[name])
    return found


def main(argv: list[str]) -> None:
    """Writes or checks."""
    for path, text in pages().items():
        if not _CHECK.value:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise InputError(f"{path} and the records disagree: run python scripts/report.py")


if __name__ == "__main__":
    cli.run(main)
