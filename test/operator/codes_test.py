#!/usr/bin/python3
"""Every error code is reached by a test, which names it, or scripts/docs says why none does: docs/errors.md has the reason."""

import importlib.machinery
import importlib.util
import json
import pathlib
import re

from commands import Tally, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEAST_WORDS = 6  # of a reason


def load(script):
    loader = importlib.machinery.SourceFileLoader(script.name, str(script))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def tests():
    files = [file for file in (ROOT / "test").rglob("*") if file.suffix in (".cpp", ".h", ".py") and file.name != pathlib.Path(__file__).name]
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)


def is_named(code, text):
    """By its number, or its name; a name of one word is also one of plain English, and counts only where it is spelled as a code."""
    name = code["name"]
    pattern = rf"{code['code']}\b|Code::{name}\b|\"{name}\b" + (rf"|\b{name}\b" if "_" in name else "")
    return re.search(pattern, text) is not None


def main():
    tally = Tally()
    codes = json.loads(run("inspect", "codes", "--json").stdout)["codes"]
    unreached = load(ROOT / "scripts/docs").UNREACHED
    text = tests()
    for code in codes:
        name, reason = code["name"], unreached.get(code["name"])
        if is_named(code, text):
            tally.expect(reason is None, f"{code['code']} {name} is reached by a test: take it out of UNREACHED in scripts/docs")
        else:
            tally.expect(reason and len(reason.split()) >= LEAST_WORDS, f"no test names {code['code']} {name}: write one, or say in UNREACHED of scripts/docs why not")
    for name in set(unreached) - {code["name"] for code in codes}:
        tally.expect(False, f"UNREACHED in scripts/docs names {name}, which is no code")
    tally.end(100)


main()
