# SPDX-License-Identifier: MIT OR Apache-2.0
"""Finds what can be changed in a source file, and rewrites it so that mutant.hpp chooses one of the changes."""
import re
from dataclasses import dataclass

from clang.cindex import BinaryOperator, Cursor, CursorKind, Index, TranslationUnit, TypeKind

COMPARISONS = {BinaryOperator.LT: ('<', '<='), BinaryOperator.GT: ('>', '>='), BinaryOperator.LE: ('l', '<'),
               BinaryOperator.GE: ('g', '>')}
EQUALITY = {BinaryOperator.EQ, BinaryOperator.NE}
LOGICAL = {BinaryOperator.LAnd, BinaryOperator.LOr}
OPERATIONS = {BinaryOperator.Add: ('+', '-'), BinaryOperator.Sub: ('-', '+'), BinaryOperator.Mul: ('*', '+'),
              BinaryOperator.Div: ('/', '*'), BinaryOperator.Rem: ('%', '*'), BinaryOperator.And: ('&', '|'),
              BinaryOperator.Or: ('|', '&')}
FUNCTIONS = {CursorKind.FUNCTION_DECL, CursorKind.CXX_METHOD, CursorKind.CONSTRUCTOR, CursorKind.DESTRUCTOR,
             CursorKind.CONVERSION_FUNCTION, CursorKind.FUNCTION_TEMPLATE}
# Constants of the compiler, and declarations.
SKIPPED = {CursorKind.STATIC_ASSERT, CursorKind.ENUM_DECL, CursorKind.PARM_DECL, CursorKind.CXX_UNARY_EXPR,
           CursorKind.TYPE_ALIAS_DECL, CursorKind.TYPEDEF_DECL, CursorKind.TEMPLATE_NON_TYPE_PARAMETER,
           CursorKind.TEMPLATE_TYPE_PARAMETER}
INTEGERS = {TypeKind.CHAR_U, TypeKind.UCHAR, TypeKind.USHORT, TypeKind.UINT, TypeKind.ULONG, TypeKind.ULONGLONG,
            TypeKind.CHAR_S, TypeKind.SCHAR, TypeKind.SHORT, TypeKind.INT, TypeKind.LONG, TypeKind.LONGLONG}


@dataclass
class Mutant:
    function: str
    line: int
    original: str
    changed: str
    start: int  # of the changed text, in bytes
    end: int
    number: int = 0

    def key(self) -> str:
        return f'{self.function}: `{self.original}` -> {self.changed}'


@dataclass
class Edit:
    """Text before and after an expression, and in place of its operator. {0} is the number of the first mutant."""
    mutants: list[Mutant]
    before: str
    after: str
    operator: tuple[int, int, str] | None = None


