#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""headers.py DIRECTORY: writes copies of the public headers for Doxygen.

Each header becomes a group, whose description is the @file comment. The inline namespace, [[nodiscard]], macros for
compilers, and specializations of templates of the standard library are left out.
"""
import pathlib
import re
import sys


def describe_ec(match):
    """Adds the description of `ec`, which is the same everywhere, where the other parameters have one."""
    indent, comment, declaration = match.groups()
    if "@param" not in comment or "error_code& ec" not in declaration:
        return match[0]
    line = f"{indent}/// @param ec Is set to the error, or cleared.\n"
    return (
        re.sub(r"(?=^ *///\s*@(?:returns|par|throws|threadsafety|see)\b)|\Z", line, comment, count=1, flags=re.M)
        + declaration
    )


def prepare(header):
    text = header.read_text(encoding="utf-8")
    text = re.sub(r"^inline namespace v0 \{$|^\}  // namespace v0$", "", text, flags=re.M)
    text = text.replace("[[nodiscard]] ", "")
    text = re.sub(r"%(?=[A-Z])", r"%%", text)  # Doxygen drops one
    text = re.sub(r"^ *struct alignas.*?^ *\} \w+\{\};\n", "", text, flags=re.M | re.S)  # a private member
    text = re.sub(r"^#define SD_(?:EXPORT|LIFETIMEBOUND|PRINTF_|UNUSED_MEMBER|VISIBLE)\b.*\n", "", text, flags=re.M)
    text = re.sub(r"^(?:///[^\n]*\n)*template <>\nstruct std::.*?;\n(?=\n|\Z)", "", text, flags=re.M | re.S)
    text = re.sub(r"^(?=( *)///)((?:\1///.*\n)+)([^;{]*)", describe_ec, text, flags=re.M)

    group = f"header_{header.stem.replace('-', '_')} <{header.parent.name}/{header.name}>"
    text, count = re.subn(
        r"^(///| \*) @file\n((?:\1(?!/).*\n)*)", rf"\1 @defgroup {group}\n\2\1 @{{\n", text, flags=re.M
    )
    if count != 1:
        sys.exit(f"{header}: needs one @file comment")
    # A group ends with the scope that it begins in.
    text = re.sub(r"^(namespace sd(?:::testing)? \{)$", rf"\1\n/// @addtogroup {group}\n/// @{{", text, flags=re.M)
    text = re.sub(r"^(\}  // namespace sd(?:::testing)?)$", r"/// @}\n\1", text, flags=re.M)
    return text + "/** @} */\n"


for header in [*pathlib.Path("include/sd").glob("*.hpp"), pathlib.Path("compat/include/systemd/sd-daemon.h")]:
    copy = pathlib.Path(sys.argv[1], header.parent.name, header.name)
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(prepare(header), encoding="utf-8")
