"""Records that somebody edited: they are compared, or it is one clear line."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_test import RECORD

from zoo.errors import InputError
from zoo.evaluation import records

WHOLE = copy.deepcopy(RECORD)
WHOLE["figures"]["left_out"] = {"kid": "60 images are too few"}
WHOLE["figures"]["representation"] = {"num_train": 3, "num_images": 3, "probe": "so"}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=4)  # of surrogates too, which JSON can hold
    | st.sampled_from([10**400, -(10**400)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["mean", "standard_error", "model", "floor"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


def places(value, way=()):
    """The ways to all values in a JSON document."""
    yield way
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*way, key))


PLACES = list(places(WHOLE))


@st.composite
def edited(draw):
    """The record with a few values changed, added or gone."""
    record = copy.deepcopy(WHOLE)
    for way in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        new, inner = draw(VALUES), record
        if not way:
            return new
        try:
            for key in way[:-1]:
                inner = inner[key]
            action = draw(st.sampled_from(["set", "delete", "add"]))
            if action == "delete":
                del inner[way[-1]]
            else:
                inner[way[-1] if action == "set" else draw(st.text(max_size=4))] = new
        except (KeyError, TypeError, IndexError):  # gone with an earlier change
            continue
    return record


def compare(record, folder):
    path = folder / "edited.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    try:
        found = records.read_record(path)
        records.side_by_side({"whole": WHOLE, "edited": found}).encode()
        records.side_by_side({"edited": found, "whole": WHOLE}).encode()
    except InputError as e:
        assert "\n" not in str(e) and len(str(e)) < 2000
        str(e).encode()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(edited())
def test_an_edited_record_is_compared_or_refused_in_one_line(tmp_path_factory, record):
    compare(record, tmp_path_factory.getbasetemp())


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, derandomize=True)
@given(edited())
def test_thousands_of_edited_records(tmp_path_factory, record):
    compare(record, tmp_path_factory.getbasetemp())
