# SPDX-License-Identifier: MIT
"""What the command line takes, asked of the program itself: its verbs and what they say with --help, and the options that getopt
knows there, of which its error messages tell."""
import os
import re
import string
import subprocess
import sys

from pages import SOURCE

sys.path.insert(0, str(SOURCE / "tests" / "support"))
from gangerd import CLI, environment  # noqa: E402

NOBODY = environment(GANGER_SOCKET="/no/such/socket", GANGER=str(CLI), LC_ALL="C")
OPTION = re.compile(r"(?:-(\w), )?--([a-z-]+)(?: ([A-Z]\S*))?")
# Verbs whose own words have options of their own.
WORDS = {"pool": ["drain", "reload"]}


def text(*words):
    return subprocess.run([CLI, *words, "--help"], env=NOBODY, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
                          check=True).stdout


def listed(help_text, pattern):
    return re.findall(pattern, help_text, re.M)


def verbs():
    """All, those of two words too, each with its --help."""
    found = {}
    for verb in listed(text().partition("\n\n")[2].partition("\n\n")[0] + "\n", r"^  (\S+) +\S"):
        help_text = text(verb)
        if "VERB --help" not in help_text:
            found[verb] = help_text
            continue
        for word in listed(help_text, r"^  (\S+) .*\n        \S"):
            found[f"{verb} {word}"] = text(*f"{verb} {word}".split())
    return found


def options_of_help(help_text):
    """The lines that begin with an option: ({letter: has an argument}, {name: has an argument})"""
    letters, names = {}, {}
    for line in listed(help_text, r"^  (-.*)$"):
        for letter, name, argument in OPTION.findall(line.partition("  ")[0]):
            names[name] = bool(argument)
            if letter:
                letters[letter] = bool(argument)
    return letters, names


def complaints(words, tries):
    """What the verb says to each of the options that are tried; there is no daemon, so nothing comes of what is right."""
    script = 'for option in "$@"; do printf "= %s\\n" "$option"; "$GANGER" $words "$option" 2>&1; done'
    out = subprocess.run(["sh", "-c", script, "sh", *tries], env={**NOBODY, "words": words}, stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, timeout=120, cwd=os.sep, check=False).stdout
    parts = re.split(r"^= (\S+)\n", out, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def names_known(words):
    """{name: has an argument}: a first letter is unknown, or ambiguous among several, or stands for one."""
    found, ambiguous, taken = {}, [], []
    for option, said in complaints(words, [f"--{letter}=x" for letter in string.ascii_lowercase]).items():
        if "is ambiguous" in said:
            ambiguous += re.findall(r"'--([a-z-]+)'", said.partition("possibilities:")[2].partition("\n")[0])
        elif "doesn't allow an argument" in said:
            found[re.search(r"option '--([a-z-]+)' doesn't", said)[1]] = False
        elif "unrecognized option" not in said:
            taken.append(option.partition("=")[0])
    for option, said in complaints(words, taken).items():
        match = re.search(r"option '--([a-z-]+)' requires an argument", said)
        assert match, f"ganger {words} {option}: {said}"
        found[match[1]] = True
    for option, said in complaints(words, [f"--{name}=x" for name in ambiguous]).items():
        found[option[2:-2]] = "doesn't allow an argument" not in said
    flags = complaints(words, [f"--{name}" for name, has_argument in found.items() if not has_argument])
    for option, said in flags.items():
        if " is for `ganger " in said:  # known only to be refused in better words
            del found[option[2:]]
    return found


def letters_known(words, digits):
    found = {}
    for option, said in complaints(words, [f"-{letter}" for letter in string.ascii_letters + digits]).items():
        if "invalid option" not in said:
            found[option[1:]] = "requires an argument" in said
    return found


def options_known(verb):
    letters, names = {}, {}
    for words in [f"{verb} {word}" for word in WORDS.get(verb, [])] or [verb]:
        known = names_known(words)
        names |= known
        letters |= letters_known(words, "0" if "null" in known else "")
    for help_option in ("h", "help"):
        letters.pop(help_option, None)
        names.pop(help_option, None)
    return letters, names
