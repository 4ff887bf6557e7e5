# SPDX-License-Identifier: MIT
"""The pages of the manual, as their sources say them: sections, entries (a term, and what is said of it), examples."""
import os
import pathlib
import re

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("GANGER_BUILD", SOURCE / "build")).resolve()
PAGES = BUILD / "proto" / "man"
MARK = re.compile(r"\\(.)|\*|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def plain(text):
    """Without scdoc's marks."""
    return MARK.sub(lambda match: match[1] or "", text)


class Entry:
    """A term and what stands under it; `depth`: how far it is indented."""

    def __init__(self, term, depth):
        self.marked, self.term, self.depth, self.lines, self.entries = term, plain(term), depth, [], []

    @property
    def text(self):
        return plain(" ".join(self.lines))


class Page:
    def __init__(self, name):
        self.text = (PAGES / f"{name}.scd").read_text(encoding="utf-8")
        self.sections = {}  # title -> its lines
        lines = self.sections.setdefault("", [])
        literal = False
        for line in self.text.splitlines():
            literal ^= line == "```"
            if line.startswith("#") and not literal and re.match(r"##? ", line):
                lines = self.sections.setdefault(plain(line.lstrip("# ")), [])
            else:
                lines.append(line)

    def entries(self, *titles):
        """The entries of sections. A term begins with a bold word, and what is a level deeper follows at once."""
        found, below = [], []
        for title in titles:
            lines = self.sections[title]
            for line, following in zip(lines, [*lines[1:], ""]):
                depth = len(line) - len(line.lstrip("\t"))
                deeper = len(following) - len(following.lstrip("\t"))
                if line[depth:depth + 1] in ("*", "_") and deeper == depth + 1:
                    entry = Entry(line.strip(), depth)
                    below[depth:] = [entry]
                    (below[depth - 1].entries if depth else found).append(entry)
                elif line.strip() and depth and below:
                    below[min(depth, len(below)) - 1].lines.append(line.strip())
        return found

    def blocks(self, title):
        """The literal blocks of a section."""
        return re.findall(r"^```\n(.*?)^```$", "\n".join(self.sections[title]) + "\n", re.M | re.S)

    def table(self, title):
        """The rows of the section's tables, without their headings."""
        rows = []
        for line in self.sections[title]:
            if re.match(r"[|\[][ \[]", line):
                rows.append([])
            if re.match(r"[|\[:]", line):
                rows[-1].append(plain(line.lstrip("|[:")).strip())
        return rows[1:]


def bold(text):
    """The words of a source that are bold."""
    return [plain(word) for word in re.findall(r"\*((?:\\.|[^*\\])+)\*", text)]
