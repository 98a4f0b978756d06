"""How much of a test runs in which tier."""

import pytest


def examples(few: int, many: int):
    """The argument `count`: few random examples by default, a quarter in CI, `many` weekly."""
    return pytest.mark.parametrize(
        "count",
        [
            few,
            pytest.param(many // 4, marks=pytest.mark.slow),
            pytest.param(many, marks=pytest.mark.weekly),
        ],
    )
