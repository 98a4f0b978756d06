"""A name for each variable of a model: the attribute path of its layer, never a position.

`encoder/dense_1/kernel` is the kernel of the second Dense layer along the network `model.encoder`.
Keras' own paths do not serve: they count the layers that the process has made before.
"""

import re
from collections.abc import Iterator
from typing import Any

import keras
from keras.src.utils import naming

_NUMBERED = re.compile(r"(.*?)_\d+")


def of_weights(model) -> dict[str, keras.Variable]:
    """The weights of a model by name, without the states of its metrics and random seeds."""
    metrics = {id(v) for m in model.metrics for v in m.variables}
    weights = {id(v) for v in model.weights} - metrics
    return _found(model, lambda v: id(v) in weights and not is_seed(v))


def of_seeds(model) -> dict[str, keras.Variable]:
    """The states of all random seeds of a model, by name."""
    return _found(model, is_seed)


def of_metrics(model) -> dict[str, keras.Variable]:
    """The running means of a model by the name of what is logged."""
    found = {}
    for metric in model.metrics:
        for variable in metric.variables:
            _add(found, f"{metric.name}/{variable.name}", variable)
    return found


def of_optimizer(optimizer, weights: dict[str, keras.Variable]) -> dict[str, keras.Variable]:
    """The state of an optimizer: its own counters, and `momentums/NAME` of each weight it moves."""
    name_of = {id(v): name for name, v in weights.items()}
    found = {}
    if (inner := getattr(optimizer, "inner_optimizer", None)) is not None:  # of a loss scale
        found = {f"inner/{n}": v for n, v in of_optimizer(inner, weights).items()}
    moved = getattr(optimizer, "_trainable_variables", [])
    known = {id(v) for v in found.values()}
    for attribute, slots in sorted(vars(optimizer).items()):
        if attribute == "_trainable_variables" or not isinstance(slots, list | tuple):
            continue
        if slots and len(slots) == len(moved):
            for variable, slot in zip(moved, slots, strict=True):
                if isinstance(slot, keras.Variable) and id(slot) not in known:
                    known.add(id(slot))
                    _add(found, f"{attribute.strip('_')}/{name_of[id(variable)]}", slot)
    for variable in optimizer.variables:
        if id(variable) not in known:
            known.add(id(variable))
            _add(found, variable.name, variable)
    return found


def is_seed(variable: keras.Variable) -> bool:
    """Whether it is the state of a random seed, which Keras saves nowhere."""
    return variable.path.endswith("seed_generator_state")


def _found(model, wanted) -> dict[str, keras.Variable]:
    """Of all paths to a variable the shortest, and of these the first: other orders change none."""
    paths = {}
    for path, variable in _walk(model, (), ()):
        if wanted(variable):
            rank = (path.count("/"), path)
            if id(variable) not in paths or rank < paths[id(variable)][0]:
                paths[id(variable)] = (rank, variable)
    found = {}
    for (_, path), variable in paths.values():
        _add(found, path, variable)
    if missing := [v.path for v in model.variables if wanted(v) and id(v) not in paths]:
        raise ValueError(f"{model.name} has weights that no attribute leads to: {missing[0]}")
    return dict(sorted(found.items()))


def _add(found: dict[str, Any], name: str, variable: keras.Variable) -> None:
    if name in found:
        raise ValueError(f"two variables are both {name!r}: give their layers different names")
    found[name] = variable


def _walk(thing: Any, path: tuple[str, ...], above: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Pairs of a path and a variable, for all that an object holds."""
    if id(thing) in above:  # a part that knows its whole
        return
    above = (*above, id(thing))
    if isinstance(thing, keras.Variable):
        yield "/".join(path), thing
    elif isinstance(thing, keras.random.SeedGenerator):
        yield "/".join((*path, "state")), thing.state
    elif isinstance(thing, keras.Layer):
        for variable in [*thing._trainable_variables, *thing._non_trainable_variables]:
            yield "/".join((*path, variable.name)), variable
        if isinstance(thing, keras.Sequential) or hasattr(thing, "operations"):
            parts = _along_the_graph(thing)
        else:
            parts = {k: v for k, v in vars(thing).items() if not k.startswith("__")}
        for name, part in parts.items():
            if not isinstance(part, keras.Variable) and name not in _KERAS_OWN:
                yield from _walk(part, (*path, name.lstrip("_")), above)
    elif isinstance(thing, dict):
        for key, part in thing.items():
            yield from _walk(part, (*path, str(key)), above)
    elif isinstance(thing, list | tuple):
        for i, part in enumerate(thing):
            yield from _walk(part, (*path, str(i)), above)


_KERAS_OWN = {  # where Keras itself lists what attributes hold
    "_layers",
    "_metrics",
    "_seed_generators",
    "_trainable_variables",
    "_non_trainable_variables",
    "_losses",
    "_tracker",
    "_inbound_nodes",
    "_outbound_nodes",
    "optimizer",
    "discriminator_optimizer",
}


def _along_the_graph(network) -> dict[str, keras.Layer]:
    """The layers of a network by name; Keras' own names are numbered anew along the network."""
    found, counts = {}, {}
    for layer in network.layers:
        name, kind = layer.name, naming.to_snake_case(type(layer).__name__)
        match = _NUMBERED.fullmatch(name)
        if (match[1] if match else name) == kind:  # Keras named it
            count = counts[kind] = counts.get(kind, -1) + 1
            name = f"{kind}_{count}" if count else kind
        found[name] = layer
    return found
