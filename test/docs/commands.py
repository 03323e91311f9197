#!/usr/bin/python3
"""Every command and option that the documentation names exists; every block of commands is run by a test, or says why not.

  commands.py GODWIT     ends with 1 when one does not (the test `docs.commands`)

Looked at are the blocks of code of all pages and the code within their sentences, run or not: a godwit with its subcommand and options, and an
option by itself, which some subcommand must have; and whether docs/metrics.md has every metric. `run_page.py` runs the blocks.
"""
import functools
import re
import subprocess
import sys

import pages

# Options by themselves in sentences that are not godwit's: of the programs named here.
OTHERS = {
    "scripts": "--long --bench --check --dir --trace --rounds",
    "examples": "--orders --seed --port --other-port --ledger --seconds --only-untouched --every-row --user",
    "mysql, mariadb": "--skip-ssl --log-bin",
    "mysqld, mariadbd": "--log-replica-updates --log-slave-updates",
    "gh-ost": "--checkpoint --resume --revert",
    "Spirit": "--defer-secondary-indexes --reverse-window",
    "Vitess": "--defer-secondary-keys",
    "mydumper, myloader": "--optimize-keys",
    "cmake, ctest": "--install --prefix --preset --target",
    "docker": "--stop-timeout",
}
FOREIGN = {option for options in OTHERS.values() for option in options.split()}


@functools.cache
def help_of(binary, *path):
    done = subprocess.run([binary, *path, "--help"], capture_output=True, text=True, encoding="utf-8", check=True)
    return done.stdout


@functools.cache
def options_of(binary, *path):
    return set(re.findall(r"(?m)^\s+(?:-\w, )?(--[a-z][a-z-]*)", help_of(binary, *path))) | set(re.findall(r"(?m)^\s+(-\w), --", help_of(binary, *path)))


@functools.cache
def subcommands_of(binary, *path):
    part = re.search(r"(?ms)^Subcommands:\n(.*?)(?=^\S|\Z)", help_of(binary, *path))
    return set(re.findall(r"(?m)^  (\w[\w-]*)", part.group(1))) if part else set()


@functools.cache
def every_option(binary):
    found = set(options_of(binary))
    for name in subcommands_of(binary):
        found |= options_of(binary, name)
        for child in subcommands_of(binary, name):
            found |= options_of(binary, name, child)
    return found


def problems_of(binary, words):
    """Of one godwit: its words, without the name of the program."""
    path, rest = (), list(words)
    while rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]) and subcommands_of(binary, *path):
        if rest[0] not in subcommands_of(binary, *path):
            yield f"godwit {' '.join(path)} has no subcommand {rest[0]}"
            return
        path += (rest.pop(0),)
    for word in rest:
        option = word.split("=")[0]
        if re.fullmatch(r"--[a-z][a-z-]*|-[a-z]", option) and option not in options_of(binary, *path):
            yield f"godwit {' '.join(path)} has no option {option}"


def words_in(text):
    """Words as a shell would part them, roughly: what is quoted is one word, and never an option."""
    text = re.sub(r"\s#\s.*$", "", text)
    return re.findall(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|&&|\|\||[|;&()<>]|[^\s|;&()<>]+", text)


def godwits_in(text):
    """The words after each godwit in a line of shell, up to where its command ends."""
    found, current, is_start = [], None, True
    for word in words_in(text):
        if word in ("&&", "||", "|", ";", "&", "(", ")", "<", ">"):
            current, is_start = None, word not in "<>"
        elif current is not None:
            current.append(word)
        elif is_start and re.fullmatch(r"(?:[\w./-]*/)?godwit|\"?\$\{?GODWIT\}?\"?", word):
            current = []
            found.append(current)
        elif not re.match(r"[A-Z_]+=|\$$|do$|then$|else$|if$|while$|until$|!$|exec$|nohup$|timeout$|\d+$", word):
            is_start = False
    return found


def problems_in_span(binary, text):
    words = words_in(text)
    if not words:
        return
    if words[0] == "godwit":
        yield from problems_of(binary, words[1:])
    elif words[0] in subcommands_of(binary) and any(word.startswith("--") for word in words):
        yield from problems_of(binary, words)
    elif re.fullmatch(r"--[a-z][a-z-]*", words[0].split("=")[0]):
        option = words[0].split("=")[0]
        if option not in every_option(binary) | FOREIGN:
            yield f"no subcommand of godwit has an option {option}"


def problems_on(binary, page):
    name = page.path.relative_to(pages.ROOT)
    for line, span in page.spans:
        yield from (f"{name}:{line}: {problem}" for problem in problems_in_span(binary, span))
    for block in page.blocks:
        for line, command in block.commands if block.is_shell else ():
            for words in godwits_in(command):
                yield from (f"{name}:{line}: {problem}" for problem in problems_of(binary, words))
        for line, command in block.commands if not block.language and not block.is_shell else ():
            options = re.findall(r"(?<!\S)--[a-z][a-z-]*", command) if command.startswith("--") else []
            yield from (f"{name}:{line}: no subcommand of godwit has an option {option}" for option in options if option not in every_option(binary))
        if block.language == "sql" and not block.server and not block.why_not_run:
            yield f"{block.place}: nothing runs these statements: say on which server, <!-- on: old -->, or why not: <!-- not run: … -->"
        if block.is_shell and not page.servers and not block.why_not_run:
            yield f"{block.place}: nothing runs this block: name the page's servers in its first line (test/docs/pages.py), or say why not: <!-- not run: … -->"


def problems_of_metrics():
    """docs/metrics.md has each metric that the source serves, and no other."""
    served = set()
    for file in (pages.ROOT / "src").rglob("*.cpp"):
        prefix = "godwit_proxy_" if file.parent.name == "proxy" else "godwit_"
        served |= {prefix + name for name in re.findall(r'\b(?:put|add)\("([a-z_]+)", "(?:gauge|counter|histogram)"', file.read_text(encoding="utf-8"))}
    documented = set(re.findall(r"(?m)^\| `(godwit_\w+)`", (pages.ROOT / "docs/metrics.md").read_text(encoding="utf-8")))
    yield from (f"docs/metrics.md does not have {name}" for name in sorted(served - documented))
    yield from (f"docs/metrics.md: nothing serves {name}" for name in sorted(documented - served))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    problems = [problem for path in pages.all_paths() for problem in problems_on(sys.argv[1], pages.read(path))]
    problems += problems_of_metrics()
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
