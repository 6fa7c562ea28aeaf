#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""guides.py DIRECTORY: writes the documents and the examples as pages for Doxygen.

The README becomes the main page. Links between documents become references, a link to an example leads to a page that
shows its files, and the names of headers become links to their descriptions.
"""
import os
import pathlib
import re
import sys

OUT = pathlib.Path(sys.argv[1])
DOCUMENTS = [pathlib.Path(name) for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
DOCUMENTS += sorted(pathlib.Path("docs").rglob("*.md"))
INDEXES = ("docs/frameworks/README.md", "docs/README.md")  # whose links make the tree of the pages, inner ones first
LANGUAGES = {
    ".cpp": "cpp",
    ".hpp": "cpp",
    ".h": "cpp",
    ".proto": "",
    ".txt": "cmake",
    ".service": "ini",
    ".socket": "ini",
}

placed = set()
examples = set()


def page_id(path):
    return "guide_" + re.sub(r"\W", "_", str(path.with_suffix("")))


def anchor(heading):
    """As GitHub makes them of headings."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def example_of(path):
    """The directory of examples/ that contains the path."""
    parts = path.parts[: 3 if path.parts[1] == "frameworks" else 2]
    return pathlib.Path(*parts)


def link(document, text, target):
    if re.match(r"https?:", target):
        return f"[{text}]({target})"
    name, _, fragment = target.partition("#")
    path = pathlib.Path(os.path.normpath(document.parent / name)) if name else document
    plain = text.replace("`", "").replace("*", "")
    if path.suffix == ".md":
        if fragment:
            return f'@ref {page_id(path)}_{fragment} "{plain}"'
        if (
            str(document) in INDEXES
            and path not in placed
            and path.parent in (document.parent, document.parent / "frameworks")
        ):
            placed.add(path)
            return f'@subpage {page_id(path)} "{plain}"'
        return f'@ref {page_id(path)} "{plain}"'
    if path.parts[0] == "examples":
        examples.add(example_of(path))
        return f'@ref {page_id(example_of(path))} "{plain}"'
    if not path.is_file():
        sys.exit(f"{document}: there is no {path}")
    (OUT / "files").mkdir(exist_ok=True)
    copied = path.name if path.suffix else path.name + ".txt"
    (OUT / "files" / copied).write_bytes(path.read_bytes())
    return f'<a href="{copied}">{text}</a>'


def code(span):
    """A code span. The name of a header becomes a link."""
    header = re.fullmatch(r"`<((?:sd|systemd)/[\w.-]+)>`", span)
    if (
        header
        and (pathlib.Path("include") / header[1]).is_file() | (pathlib.Path("compat/include") / header[1]).is_file()
    ):
        stem = pathlib.Path(header[1]).stem.replace("-", "_")
        return f'@ref header_{stem} "&lt;{header[1]}&gt;"'
    if "::ffff" in span:  # which is not a name
        return f"<code>{span.strip('`').replace('::', chr(92) + '::')}</code>"
    return re.sub(r"%(?=[A-Za-z])", "%%", span)


def prose(document, text):
    text = re.sub(
        r"!\[([^\]]*)\]\(([^)]*)\)",
        lambda m: link(document, "", m[2]).replace("<a href=", f'<img alt="{m[1]}" src=').replace("</a>", ""),
        text,
    )
    parts = re.split(r"(`[^`]+`)", text)
    text = "".join(code(part) if part.startswith("`") else part for part in parts)
    return re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", lambda m: link(document, m[1], m[2]), text)


def heading(document, level, title):
    title = re.sub(r"</?code>|`", "", title)
    if len(level) == 1:
        # The tree of the pages has no room for "take: selecting the passed descriptors".
        title = "Guides" if str(document) == "docs/README.md" else title.split(": ")[0]
        return f"# {title} {{#{'mainpage' if str(document) == 'README.md' else page_id(document)}}}"
    return f"{level} {title} {{#{page_id(document)}_{anchor(title)}}}"


def page(document):
    text = document.read_text(encoding="utf-8")
    parts = re.split(r"(^```.*?^```$)", re.sub(r"<!--.*?-->", "", text, flags=re.S), flags=re.M | re.S)
    for index in range(0, len(parts), 2):
        lines = prose(document, parts[index])
        parts[index] = re.sub(r"^(#+) (.*)$", lambda m: heading(document, m[1], m[2]), lines, flags=re.M)
    (OUT / f"{page_id(document)}.md").write_text("".join(parts), encoding="utf-8")


def example_page(directory):
    files = sorted(path for path in directory.iterdir() if path.suffix in LANGUAGES or path.suffix == ".md")
    text = f"# {directory.name} {{#{page_id(directory)}}}\n\n"
    for path in files:
        if path.suffix != ".md":
            source = re.sub(r"\A.*SPDX-License-Identifier.*\n", "", path.read_text(encoding="utf-8"))
            text += f"## {path.name}\n\n```{LANGUAGES[path.suffix]}\n{source}```\n\n"
    (OUT / f"{page_id(directory)}.md").write_text(text, encoding="utf-8")


OUT.mkdir(parents=True, exist_ok=True)
for path in [*map(pathlib.Path, INDEXES), *(path for path in DOCUMENTS if str(path) not in INDEXES)]:
    page(path)
subpages = ""
for path in sorted(examples):
    example_page(path)
    subpages += f"- @subpage {page_id(path)} \"{path.relative_to('examples')}\"\n"
# The description of each header refers to its guide.
rows = re.findall(
    r"^\| \[([^\]]*)\]\(([^)#]*)\).*\|([^|]*)\|$", pathlib.Path("docs/README.md").read_text(encoding="utf-8"), re.M
)
guides = ""
for title, name, headers in rows:
    for stem in re.findall(r"/([\w-]+)\.hp*>", headers):
        target = page_id(pathlib.Path("docs", name))
        guides += f'/** @addtogroup header_{stem.replace("-", "_")}\n * @par Guide\n * @ref {target} "{title}"\n */\n'
(OUT / "guides.dox").write_text(guides, encoding="utf-8")
(OUT / "examples.md").write_text(
    "# Examples {#guide_examples}\n\nComplete services, with their units:\n\n" + subpages, encoding="utf-8"
)
