"""Finds the places of a Rust source where a small change would make the program wrong, and puts a switch on each.

It reads text, not syntax: what does not build with its switch is dropped by `run` and counted. Comments, strings and
what stands below `#[cfg(test)]` are left alone.
"""

import re

INTEGERS = "usize|u64|u32|u16|u8|i64|i32|isize"


class Mutant:
    """One change: where (file, line, function), which, and the edits that make it switchable."""

    def __init__(self, file, line, function, what, edits):
        self.file, self.line, self.function, self.what, self.edits = file, line, function, what, edits
        self.number = 0

    def name(self):
        return f"{self.file}:{self.function}: {self.what}"


def masked(text):
    """The same text, as long, with comments, strings and characters blanked."""
    pattern = re.compile(
        r"//[^\n]*|/\*.*?\*/|b?r(#*)\".*?\"\1|b?\"(?:\\.|[^\"\\])*\"|b?'(?:\\[^\n]{1,8}?|[^'\\\n])'", re.S)
    return pattern.sub(lambda found: re.sub(r"[^\n]", "_" if found[0][0] != "/" else " ", found[0]), text)


def closing(text, at):
    """Where the bracket that opens at `at` closes."""
    depth = 0
    for place in range(at, len(text)):
        if text[place] in "([{":
            depth += 1
        elif text[place] in ")]}":
            depth -= 1
            if depth == 0:
                return place
    return len(text) - 1


def functions(text):
    """(name, start of the body, its end, return type), outermost first."""
    found = []
    for head in re.finditer(r"\bfn\s+(\w+)", text):
        if re.search(r"\bconst\s+(unsafe\s+)?$", text[max(0, head.start() - 20):head.start()]):
            continue
        depth, at = 0, head.end()
        while at < len(text) and not (depth == 0 and text[at] in "{;"):
            depth += (text[at] in "([") - (text[at] in ")]")
            at += 1
        if at >= len(text) or text[at] == ";":
            continue
        returns = re.search(r"->\s*(.*?)\s*(?:\bwhere\b.*)?$", text[text.find("(", head.end()):at], re.S)
        returns = text_after_arguments(text, head.end(), at) if returns else ""
        found.append((head[1], at, closing(text, at), returns))
    return found


def text_after_arguments(text, start, end):
    rest = text[closing(text, text.find("(", start)) + 1:end]
    rest = rest.split("->", 1)[1] if "->" in rest else ""
    return re.split(r"\bwhere\b", rest)[0].strip()


def early_values(returns):
    """What a function of this type might return at once."""
    if returns == "":
        return [("", "return at once")]
    table = [
        (r"bool$", ["true", "false"]),
        (r"(io::|std::io::)?Result<\(\)(,.*)?>$", ["Ok(())"]),
        (r"(\w+::)*Result<bool(,.*)?>$", ["Ok(true)", "Ok(false)"]),
        (r"(\w+::)*Result<Option<.*>$", ["Ok(None)"]),
        (r"(\w+::)*Result<Vec<.*>$", ["Ok(Vec::new())"]),
        (rf"(\w+::)*Result<({INTEGERS})(,.*)?>$", ["Ok(0)"]),
        (r"Option<.*>$", ["None"]),
        (rf"({INTEGERS})$", ["0"]),
        (r"String$", ["String::new()"]),
        (r"Vec<.*>$", ["Vec::new()"]),
    ]
    for pattern, values in table:
        if re.match(pattern, returns, re.S):
            return [(value, f"return {value} at once") for value in values]
    return []


def bound_right(text, at, end):
    """The end of an operand that begins at `at`."""
    depth = 0
    for place in range(at, end):
        here = text[place]
        if here in "([":
            depth += 1
        elif here in ")]}":
            if depth == 0:
                return place
            depth -= 1
        elif depth == 0 and (here in ",;{" or text[place:place + 2] in ("&&", "||", "=>") or text.startswith(" else ", place)):
            return place
    return end


def bound_left(text, at, start):
    """The beginning of an operand that ends at `at`."""
    depth = 0
    for place in range(at - 1, start, -1):
        here = text[place]
        if here in ")]":
            depth += 1
        elif here in "([{}":
            if depth == 0:
                return place + 1
            depth -= here in "(["
        elif depth == 0:
            if here in ",;|" or text[place - 1:place + 1] in ("&&", "=>") or text[place - 1:place + 2] == " = ":
                return place + 1
            word = re.search(r"\b(if|while|return|in|match|let|else)\s$", text[max(start, place - 7):place + 1])
            if word:
                return place + 1
    return start + 1


def trimmed(text, start, end):
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def wrap(start, end, before, after):
    return [(start, 1, -end, before, 0), (end, 0, -start, after, 0)]


def of_file(path, source):
    """Every mutant of a file. `@` stands for its number in the edits."""
    text = masked(source)
    tests = re.search(r"#\[cfg\(test\)\]\s*(pub )?mod \w+ \{", text)
    limit = tests.start() if tests else len(text)
    bodies = [body for body in functions(text) if body[1] < limit]
    mutants = []

    def holder(at):
        inside = [body for body in bodies if body[1] < at < body[2]]
        return max(inside, key=lambda body: body[1]) if inside else None

    def add(at, what, edits):
        body = holder(at + 1) or holder(at)
        if body:
            mutants.append(Mutant(path, source.count("\n", 0, at) + 1, body[0], what, edits))

    for name, start, end, returns in bodies:
        for value, what in early_values(returns):
            edits = [(start + 1, 1, 0, f" if crate::mutant::on(@) {{ return {value}; }} ", 0)]
            mutants.append(Mutant(path, source.count("\n", 0, start) + 1, name, what, edits))
    conditions(text, source, limit, holder, add)
    junctions(text, source, limit, holder, add)
    comparisons(text, source, limit, holder, add)
    values(text, source, limit, add)
    statements(text, source, limit, add)
    return mutants


