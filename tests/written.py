"""What a run has written, read back."""

import collections
import json

import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def epochs(workdir):
    """The records of `metrics.jsonl`, one an epoch."""
    with (workdir / "metrics.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def counts(folder):
    """(tag, step) -> how often the event files of a folder hold it, with "" for the graph."""
    found = collections.Counter()
    for path in folder.glob("*tfevents*"):
        for content in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(content)
            found.update((value.tag, event.step) for value in event.summary.value)
            found.update({("", 0): 1} if event.graph_def else {})
    return found


def events(folder):
    """All that a folder holds for TensorBoard."""
    return EventAccumulator(str(folder), {"images": 0, "tensors": 0}).Reload()


def scalars(folder):
    """Tag -> step -> value of each scalar that a folder holds for TensorBoard."""
    board = events(folder)
    return {
        tag: {e.step: float(tf.make_ndarray(e.tensor_proto)) for e in board.Tensors(tag)}
        for tag in board.Tags()["tensors"]
        if board.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }
