#!/usr/bin/python3
"""Every message of an error is reached by a test, or unreached.txt says why none reaches it; and each that was made has an object, a cause and a remedy, and no password.

  messages.py RECORD          compares what the tests have reached, as GODWIT_ERRORS_TO=RECORD has collected it, with what the code can say
  messages.py RECORD --list   prints what was not reached, in the form of unreached.txt

A message is a string literal of several words among the arguments of an error, or of a function that only throws. What stands for {} may be anything.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNREACHED = pathlib.Path(__file__).with_name("unreached.txt")
LEAST_WORDS = 6  # of a reason
THROWERS = {"Error", "blocker", "warning", "report", "not_carried"}  # findings of check are errors that have not happened yet, and so are the issues of a definition
CLIENTS = {"error_packet", "answer_error"}  # what the proxy tells a client in a server's form: a number, and words
NO_MESSAGES = {"check_failed", "become"}
LOG = ["log", ":", ":"]  # what is only written there is no error
WHOLE = re.compile(r"GW\d{4} \w+ \[.+\]: .+ => .+|ERR \d+ \(\w{5}\): .+|(?!GW\d{4} |ERR ).+: .+ => .+")  # an error; a client's; a finding of check
SHOWN_AT_MOST = 20  # lines that are not whole
PASSWORDS = re.compile(r"Zq9(?:%zz|@)?-secret|secret\w*'|secret-word|pw-of-app|IDENTIFIED (?:BY|VIA \w+ USING|WITH '?\w+'? (?:BY|AS)) (?:PASSWORD )?'[^'*<]+'")  # those of the tests' accounts

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\((.*?)\)\1"|"((?:[^"\\\n]|\\.)*)"|\'(?:[^\'\\\n]|\\.)+\'|[A-Za-z_]\w*|[(){};,]|\s+|.', re.S)


class Token:
    def __init__(self, kind, text, line):
        self.kind = kind
        self.text = text
        self.line = line


def unescaped(text):
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), text)


def tokens(source):
    line = 1
    for match in TOKEN.finditer(source):
        text = match[0]
        if text.startswith('R"'):
            yield Token("text", match[2], line)
        elif text.startswith('"'):
            yield Token("text", unescaped(match[3]), line)
        elif re.match(r"[A-Za-z_]", text):
            yield Token("name", text, line)
        elif not text.isspace() and not text.startswith(("//", "/*")):
            yield Token("sign", text, line)
        line += text.count("\n")


def throwers():
    """Functions that only throw: what they are given is what the error says."""
    names = THROWERS | CLIENTS
    for file in sources():
        names |= set(re.findall(r"\[\[noreturn\]\]\s*(?:virtual |static )*void (?:\w+::)*(\w+)\(", file.read_text(encoding="utf-8")))
    return names - NO_MESSAGES


def sources():
    return sorted(file for folder in ("src", "include") for file in (ROOT / folder).rglob("*") if file.suffix in (".cpp", ".h"))


def literals_in(listed, begin):
    """Those between the parenthesis at begin and its end; neighbours are one literal."""
    depth, found, before = 0, [], None
    for token in listed[begin:]:
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "sign" else 0
        if depth == 0:
            break
        if token.kind == "text":
            if before == "text":
                found[-1] = (found[-1][0], found[-1][1] + token.text)
            else:
                found.append((token.line, token.text))
        before = token.kind
    return found


def pieces(message):
    """The words between what is filled in."""
    plain = re.sub(r"\{[^{}]*\}", "\0", message.replace("{{", "\1").replace("}}", "\2"))
    return [piece.replace("\1", "{").replace("\2", "}") for piece in plain.split("\0") if piece.strip()]


def messages():
    """(file, message) of all that the code can say, each once, with its line."""
    names, result = throwers(), {}
    for file in sources():
        listed = list(tokens(file.read_text(encoding="utf-8")))
        for i, token in enumerate(listed[:-1]):
            if token.kind != "name" or token.text not in names or listed[i + 1].text != "(" or [before.text for before in listed[max(i - 3, 0):i]] == LOG:
                continue
            for line, text in literals_in(listed, i + 1):
                if len(re.findall(r"[A-Za-z]{2,}", " ".join(pieces(text)))) >= 3:
                    result.setdefault((str(file.relative_to(ROOT)), text), line)
    return result


def is_said(message, said):
    parts = pieces(message)
    return re.search("[^\n]*?".join(re.escape(part.replace("\n", " ")) for part in parts), said) is not None


def reasons():
    """{(file, message): why}. A line of the file is FILE <tab> MESSAGE <tab> WHY."""
    result = {}
    for line in UNREACHED.read_text(encoding="utf-8").splitlines() if UNREACHED.exists() else ():
        if line and not line.startswith("#"):
            file, message, why = line.split("\t")
            result[(file, message.replace("\\n", "\n"))] = why
    return result


def faults(lines):
    """Of what was said: lines that lack a part, or show a password."""
    broken = [f"it lacks an object, a cause or a remedy: {line}" for line in lines if not WHOLE.fullmatch(line)]
    return broken[:SHOWN_AT_MOST] + [f"it shows a password: {line}" for line in lines if PASSWORDS.search(line)]


def main():
    lines = sorted(set(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8", errors="replace").split("\n")) - {""})  # what is quoted may hold other ends of lines
    said = "\n".join(lines)
    every = messages()
    unreached = {key: line for key, line in every.items() if not is_said(key[1], said)}
    if "--list" in sys.argv:
        for (file, message), line in unreached.items():
            print(f"{file}\t{message!r}\t{line}")
        return
    known, failures = reasons(), faults(lines)
    for (file, message), line in unreached.items():
        if len(known.get((file, message), "").split()) < LEAST_WORDS:
            failures.append(f"{file}:{line}: no test reaches {message!r}: write one, or say in unreached.txt why not")
    for key in set(known) - set(every):
        failures.append(f"unreached.txt: {key[0]}: {key[1]!r} is no message any more: take it out")
    print("\n".join(failures) if failures else f"{len(every)} messages: {len(every) - len(unreached)} reached, {len(unreached)} with their reasons")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