def short(source, start, end):
    """The source of a range on one line, for a name."""
    line = " ".join(source[start:end].split())
    return line if len(line) <= 60 else line[:57] + "..."


def conditions(text, source, limit, holder, add):
    for found in re.finditer(r"\bif\s", text[:limit]):
        depth, at = 0, found.end()
        while at < limit and not (depth == 0 and (text[at] == "{" or text[at:at + 2] == "=>")):
            depth += (text[at] in "([") - (text[at] in ")]")
            at += 1
        start, end = trimmed(text, found.end(), at)
        if not re.search(r"\blet\b", text[start:end]):
            add(start, f"condition turned round: if {short(source, start, end)}", wrap(start, end, "crate::mutant::on(@) != (", ")"))


def junctions(text, source, limit, holder, add):
    for found in re.finditer(r"(?<=\s)(&&|\|\|)(?=\s)", text[:limit]):
        before = text[:found.start()].rstrip()[-1:]
        body = holder(found.start())
        if not body or before in "(,=|{;>" or text[:found.start()].rstrip().endswith(("move", "return")):
            continue
        start, end = trimmed(text, found.end(), bound_right(text, found.end(), body[2]))
        if re.match(r"let\b", text[start:end]):
            continue
        shown = short(source, start, end)
        if found[0] == "&&":
            add(start, f"without: && {shown}", wrap(start, end, "(crate::mutant::on(@) || (", "))"))
            add(start, f"never: && {shown}", [(found.end(), 2, 0, " !crate::mutant::on(@) &&", 0)])
        else:
            add(start, f"without: || {shown}", wrap(start, end, "(!crate::mutant::on(@) && (", "))"))
            add(start, f"always: || {shown}", [(found.end(), 2, 0, " crate::mutant::on(@) ||", 0)])


def comparisons(text, source, limit, holder, add):
    names = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
    for found in re.finditer(r"(?<= )(==|!=|<=|>=|<|>)(?= )", text[:limit]):
        body = holder(found.start())
        if not body:
            continue
        left, left_end = trimmed(text, bound_left(text, found.start(), body[1]), found.start())
        right, right_end = trimmed(text, found.end(), bound_right(text, found.end(), body[2]))
        shown = short(source, left, right_end)
        if found[0] in names:
            edits = wrap(left, right_end, f"crate::mutant::{names[found[0]]}(@, &(", "))")
            add(found.start(), f"boundary moved: {shown}", edits + [(found.start(), 2, 0, "), &(", len(found[0]))])
        else:
            add(found.start(), f"turned round: {shown}", wrap(left, right_end, "(crate::mutant::on(@) != (", "))"))


def values(text, source, limit, add):
    spans = dict(re.findall(r"\bconst\s+([A-Z][A-Z0-9_]*):\s*(Duration|" + INTEGERS + r")\s*=", text))
    for found in re.finditer(r"(?<![\w.'])(\d[\d_]*|[A-Z][A-Z0-9_]+)(?![\w.']|::|!)", text[:limit]):
        start, end = found.span()
        if text[start].isalpha() and found[1] not in spans:
            continue
        line = text[text.rfind("\n", 0, start) + 1:start]
        if re.match(r"\s*(pub(\(\w+\))? )?(const|static) ", line) or re.match(r"\s*#", line) or text[max(0, start - 3):start] == "..=":
            continue
        macro, what = ("twice", "twice") if spans.get(found[1]) == "Duration" else ("more", "one more")
        around = short(source, source.rfind("\n", 0, start) + 1, (source.find("\n", start) + 1 or len(source)) - 1)
        add(start, f"{what} than {found[1]}: {around}", wrap(start, end, f"crate::mutant_{macro}!(@, ", ")"))
    for found in re.finditer(r"\bSome\(", text[:limit]):
        end = closing(text, found.end() - 1) + 1
        after = text[end:end + 40].lstrip(") ,")
        before = text[max(text.rfind(mark, 0, found.start()) for mark in ";{}"):found.start()]
        if re.match(r"(=[^=]|=>|\||if )", after) or re.search(r"\blet\s[^=]*$", before):
            continue
        add(found.start(), f"None for {short(source, found.start(), end)}", wrap(found.start(), end, "crate::mutant_none!(@, ", ")"))


def statements(text, source, limit, add):
    kept = r"(let|return|if|match|for|while|loop|break|continue|use|fn|const|static|struct|impl|pub|unsafe|else|type|enum|mod|log::|debug_assert|assert)"
    for found in re.finditer(r"(?<=[;{}])\s+(?=[a-z_*(])", text[:limit]):
        start = found.end()
        if re.match(kept + r"\b|log::", text[start:]):
            continue
        depth, at = 0, start
        while at < limit and not (depth == 0 and text[at] in ";{}"):
            depth += (text[at] in "([{") - (text[at] in ")]}")
            if depth < 0:
                break
            at += 1
        if at < limit and text[at] == ";" and re.search(r"\(|=", text[start:at]):
            add(start, f"left out: {short(source, start, at)}", wrap(start, at + 1, "if !crate::mutant::on(@) { ", " }"))


def switched(source, mutants):
    """The source with a switch for each of the mutants."""
    events = sorted((place, kind, order, words.replace("@", str(mutant.number)), skip)
                    for mutant in mutants for place, kind, order, words, skip in mutant.edits)
    out, at = [], 0
    for place, _, _, words, skip in events:
        out += [source[at:place] if place > at else "", words]
        at = max(at, place + skip)
    return "".join(out) + source[at:]
