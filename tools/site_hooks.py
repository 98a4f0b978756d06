"""Brings what lies outside docs/ into the site that MkDocs builds.

The pages of docs/ are read on a forge too, where their links lead to the code, the cards and the
pictures of a clone. Here these become parts of the site, so that every link works without a
network: a file of the project is a page of the same path, with its lines numbered.
"""

import dataclasses
import functools
import os
import pathlib
import posixpath
import re
import subprocess
import sys
from xml.etree import ElementTree

from latex2mathml import converter
from mkdocs.structure.files import File

from zoo import commands, registry
from zoo.core.files import read_json
from zoo.evaluation import tables
from zoo.hub import folders, pretrained

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
PICTURE = re.compile(r"<img ([^>]*)>")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.M | re.S)


def place(path):
    """Where a file or a folder of the project is in the site."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(ROOT).as_posix()
    if name == "README.md":
        return "index.md"
    if path.is_dir():
        return f"{name}/index.md"
    return f"{name}.md" if path.suffix in (".py", ".j2", ".toml") else name


def source(path):
    """The Markdown of a page that shows a file, or what a folder has."""
    if not path.is_dir():
        code = path.read_text(encoding="utf-8")
        return f'# {path.name}\n\n```python linenums="1"\n{code}\n```\n'
    rows = []
    for inside in sorted(path.iterdir()):
        if inside.suffix == ".py":
            rows.append(f"- [{inside.name}]({inside.name})")
        elif (inside / "README.md").exists():
            rows.append(f"- [{inside.name}]({inside.name}/README.md)")
    return f"# {path.relative_to(ROOT)}\n\n" + "\n".join(rows) + "\n"


def targets(page, text):
    """What the links of a page lead to, of the project's files outside docs/."""
    for _, target, _ in LINK.findall(text):
        yield from resolved(page, target)
    for attributes in PICTURE.findall(text):
        yield from resolved(page, re.search(r'src="([^"]+)"', attributes)[1])


def resolved(page, target):
    """The file that a link means, if it is one of the project."""
    if "://" not in target and (path := target.partition("#")[0]):
        yield pathlib.Path(os.path.normpath(page.parent / path))


FIGURES = [
    ("accuracy", "test accuracy", 4),
    *(f for f in tables.FIGURES if f[0] in ("fid", "kid", "class_fidelity", "network_calls")),
    ("samples_per_second", "samples a second", 0),
    ("bits_per_dim", "bits per dimension", 3),
    ("iwae_bound_bits_per_dim", "bits per dimension, at most", 3),
]


@functools.cache
def trained():
    """Name of pretrained weights -> what is known of them, their record and what notes say."""
    notes = read_json(pretrained.FOLDER / "notes.json")
    return {
        name: (of, read_json(pretrained.FOLDER / name / folders.RECORD), notes[name])
        for name, of in pretrained.manifest().items()
    }


def about(model, text=""):
    """The part of a model's page that is made of its cards and its settings."""
    lines = []
    for name, (of, record, notes) in trained().items():
        if of["settings"]["model"] == model:
            lines += ["", f"### {name}", "", *card(name, of, record, notes, text)]
    if lines:
        lines = ["", "## Trained models", *lines]
    recipe = registry.MODELS[model].recipe
    rows = [
        [f"`--{f.name}`", f"`{shown(getattr(of, f.name))}`", cell(f.metadata["help"])]
        for of in (registry.config_class(model)(), recipe)
        for f in (dataclasses.fields(of) if of else ())
    ]
    lines += ["", "## All settings", "", *tables.table(["setting", "default", "meaning"], rows)]
    return "\n".join(lines) + "\n"


def card(name, of, record, notes, text):
    """The lines about pretrained weights: a picture, if `text` has it not, and main figures."""
    here, parts = f"../../zoo/pretrained/{name}", record["figures"]
    figures = {
        key: figure
        for part in (
            parts.get("samples", {}).get("model", {}),
            parts.get("likelihood", {}),
            parts.get("classification", {}),
        )
        for key, figure in part.items()
    }
    rows = [[f[1], tables.cells(figures, [f])[0]] for f in FIGURES if f[0] in figures]
    if minutes := pretrained.training_minutes(of["summary"]):  # what is composed is not trained
        rows.append(["minutes of training", f"{minutes:.0f}"])
    picture = f"{here}/{folders.SAMPLES}"
    drawn = "samples" in parts and picture not in text
    return [
        notes["for"],
        "",
        *([f"![Samples of {name}]({picture})", ""] if drawn else []),
        *tables.table([f"on {record['dataset']}", ""], rows),
        "",
        f"*Not for*: {notes['not_for']}",
        "",
        f"*Failures seen*: {notes['failures']}",
        "",
        f"`{of['command']}` made it. [All figures and how it was made]({here}/{folders.CARD}). "
        f"[Record]({here}/{folders.RECORD}).",
    ]