class Finder:
    def __init__(self, path: str, arguments: list[str]) -> None:
        with open(path, 'rb') as file:
            self.text = file.read()
        self.path = path
        self.arguments = arguments
        self.edits: list[Edit] = []
        self.function = ''
        self.wrapped: set[tuple[int, int, str]] = set()
        unit = Index.create().parse(path, arguments, options=TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
        errors = [str(message) for message in unit.diagnostics if message.severity >= 3]
        if errors:
            raise RuntimeError('\n'.join(errors))
        cursors = [c for c in unit.cursor.get_children() if c.location.file and c.location.file.name == path]
        self.macros = {c.extent.start.offset: c.extent.end.offset for c in cursors
                       if c.kind == CursorKind.MACRO_INSTANTIATION}
        for cursor in cursors:
            if not cursor.kind.is_preprocessing():
                self.visit(cursor)
        self.drop_what_does_not_compile()

    # --- text ---

    def source(self, cursor: Cursor) -> str:
        return self.text[cursor.extent.start.offset:cursor.extent.end.offset].decode()

    def in_macro(self, cursor: Cursor) -> bool:
        at = cursor.extent.start.offset
        return any(start <= at < end for start, end in self.macros.items())

    def is_constant(self, cursor: Cursor) -> bool:
        head = re.split(r'[({]|[^=!<>]=[^=]', self.source(cursor), maxsplit=1)[0]
        return bool(re.search(r'\bconst(expr|eval|init)\b', head))

    def add(self, cursor: Cursor, changes: list[str], before: str, after: str, **more) -> None:
        start, end = cursor.extent.start.offset, cursor.extent.end.offset
        if start == end or (start, end, before) in self.wrapped:  # a macro of a header has no place in the file
            return
        self.wrapped.add((start, end, before))
        original = ' '.join(self.source(cursor).split())
        if len(original) > 100:
            original = original[:60] + ' ... ' + original[-30:]
        line = cursor.extent.start.line
        mutants = [Mutant(self.function, line, original, changed, start, end) for changed in changes]
        self.edits.append(Edit(mutants, before, after, **more))

    # --- expressions and statements ---

    def plain(self, cursor: Cursor) -> Cursor:
        """The expression without implicit conversions and parentheses."""
        while cursor.kind in (CursorKind.UNEXPOSED_EXPR, CursorKind.PAREN_EXPR):
            children = list(cursor.get_children())
            if len(children) != 1 or (cursor.kind == CursorKind.UNEXPOSED_EXPR and children[0].extent != cursor.extent):
                break
            cursor = children[0]
        return cursor

    def is_constant_value(self, cursor: Cursor) -> bool:
        return cursor.kind == CursorKind.INTEGER_LITERAL or (
            cursor.kind == CursorKind.DECL_REF_EXPR and cursor.referenced is not None
            and cursor.referenced.kind == CursorKind.ENUM_CONSTANT_DECL)

    def condition(self, cursor: Cursor) -> None:
        inner = self.plain(cursor)
        is_not = inner.kind == CursorKind.UNARY_OPERATOR and self.source(inner).startswith('!')
        if not self.in_macro(inner) and (is_not or inner.binary_operator in LOGICAL):
            for child in inner.get_children():
                self.condition(child)
            return
        if inner.kind == CursorKind.CXX_BOOL_LITERAL_EXPR:
            self.visit(inner)
            return
        if inner.extent.end.offset > inner.extent.start.offset and self.is_whole(inner):
            self.add(inner, ['true', 'false'], 'sd_mutation::boolean({0}, static_cast<bool>(', '))')
        if inner.kind == CursorKind.CALL_EXPR and inner.spelling in ('operator==', 'operator!='):
            for child in inner.get_children():
                if not self.is_constant_value(self.plain(child)):
                    self.visit(child)
        else:
            self.visit(inner, is_condition=True)

    def is_whole(self, cursor: Cursor) -> bool:
        """Whether the expression is not a part of a macro."""
        at = cursor.extent.start.offset
        return not self.in_macro(cursor) or cursor.extent.end.offset >= self.macros.get(at, 1 << 30)

    def statement(self, cursor: Cursor) -> None:
        inner = self.plain(cursor)
        if inner.kind in (CursorKind.BREAK_STMT, CursorKind.CONTINUE_STMT):
            return
        if cursor.kind.is_expression() and inner.kind != CursorKind.CXX_THROW_EXPR and not self.in_macro(cursor):
            self.add(cursor, ['deleted'], 'sd_mutation::is({0}) ? (void)0 : (void)(', ')')
        self.visit(cursor)

    def returned(self, cursor: Cursor) -> None:
        value = next(cursor.get_children(), None)
        if value is None:
            return
        inner = self.plain(value)
        kind = value.type.get_canonical().kind
        text = self.source(inner)
        if kind == TypeKind.BOOL:
            self.condition(value)
            return
        if self.is_whole(inner):
            literal = (CursorKind.INTEGER_LITERAL, CursorKind.UNARY_OPERATOR, CursorKind.CXX_NULL_PTR_LITERAL_EXPR)
            if kind in INTEGERS | {TypeKind.ENUM, TypeKind.POINTER}:
                if inner.kind not in literal and inner.kind != CursorKind.STRING_LITERAL and kind != TypeKind.ENUM:
                    self.add(inner, ['another value'], 'sd_mutation::other({0}, ', ')')
            elif kind == TypeKind.RECORD and not re.search(r'\{\}$|^""$|nullopt$|\(\)$', text):
                self.add(cursor, ['return {}'], 'if (sd_mutation::is({0})) return {{}}; else ', '')
        self.visit(value)

    def conditional(self, cursor: Cursor, keyword_end: int = 0) -> None:
        """if, while and switch: what stands in the parentheses, and the statements behind them."""
        tokens = list(cursor.get_tokens())
        if len(tokens) > 1 and tokens[1].spelling == 'constexpr':
            for child in list(cursor.get_children())[1:]:
                self.statement(child)
            return
        depth, close = 0, cursor.extent.end.offset
        for token in tokens[1:]:
            depth += {'(': 1, ')': -1}.get(token.spelling, 0)
            if depth == 0:
                close = token.extent.start.offset
                break
        children = list(cursor.get_children())
        head = [c for c in children if c.extent.start.offset < close]
        for child in children:
            if child.extent.start.offset >= close:
                self.statement(child)
        declared = [c for c in head if c.kind in (CursorKind.VAR_DECL, CursorKind.DECL_STMT)]
        for child in declared:
            self.visit(child)
        rest = [c for c in head if c not in declared]
        if cursor.kind == CursorKind.SWITCH_STMT or not rest:
            for child in rest:
                self.visit(child)
            return
        last = rest[-1]
        is_declared = any(d.extent.start.offset <= last.extent.start.offset < d.extent.end.offset for d in declared)
        if not is_declared:
            self.condition(last)
        elif cursor.kind == CursorKind.IF_STMT and len(head) == 2:
            name = declared[0].spelling
            self.add(declared[0], ['true', 'false'], '', f'; sd_mutation::boolean({{0}}, static_cast<bool>({name}))')

    def loop(self, cursor: Cursor) -> None:
        tokens = list(cursor.get_tokens())
        depth, parts = 0, []
        for token in tokens[1:]:
            depth += {'(': 1, ')': -1, '{': 1, '}': -1}.get(token.spelling, 0)
            if (depth == 1 and token.spelling == ';') or depth == 0:
                parts.append(token.extent.start.offset)
            if depth == 0:
                break
        for child in cursor.get_children():
            at = child.extent.start.offset
            if at > parts[-1]:
                self.statement(child)
            elif len(parts) == 3 and parts[0] < at < parts[1]:
                self.condition(child)
            else:
                self.visit(child)

    def visit(self, cursor: Cursor, is_condition: bool = False) -> None:
        kind = cursor.kind
        children = list(cursor.get_children())
        if kind in SKIPPED:
            return
        if kind in (CursorKind.VAR_DECL, CursorKind.FIELD_DECL) and '[' in cursor.type.spelling:
            children = [c for c in children if c.kind == CursorKind.INIT_LIST_EXPR]  # without the size of an array
        if kind in FUNCTIONS or kind == CursorKind.VAR_DECL:
            if self.is_constant(cursor):
                self.lambdas(cursor)
                return
            outer = self.function
            if kind in FUNCTIONS or not outer:
                self.function = cursor.spelling.split('<')[0]
            if kind == CursorKind.VAR_DECL:
                children = [c for c in children if c.extent.start.offset >= cursor.location.offset]
            for child in children:
                if kind == CursorKind.VAR_DECL and cursor.type.kind == TypeKind.BOOL:
                    self.condition(child)
                else:
                    self.visit(child)
            self.function = outer
            return
        if self.in_macro(cursor):
            # A constant such as EINVAL. What else a macro contains cannot be changed.
            is_name = re.fullmatch(r'[A-Z][A-Z0-9_]+', self.source(cursor))
            if kind in (CursorKind.INTEGER_LITERAL, CursorKind.DECL_REF_EXPR) and is_name:
                self.add(cursor, ['another value'], 'sd_mutation::other({0}, ', ')')
            elif not self.is_whole(cursor) or kind == CursorKind.UNEXPOSED_EXPR:
                for child in children:
                    self.visit(child)
            return
        if kind == CursorKind.COMPOUND_STMT:
            for child in children:
                self.statement(child)
        elif kind in (CursorKind.IF_STMT, CursorKind.WHILE_STMT, CursorKind.SWITCH_STMT):
            self.conditional(cursor)
        elif kind == CursorKind.DO_STMT:
            self.statement(children[0])
            self.condition(children[1])
        elif kind == CursorKind.FOR_STMT:
            self.loop(cursor)
        elif kind == CursorKind.CXX_FOR_RANGE_STMT:
            for child in children[:-1]:
                self.visit(child)
            self.statement(children[-1])
        elif kind in (CursorKind.CASE_STMT, CursorKind.DEFAULT_STMT, CursorKind.LABEL_STMT):
            self.statement(children[-1])
        elif kind == CursorKind.RETURN_STMT:
            self.returned(cursor)
        elif kind == CursorKind.CONDITIONAL_OPERATOR:
            self.condition(children[0])
            for child in children[1:]:
                self.visit(child)
        elif kind == CursorKind.BINARY_OPERATOR and len(children) == 2:
            self.binary(cursor, children, is_condition)
        elif kind == CursorKind.UNARY_OPERATOR and self.source(cursor).startswith('!'):
            self.condition(children[0])
        else:
            if self.is_constant_value(cursor):
                self.add(cursor, ['another value'], 'sd_mutation::other({0}, ', ')')
            elif kind == CursorKind.CXX_BOOL_LITERAL_EXPR:
                self.add(cursor, ['negated'], 'sd_mutation::other({0}, ', ')')
            elif kind == CursorKind.UNARY_OPERATOR and self.source(cursor)[0] == '-' and self.source(cursor)[1] != '-':
                if children[0].kind != CursorKind.INTEGER_LITERAL or self.in_macro(children[0]):
                    start = cursor.extent.start.offset
                    self.add(cursor, ['without the minus'], '', ')',
                             operator=(start, start + 1, 'sd_mutation::minus({0}, '))
            for child in children:
                self.visit(child)

    def lambdas(self, cursor: Cursor) -> None:
        """The functions in a table of constants."""
        if cursor.kind == CursorKind.VAR_DECL and not self.function:
            self.function = cursor.spelling
            for child in cursor.walk_preorder():
                if child.kind == CursorKind.LAMBDA_EXPR:
                    self.visit(list(child.get_children())[-1])
            self.function = ''

    def binary(self, cursor: Cursor, children: list[Cursor], is_condition: bool) -> None:
        operator = cursor.binary_operator
        left, right = children
        if operator in LOGICAL:
            self.condition(left)
            self.condition(right)
            return
        if (operator in COMPARISONS or operator in EQUALITY) and not is_condition:
            self.add(cursor, ['true', 'false'], 'sd_mutation::boolean({0}, ', ')')
        integers = all(c.type.get_canonical().kind in INTEGERS for c in children)
        template, changed = (('compare', COMPARISONS[operator]) if operator in COMPARISONS else
                             ('compute', OPERATIONS[operator]) if operator in OPERATIONS and integers else ('', None))
        if changed:
            between = self.text[left.extent.end.offset:right.extent.start.offset].decode()
            sign = between.strip()
            if sign in ('<', '>', '<=', '>=', '+', '-', '*', '/', '%', '&', '|'):
                self.add(cursor, [changed[1]], f"sd_mutation::{template}<'{changed[0]}'>({{0}}, ", ')',
                         operator=(left.extent.end.offset, right.extent.start.offset, between.replace(sign, ',')))
        for child in children:
            # Another constant would make the comparison another one.
            constant = self.plain(child)
            if not ((operator in COMPARISONS or operator in EQUALITY) and self.is_constant_value(constant)):
                self.visit(child)

    # --- the result ---

    def render(self, header: str) -> bytes:
        """The rewritten source. Lines keep their numbers."""
        before: dict[int, list[str]] = {}
        after: dict[int, list[str]] = {}
        replaced: dict[int, tuple[int, str]] = {}
        for edit in self.edits:
            number, start, end = edit.mutants[0].number, edit.mutants[0].start, edit.mutants[0].end
            before.setdefault(start, []).append(edit.before.format(number))
            after.setdefault(end, []).insert(0, edit.after.format(number))
            if edit.operator:
                replaced[edit.operator[0]] = (edit.operator[1], edit.operator[2].format(number))
        first = self.text.index(b'\n') + 1  # the licence, a comment
        # The source chooses the types of the system headers, of which the header includes some.
        chosen = '#define _FILE_OFFSET_BITS 64\n' if b'_FILE_OFFSET_BITS' in self.text else ''
        result = f'{chosen}#include "{header}"\n#line 2\n'.encode()
        # Where parts of the rewritten text begin, where they are from, and whether they are text of the source.
        self.origins: list[tuple[int, int, bool]] = []
        at = first
        for place in sorted({*before, *after, *replaced, len(self.text)}):
            self.origins.append((len(result), at, True))
            result += self.text[at:place]
            self.origins.append((len(result), place, False))
            result += ''.join(after.get(place, []) + before.get(place, [])).encode()
            at = place
            if place in replaced:
                at, operator = replaced[place]
                result += operator.encode()
        return result

    def drop_what_does_not_compile(self) -> None:
        """Constant expressions, for example, cannot call a function."""
        self.dropped = 0
        while True:
            for number, edit in enumerate(self.edits):
                edit.mutants[0].number = 3 * number + 1
            text = self.render('mutant.hpp')
            arguments = [*self.arguments, '-Itests/mutation', '-DSD_MUTATION_FILE=""', '-ferror-limit=0']
            unit = Index.create().parse(self.path, arguments, [(self.path, text.decode())])
            wrong = []
            for message in unit.diagnostics:
                location = message.location
                if message.severity < 3 or not location.file or location.file.name != self.path:
                    continue
                begin, origin, is_text = max(o for o in self.origins if o[0] <= location.offset)
                place = origin + (location.offset - begin if is_text else 0)
                around = [e for e in self.edits if e.mutants[0].start <= place <= e.mutants[0].end and e not in wrong]
                if around:
                    wrong.append(min(around, key=lambda e: e.mutants[0].end - e.mutants[0].start))
            if not wrong:
                errors = [str(m) for m in unit.diagnostics if m.severity >= 3]
                if errors:
                    raise RuntimeError(f'{self.path}: the mutated source does not compile:\n' + '\n'.join(errors))
                return
            self.dropped += sum(len(e.mutants) for e in wrong)
            self.edits = [e for e in self.edits if e not in wrong]
