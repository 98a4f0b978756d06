"""Why a figure is not in a record: one that cannot be had costs no other."""

import contextlib
from collections.abc import Iterator

from zoo.errors import InputError


class LeftOut(dict[str, str]):
    """Figure, or part of the figures -> why it could not be measured."""

    @contextlib.contextmanager
    def unless_measured(self, *figures: str) -> Iterator[None]:
        """A block that measures these figures; if it fails, they are left out, and why is kept."""
        try:
            yield
        except InputError as e:
            self.add(str(e), *figures)
        except Exception as e:  # whatever a model can raise, or a device without memory
            lines = [line.strip() for line in str(e).splitlines() if line.strip()]
            of_graph = lines[:1] == ["in user code:"]  # then a trace comes first
            said = lines[-1 if of_graph else 0] if lines else ""
            self.add(said if of_graph else f"{type(e).__name__}: {said}".rstrip(": "), *figures)

    def add(self, reason: str, *figures: str) -> None:
        """Leaves figures out; of several reasons the first one is kept."""
        for figure in figures:
            self.setdefault(figure, reason)


def unless_measured(
    left_out: LeftOut | None, *figures: str
) -> contextlib.AbstractContextManager[None]:
    """`left_out.unless_measured(*figures)`; without a `left_out` an error is one."""
    return contextlib.nullcontext() if left_out is None else left_out.unless_measured(*figures)
