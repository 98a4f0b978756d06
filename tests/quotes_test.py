"""What pages quote from the code stands there, line for line."""

import pathlib
import re
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BLOCK = re.compile(r'^```python title="([^"]+)"\n(.*?)^```', re.M | re.S)
QUOTES = [
    pytest.param(path, quote, id=f"{page.name}-{number}-{path}")
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for number, (path, quote) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("path, quote", QUOTES)
def test_quoted_lines_are_lines_of_the_code(path, quote):
    quoted, lines = (
        [line for line in text.splitlines() if line.strip()]  # a formatter adds empty ones
        for text in (quote, (ROOT / path).read_text(encoding="utf-8"))
    )
    parts = ("\n".join(lines[i : i + len(quoted)]) for i in range(len(lines)))
    assert any(textwrap.dedent(part) == "\n".join(quoted) for part in parts)


def test_the_lecture_quotes_the_code():
    assert len(QUOTES) > 20
