#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""man.py XML DIRECTORY: writes the man pages of section 3.

A header of the library becomes a page, named after its main function or class, such as sd::take(3). A @name section of
<systemd/sd-daemon.h> becomes a page with the suffix 3sd-daemon, because libsystemd has pages of the same names. man(1)
finds it by that section, and by the section 3 if libsystemd's page is not installed. Every other name gets a page that
refers to it.
"""
import datetime
import os
import pathlib
import re
import sys
import time
import xml.etree.ElementTree as ElementTree

from comments import Entity, Reference, text

WIDTH = 72  # of a synopsis, which is not filled
date = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), datetime.timezone.utc)
LIBRARIES = {  # by the header's directory or name
    "systemd": "libsd\\-daemon, in place of libsystemd (pkg\\-config module sd\\-daemon)",
    "sd/testing.hpp": "libsd\\-testing (pkg\\-config module sd\\-testing)",
    "sd": "libsd\\-listen\\-fds (pkg\\-config module sd\\-listen\\-fds)",
}
DATE = f"{date:%B} {date.day}, {date.year}"


def escape(string):
    return string.replace("\\", "\\e").replace("-", "\\-")


def bold(string):
    """Without hyphenation, which would look as if it belonged to the name."""
    return "\\fB" + " ".join("\\%" + word for word in escape(string).split(" ")) + "\\fR"


class Prose:
    """Turns the XML of a doc comment into paragraphs of mdoc(7)."""

    def __init__(self, parameters=()):
        self.parameters = parameters

    def inline(self, node):
        out = self._text(node.text)
        for child in node:
            if child.tag == "computeroutput":
                code = text(child)
                out += f"\\fI{escape(code)}\\fR" if code in self.parameters else bold(code)
            elif child.tag == "sp":
                out += " "
            elif child.tag in ("simplesect", "parameterlist", "programlisting", "verbatim", "itemizedlist"):
                pass
            else:
                out += self.inline(child)
            out += self._text(child.tail)
        return out

    def _text(self, string):
        string = escape(re.sub(r"\s+", " ", string or ""))
        string = re.sub(r"((?:[\w.]|\\-)+)\((\d\w*)\)", r"\\fB\1\\fR(\2)", string)  # poll(2)
        string = re.sub(r"\b(\w+)\(\)", r"\\fB\1\\fR()", string)  # sd_notify()
        return re.sub(r"\b((?:E[A-Z0-9]{3,}|[A-Z]+_[A-Z_]+)(?:=1)?)\b", r"\\fB\\%\1\\fR", string)  # EINVAL, LISTEN_PID

    def sentences(self, node):
        """One sentence a line, as mdoc(7) asks for."""
        lines = (
            re.sub(r"((?:\w\w|[)\x22]|\\fR|\d)[.:]) +(?=[A-Z\\])", r"\1\n", self.inline(node).strip())
            if node is not None
            else ""
        )
        return re.sub(r"^(?=[.'])", r"\\&", lines, flags=re.M)

    def paragraphs(self, nodes):
        """The text of the comment, without @returns and the like, which have sections of their own."""
        for node in nodes:
            for para in node.iterfind("para"):
                words = ElementTree.Element("para")
                words.text = para.text
                for child in para:
                    if child.tag in ("programlisting", "verbatim"):
                        yield from filter(None, [self.sentences(words)])
                        yield literal("".join(code_lines(child)), indent=True)
                        words = ElementTree.Element("para")
                        words.text = child.tail
                    else:
                        words.append(child)
                yield from filter(None, [self.sentences(words)])
                for note in para.iterfind("simplesect[@kind='note']"):
                    yield from self.paragraphs([note])


def code_lines(node):
    if node.tag == "verbatim":
        yield node.text.strip("\n")
    for line in node.iterfind("codeline"):
        yield "".join(
            " " if part.tag == "sp" else (part.text or "") for part in line.iter() if part.tag != "codeline"
        ) + "\n"


def literal(code, indent=False):
    return ".Bd -literal" + (" -offset indent" if indent else "") + "\n" + escape(code.rstrip("\n")) + "\n.Ed"


def join(paragraphs):
    return re.sub(r"\n\.Pp\n(?=\.B[dl])", "\n", "\n.Pp\n".join(paragraphs))


def cpp(code):
    """As the project writes code: std::vector<T>& fds."""
    code = re.sub(r"\s+", " ", code).replace("< ", "<").replace(" >", ">")
    code = re.sub(r" ([&*]+) ?(?=\w)", r"\1 ", code)
    code = re.sub(r" (&+)(?=[,)])", r"\1", code)
    code = re.sub(r"\) const (&+)\s*", r") const\1 ", code)
    code = re.sub(r" ([&*]+)$", r"\1", code)
    return re.sub(r"(?<=[^=!<>+ |])=(?=[^=])", " = ", code).replace(",...", ", ...").replace("\\n", "").strip()


def declaration(entity, qualified=False):
    node = entity.node
    name = entity.short
    if entity.kind in ("class", "struct"):
        return f"{entity.kind} {name}"
    if entity.kind == "define":
        return f"#define {name} {text(node, 'initializer')}".strip()
    if entity.kind == "enum":
        values = ", ".join(value.findtext("name") for value in node.iterfind("enumvalue"))
        return f"enum class {name} {{ {values} }};"
    kind = cpp(text(node, "type"))
    if entity.kind == "typedef":
        return f"using {name} = {kind};"
    if entity.kind == "variable":
        return f"{kind} {name} {cpp(text(node, 'initializer'))}".strip() + ";"
    parameters = [
        cpp(text(p, "type")) + " " + (p.findtext("declname") or "") for p in node.iterfind("templateparamlist/param")
    ]
    template = f"template <{', '.join(p.strip() for p in parameters if ' ' in p.strip())}>\n" if parameters else ""
    explicit = "explicit " if node.get("explicit") == "yes" else ""
    static = (
        "static " if node.get("static") == "yes" and entity.scope not in ("", "sd") and "static" not in kind else ""
    )
    arguments = node.findtext("argsstring").replace(",...", ", ...")
    arguments = re.sub(r" = (default|delete)$", "", cpp(arguments)) if entity.scope else arguments  # C is in C's style
    static = "friend " if entity.kind == "friend" else static
    return f"{template}{static}{explicit}{kind} {name}{arguments};".replace("  ", " ").replace("\n ", "\n").strip()


def wrap(code, indent=""):
    """Breaks a declaration at its commas, and continues below its first parameter."""
    if "\n" in code:
        return "\n".join(wrap(line, indent) for line in code.split("\n"))
    opening = code.find("(") + 1 if "(" in code else 4
    if opening > WIDTH // 2:
        opening = 4
    lines, line = [], ""
    for part in re.split(r"(?<=,) ", code):
        if line and len(indent) + len(line) + 1 + len(part) > WIDTH:
            lines.append(line)
            line = " " * opening + part
        else:
            line += (" " if line else "") + part
    return "\n".join(indent + line for line in lines + [line])


def highlight(code, entity):
    """Names in bold, parameters in italics."""
    code = escape(code)
    name = escape(entity.short)
    position = re.search(
        rf"(?<![\w:]){re.escape(name)}(?=\()" if "(" in code else rf"(?<![\w:]){re.escape(name)}\b", code
    )
    if position is None:
        return code
    head, tail = code[: position.start()], code[position.end() :]
    for parameter in entity.parameters:
        tail = re.sub(rf"(?<![\w:])(?<!\\f)({parameter})(?=[,)\s\[]|$)", r"\\fI\1\\fR", tail)
    return f"{head}\\fB{name}\\fR{tail}"


def shown(entities):
    return [entity for entity in entities if entity.documented and not entity.deleted]


def synopsis(entities):
    scope = ""
    lines = []
    for entity in entities:
        if entity.scope != scope:
            lines += ["}"] * bool(scope) + [f"namespace {entity.scope} {{"]
            scope = entity.scope
        if entity.kind in ("class", "struct"):
            lines += synopsis_of_class(entity)
        else:
            lines.append(highlight(wrap(declaration(entity)), entity))
    return "\n".join(lines + ["}"] * bool(scope))


def synopsis_of_class(entity, indent=""):
    yield f"{indent}{entity.kind} \\fB{entity.short}\\fR {{"
    if entity.kind == "class":
        yield f"{indent}public:"
    for member in shown(entity.members):
        if member.kind in ("class", "struct"):
            yield from synopsis_of_class(member, indent + "  ")
        else:
            yield highlight(wrap(declaration(member), indent + "  "), member)
    yield f"{indent}}};"


def flatten(entities):
    for entity in shown(entities):
        yield entity
        yield from flatten(entity.members)


def label(entity):
    return entity.name + ("()" if entity.kind == "function" else "")


def tagged(items):
    """A list of (names, text). Names with the same text share it."""
    merged = {}
    for name, words in items:
        names = merged.setdefault(words, [])
        if name not in names:
            names.append(name)
    return "".join(f".It {', '.join(map(bold, names))}\n{words}\n" for words, names in merged.items())


def listed(items):
    items = tagged(items)
    return f".Bl -tag -width Ds\n{items}.El" if items else ""


def describe(entity):
    """What a function does, or what a class, an enumeration or a macro is."""
    prose = Prose(entity.parameters)
    nodes = [entity.node.find("briefdescription"), entity.node.find("detaileddescription")]
    yield from (p for p in prose.paragraphs(nodes) if not p.startswith("Does the same as the overload with"))
    values = [(value.findtext("name"), value) for value in entity.node.iterfind("enumvalue")]
    parameters = [
        (name, prose.sentences(node.find("para"))) for name, node in entity.parameter_list("param") if name != "ec"
    ]
    items = [
        (name, join(Prose().paragraphs([v.find("briefdescription"), v.find("detaileddescription")])))
        for name, v in values
    ]
    for names in parameters, items:
        if names:
            yield listed(names)


def description(entities):
    if len(entities) > 1 and all(entity.kind == "define" for entity in entities):
        return listed((entity.name, join(describe(entity))) for entity in entities)
    out = []
    last = None
    order = [entity.name for entity in entities]
    for entity in sorted(entities, key=lambda entity: order.index(entity.name)):
        paragraphs = list(describe(entity))
        if entity.members:
            own = [(member_label(entity, m), join(describe(m))) for m in flatten(entity.members)]
            paragraphs.append(listed([item for item in own if item[1]]))
        if not paragraphs:
            continue
        if len({other.name for other in entities}) > 1 and entity.name != last:
            out.append(f".Ss {escape(label(entity))}")
        elif out:
            out.append(".Pp")
        last = entity.name
        out.append(join(paragraphs))
    return "\n".join(out)


def member_label(entity, member):
    if member.kind == "function":
        arguments = ", ".join(member.parameters)
        return f"{member.name[len(entity.name) + 2:]}({arguments})"
    return member.name[len(entity.name) + 2 :]


def sections(header, entities):
    """(title, text) of the sections for results, errors and threads."""
    returns, errors, threads = {}, {}, {}
    documented = [
        entity.name for entity in flatten(entities) if entity.block("return") or entity.block("par", "Errors")
    ]
    for entity in flatten(entities):
        prose = Prose(entity.parameters)
        name = label(entity)
        if documented.count(entity.name) > 1:
            name = f"{entity.name}({', '.join(entity.parameters)})"
        for sections, found in (
            (returns, entity.block("return")),
            (errors, entity.block("par", "Errors")),
            (threads, entity.block("par", "Thread safety")),
        ):
            for section in found:
                sections.setdefault(name, []).extend(prose.paragraphs([section]))
        for what, node in entity.parameter_list("exception"):
            words = prose.sentences(node.find("para"))
            end = ".\n" if words[:1].isupper() else " " if words else "."
            errors.setdefault(name, []).append(f"Throws {bold(what)}{end}{words}")
    general = Entity(header.node, "header", header.include, "", 0)
    of_all = {title: join(Prose().paragraphs(general.block("par", title))) for title in ("Errors", "Thread safety")}
    if all(entity.kind == "define" for entity in entities):
        of_all = {"Errors": "", "Thread safety": ""}
    if any("ec" in entity.parameters for entity in flatten(entities)):
        of_all["Errors"] = (
            "A function with the parameter \\fIec\\fR sets it to the error, or clears it.\n"
            "The overload without it throws \\fB\\%std::system_error\\fR with the same error."
        )
    for title, items, first in (
        ("RETURN VALUES", returns, ""),
        ("ERRORS", errors, of_all["Errors"]),
        ("THREAD SAFETY", threads, of_all["Thread safety"]),
    ):
        body = [first] * bool(first) + [listed((name, join(words)) for name, words in items.items())] * bool(items)
        if body:
            yield f".Sh {title}\n{join(body)}"


def see_also(entities, own, others):
    found = set(others) | {("sd-listen-fds", "7")}
    for entity in flatten(entities):
        for section in entity.block("see"):
            found.update(re.findall(r"([\w.-]+)\((\d\w*)\)", text(section)))
    found = sorted((item for item in found if item[0] not in own), key=lambda item: (item[1], item[0].lower()))
    return " ,\n".join(f".Xr {name} {section}" for name, section in found)


class Page:
    def __init__(self, header, entities, brief, suffix, details=()):
        self.header, self.include, self.entities = header, header.include, shown(entities)
        self.brief, self.suffix, self.details = brief[0].lower() + brief[1:], suffix, details
        self.names = list(dict.fromkeys(e.name for e in self.entities if not re.match("to_string|operator", e.short)))

    @property
    def name(self):
        """The main name: the one of the header, or else the first function."""
        stem = self.include.rpartition("/")[2].partition(".")[0]
        named = [name for name in self.names if re.sub(r".*::", "", name).startswith(stem)]
        named.sort(key=lambda name: re.sub(r".*::", "", name) != stem)
        functions = [e.name for e in self.entities if e.kind == "function" and e.name in self.names]
        return (named + functions + self.names)[0]

    def write(self, directory, pages):
        paragraphs = list(Prose().paragraphs(self.details))
        body = description(self.entities)
        body = (
            "\n".join(filter(None, [join(paragraphs), body])) if body.startswith(".Ss") else join(paragraphs + [body])
        )
        names = [self.name] + [name for name in self.names if name != self.name]
        out = [
            '.\\" SPDX-License-Identifier: MIT OR Apache-2.0',
            f".Dd {DATE}",
            f".Dt {self.name.upper() if self.suffix != '3' else self.name} 3",
            ".Os sd-listen-fds",
            ".Sh NAME",
            " ,\n".join(f".Nm {name}" for name in names),
            f".Nd {self.brief}",
            f".Sh LIBRARY\n{LIBRARIES.get(self.include) or LIBRARIES[self.include.partition('/')[0]]}",
            ".Sh SYNOPSIS",
            f".In {self.include}",
            literal_raw(synopsis(self.entities)),
            ".Sh DESCRIPTION",
            body,
        ]
        out += sections(self.header, self.entities)
        out.append(f".Sh SEE ALSO\n{see_also(self.entities, self.names, self.related(pages))}")
        target = f"{self.name}.{self.suffix}"
        (directory / target).write_text("\n".join(part for part in out if part) + "\n", encoding="utf-8")
        for name in self.names:
            if name != self.name:
                (directory / f"{name}.{self.suffix}").write_text(f".so man3/{target}\n", encoding="utf-8")

    def related(self, pages):
        """The pages whose names the declarations and the comments of this one contain."""
        code = [
            text(span) for e in flatten(self.entities) for tag in ("ref", "computeroutput") for span in e.node.iter(tag)
        ]
        words = set(re.findall(r"\w+", " ".join(code)))
        for page in pages:
            names = {name.rpartition("::")[2] for name in page.names if name.count("::") < 2}
            if page is not self and page.suffix == self.suffix and (names & words or self.suffix != "3"):
                yield page.name, page.suffix


def literal_raw(code):
    return f".Bd -literal\n{code}\n.Ed"


def main():
    directory = pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    pages = []
    for header in Reference(sys.argv[1]).headers:
        details = header.node.find("detaileddescription")
        if header.include.startswith("systemd/"):
            for family in dict.fromkeys(entity.family for entity in header.entities):
                members = [entity for entity in header.entities if entity.family == family]
                section = next(s for s in header.node.iterfind("sectiondef") if s.findtext("header") == family)
                pages.append(Page(header, members, family, "3sd-daemon", section.iterfind("description")))
        elif not all(entity.kind == "define" for entity in header.entities):
            first = details.find("para")
            brief = text(first).partition(". ")[0]
            details.remove(first)
            pages.append(Page(header, header.entities, brief.rstrip("."), "3", [details]))
    for page in pages:
        page.write(directory, pages)


main()
