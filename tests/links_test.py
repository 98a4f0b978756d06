"""Links of the pages lead to what is there, headings included."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
PAGES += (ROOT / "zoo" / "pretrained").glob("*/README.md")


def prose(path: pathlib.Path) -> str:
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(path: pathlib.Path) -> set[str]:
    """Those that GitHub gives to headings: small letters, digits, hyphens and underscores."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.M)
    texts = [re.sub(r"\]\(.*?\)|[`*\[]", "", h).lower() for h in headings]
    return {re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-") for text in texts}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", prose(page))
    for target in ("".join(pair) for pair in targets):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page if not path else (page.parent / path).resolve()
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target