def cell(text):
    """Text in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def shown(value):
    """A default as it is given on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def settings_of_commands():
    """The Markdown of a page that lists the flags of each command, as `--help` does."""
    lines = ["# Settings of the commands", "", "Those of a model are on its page.", ""]
    for command, does in commands.COMMANDS.items():
        argv = [sys.executable, "-m", "zoo", command, "--helpxml"]
        xml = subprocess.run(argv, capture_output=True, cwd=ROOT).stdout
        lines += [f"## zoo {command}", "", f"It {does}.", ""]
        rows = []
        for flag in ElementTree.fromstring(xml).iter("flag"):
            if flag.findtext("key") == "yes":
                default = flag.findtext("default") or ""
                given = f"`{default}`" if default else ""
                meaning = cell(flag.findtext("meaning") or "")
                rows.append([f"`--{flag.findtext('name')}`", given, meaning])
        lines += [*tables.table(["setting", "default", "meaning"], rows), ""]
    return "\n".join(lines)


def on_files(files, config):
    """Adds the files outside docs/ that pages lead to, and those that these lead to."""
    pages = [DOCS / file.src_uri for file in files.documentation_pages()]
    uri = "reference/settings.md"
    files.append(File.generated(config, uri, content=settings_of_commands()))
    known, waiting = {*pages, ROOT / "README.md"}, [ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
    while pages or waiting:
        while waiting:
            path = waiting.pop()
            if path in known or path.is_relative_to(DOCS) or not path.exists():
                continue
            known.add(path)
            if path.suffix == ".md" or path.is_dir():
                pages.append(path)
            if place(path) == path.relative_to(ROOT).as_posix():
                file = File.generated(config, place(path), abs_src_path=str(path))
            else:
                content = f"---\nsearch: {{exclude: true}}\n---\n{source(path)}"
                file = File.generated(config, place(path), content=content)
            files.append(file)
        if pages:
            page = pages.pop()
            waiting += targets(page / "index" if page.is_dir() else page, text_of(page))
    return files


def text_of(page):
    """The Markdown of a page of docs/ or of the project."""
    if page.is_dir():
        return source(page)
    text = page.read_text(encoding="utf-8")
    return text + about(page.stem, text) if is_of_model(page) else text


def is_of_model(page):
    """Whether it is the page of a model, which gets its trained weights and settings."""
    return page.parent == DOCS / "models" and page.stem in registry.MODELS


def on_page_markdown(markdown, page, config, files):
    """Lets links lead to where files are in the site, and pictures be Markdown's own.

    The page of a model gets its trained weights and settings.
    """
    where = page.file.src_uri
    real = DOCS / where if (DOCS / where).exists() else ROOT / where
    if is_of_model(real):
        markdown += about(real.stem, markdown)

    def moved(target):
        for path in resolved(real, target):
            anchor = target.partition("#")[2]
            new = posixpath.relpath(place(path), posixpath.dirname(where) or ".")
            return f"{new}#{anchor}" if anchor else new
        return target

    def picture(match):
        found = dict(re.findall(r'(\w+)="([^"]*)"', match[1]))
        width = f'{{ width="{found["width"]}" }}' if "width" in found else ""
        return f"![{found.get('alt', '')}]({found['src']}){width}"

    kept = []

    def keep(match):
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    text = CODE.sub(keep, markdown)
    text = PICTURE.sub(picture, text)
    text = LINK.sub(lambda m: m[1] + moved(m[2]) + m[3], text)
    return re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], text)


def on_page_content(html, page, config, files):
    """Formulas as MathML, which browsers draw without a script."""
    return re.sub(
        r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>',
        lambda m: converter.convert(
            _unescaped(m[2]), display="block" if m[1] == "div" else "inline"
        ),
        html,
        flags=re.S,
    )


def _unescaped(text):
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
