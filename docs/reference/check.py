#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""check.py XML: reports public names without a doc comment, and parameters that no doc comment describes.

A parameter is described by @param, or by a sentence that names it in code font, in the comment of any overload. `ec`
means the same everywhere: <sd/error.hpp> describes it.
"""
import re
import sys

from comments import Reference, text

wrong = 0


def report(entity, what):
    global wrong
    wrong += 1
    location = entity.node.find("location")
    print(f"{location.get('file')}:{location.get('line')}: {entity.name}: {what}", file=sys.stderr)


def check(entities):
    for entity in entities:
        if entity.self_explaining:
            continue
        if not entity.documented:
            report(entity, "is not documented")
            continue
        for value in entity.node.iterfind("enumvalue"):
            if not text(value, "briefdescription") and not text(value, "detaileddescription"):
                report(entity, f"{value.findtext('name')} is not documented")
        check(entity.members)
        if entity.kind == "function":
            comments = [other.node for other in entities if other.name == entity.name]
            names = {text(name) for comment in comments for name in comment.iterfind(".//parametername")}
            code = " ".join(text(span) for comment in comments for span in comment.iterfind(".//computeroutput"))
            names.update(re.findall(r"\w+", code), ["ec"])
            for parameter in entity.parameters:
                if parameter not in names:
                    report(entity, f"parameter {parameter} is not described")


for header in Reference(sys.argv[1]).headers:
    if not text(header.node, "detaileddescription"):
        print(f"{header.include}: the @file comment is empty", file=sys.stderr)
        wrong += 1
    check(header.entities)
sys.exit(wrong > 0)
