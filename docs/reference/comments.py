# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads Doxygen's XML: headers, and the names that they declare, in the order of the text."""
import dataclasses
import pathlib
import re
import xml.etree.ElementTree as ElementTree


@dataclasses.dataclass
class Entity:
    """A function, class, enumeration, macro or the like, with its doc comment."""

    node: ElementTree.Element
    kind: str
    name: str  # as users write it: sd::take
    scope: str  # sd, sd::unique_fd, or nothing
    line: int
    family: str = ""  # the title of the @name section that it is in
    members: list["Entity"] = dataclasses.field(default_factory=list)

    @property
    def short(self):
        return self.name[len(self.scope) + 2 :] if self.scope else self.name

    @property
    def parameters(self):
        names = [
            parameter.findtext("declname") or parameter.findtext("defname") for parameter in self.node.iterfind("param")
        ]
        return [name for name in names if name]

    @property
    def documented(self):
        return bool(text(self.node, "briefdescription") or text(self.node, "detaileddescription"))

    @property
    def deleted(self):
        return (self.node.findtext("argsstring") or "").endswith("=delete")

    @property
    def self_explaining(self):
        """Copying, moving, destruction and operators, which need no words."""
        own = self.scope.rpartition("::")[2]
        types = [re.sub(r"\b(const)\b|[&\s]", "", text(p, "type")) for p in self.node.iterfind("param")]
        copies = own != "" and self.short == own and types == [own]
        return self.deleted or copies or self.short.startswith(("~", "operator")) or self.short == "swap"

    def block(self, kind, title=None):
        """The @returns, @see, @par ... paragraphs of the doc comment, as XML."""
        found = self.node.iterfind(f"detaileddescription//simplesect[@kind='{kind}']")
        return [section for section in found if title is None or section.findtext("title") == title]

    def parameter_list(self, kind):
        """(name, description) of each @param or @throws."""
        for item in self.node.iterfind(f"detaileddescription//parameterlist[@kind='{kind}']/parameteritem"):
            names = ["".join(name.itertext()) for name in item.iterfind("parameternamelist/parametername")]
            yield ", ".join(names), item.find("parameterdescription")


def text(node, path="."):
    return re.sub(r"\s+", " ", "".join("".join(found.itertext()) for found in node.iterfind(path))).strip()


class Reference:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.headers = [self._header(path) for path in sorted(self.directory.glob("group__header__*.xml"))]

    def _compound(self, name):
        return ElementTree.parse(self.directory / f"{name}.xml").getroot().find("compounddef")

    def _header(self, path):
        compound = self._compound(path.stem)
        entities = [entity for entity in self._members(compound, "") if entity.kind != "friend"]
        entities += [
            self._class(inner.get("refid"))
            for inner in compound.iterfind("innerclass")
            if inner.get("prot") == "public"
        ]
        entities = [entity for entity in entities if "(" not in entity.name]
        nested = [member.name for entity in entities for member in entity.members if member.kind in ("class", "struct")]
        entities = [entity for entity in entities if entity.name not in nested]
        return Header(
            compound, compound.findtext("title").strip("<>"), sorted(entities, key=lambda entity: entity.line)
        )

    def _class(self, refid):
        compound = self._compound(refid)
        name = compound.findtext("compoundname")
        line = int(compound.find("location").get("line"))
        entity = Entity(compound, compound.get("kind"), name, name.rpartition("::")[0], line)
        entity.members = [member for member in self._members(compound, name) if member.node.get("prot") == "public"]
        entity.members += [
            self._class(inner.get("refid"))
            for inner in compound.iterfind("innerclass")
            if inner.get("prot") == "public"
        ]
        entity.members = sorted(entity.members, key=lambda member: member.line)
        return entity

    def _members(self, compound, scope):
        for section in compound.iterfind("sectiondef"):
            for node in section.iterfind("memberdef"):
                name = node.findtext("qualifiedname") or node.findtext("name")
                if scope and not name.startswith(scope + "::"):
                    name = f"{scope}::{name}"
                kind = node.get("kind")
                line = int(node.find("location").get("line"))
                yield Entity(
                    node, kind, name, scope or name.rpartition("::")[0], line, section.findtext("header") or ""
                )


@dataclasses.dataclass
class Header:
    node: ElementTree.Element
    include: str
    entities: list
