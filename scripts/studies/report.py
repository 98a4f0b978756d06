"""Writes RESULTS.md, pages of docs, and the cards: python scripts/studies/report.py.

The pages are docs/results.md with its plots, docs/claims.md, docs/families.md and
docs/literature.md. All are made of records and settings alone.
"""

from zoo.core import stopping  # noqa: F401  isort: skip  (first: Ctrl-C during the imports)
import pathlib

import overview
import results
from absl import flags

from zoo.commands import cli
from zoo.core import files
from zoo.errors import InputError

_CHECK = flags.DEFINE_bool("check", False, "Write nothing; fail where a page is out of date.")

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main(argv: list[str]) -> None:
    """Writes or checks."""
    for path, text in results.pages(ROOT).items():
        if not _CHECK.value:
            files.write_text(path, text)
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise _stale(path)
    for path, numbers in results.plots(ROOT).items():
        if overview.is_of(path, numbers):
            continue
        if _CHECK.value:
            raise _stale(path)
        overview.draw(path, numbers)


def _stale(path: pathlib.Path) -> InputError:
    return InputError(f"{path} and the records disagree: run python scripts/studies/report.py")


if __name__ == "__main__":
    cli.run(main)
