"""TensorBoard's event files: each quantity once at each epoch, however often a run was killed."""

import os
import pathlib
import sys
from collections.abc import Callable, Iterator

import tensorflow as tf
from google.protobuf.message import DecodeError

from zoo.core import files

GRAPH = ("<graph>", 0)  # stands for a graph, which has no tag
_KEPT = "events.out.tfevents.0000000000.kept.v2"  # TensorBoard reads files by their names, in order


def clear(folder: pathlib.Path) -> None:
    """Removes the event files of a folder, not those of folders in it."""
    for path in _event_files(folder):
        files.remove(path)


def prune(
    folder: pathlib.Path, last: int, known: Callable[[str], bool] = lambda tag: True
) -> set[tuple[str, int]]:
    """Leaves what a folder holds of the steps up to `last`, once; what is damaged goes.

    Event files in which there is nothing to leave out stay as they are.

    Args:
      folder: of one of TensorBoard's runs, to which nobody writes now.
      last: the last step whose events stay.
      known: whether events of a tag stay; all do when it is left out.

    Returns:
      The tag and step of all that is there; `GRAPH` of a graph.
    """
    files.set_aside(folder, folder=True)
    if not folder.exists():
        return set()
    found: set[tuple[str, int]] = set()
    paths = _event_files(folder)
    changed = False
    with files.unfinished(folder / "kept") as temporary:  # a name that TensorBoard does not read
        with open(temporary, "xb") as kept:
            for path in paths:
                try:
                    for record, event in _records(path):
                        new = _contents(event, last, known)
                        if new & found or not (new or event.file_version):
                            changed = True
                        elif new or kept.tell() == 0:  # a file begins with its version, once
                            found |= new
                            kept.write(record)
                except (OSError, tf.errors.OpError, DecodeError):
                    print(f"{path} is damaged: what comes before that is kept", file=sys.stderr)
                    changed = True
            kept.flush()
            os.fsync(kept.fileno())
        if changed:
            if (folder / _KEPT).is_dir():
                files.remove(folder / _KEPT)
            os.replace(temporary, folder / _KEPT)
            for path in paths:
                if path.name != _KEPT:
                    files.remove(path)
    return found


def _event_files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.glob("events.out.tfevents.*"))


def _contents(event, last: int, known: Callable[[str], bool]) -> set[tuple[str, int]]:
    """The tags and the step of an event that is to stay; nothing of one that is not."""
    if event.graph_def:
        return {GRAPH}
    tags = {value.tag for value in event.summary.value if known(value.tag)}
    return {(tag, event.step) for tag in tags if event.step <= last}


def _records(path: pathlib.Path) -> Iterator[tuple[bytes, tf.compat.v1.Event]]:
    """Each event of a file, as it is written there and parsed.

    Raises:
      tf.errors.OpError: it is damaged here.
    """
    frame = 16  # bytes of lengths and checksums around the content
    with open(path, "rb") as file:
        for content in tf.data.TFRecordDataset(os.fsencode(path)).as_numpy_iterator():
            yield file.read(frame + len(content)), tf.compat.v1.Event.FromString(content)
