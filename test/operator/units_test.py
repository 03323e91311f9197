#!/usr/bin/python3
"""The units of examples/systemd, as systemd itself reads them; and every option that they give godwit exists."""

import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

from commands import BINARY, Tally, run

UNITS = pathlib.Path(__file__).resolve().parents[2] / "examples/systemd"
EXPOSURE_MAX = "20"  # of systemd-analyze security, in tenths: "OK"


def verify(folder, text):
    """What systemd has to say against a unit. It ends with 0 after most complaints, too."""
    file = folder / "godwit-test@.service"
    file.write_text(text.replace("ExecStart=godwit", f"ExecStart={BINARY}"))
    ran = subprocess.run(["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr + ("" if ran.returncode == 0 else f"status {ran.returncode}")


def exposure(folder):
    return subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", str(folder / "godwit-test@.service")], capture_output=True, text=True, check=False)


def command_of(text):
    words = shlex.split(re.search(r"(?m)^ExecStart=(.*)$", text).group(1))
    filled = {"%i": "shop", "${LISTEN}": "127.0.0.1:6033", "${ADMIN_USER}": "keeper"}
    return [filled.get(word, word) for word in words if not re.fullmatch(r"\$[A-Z_]+", word)][1:]


def main():
    tally = Tally()
    units = sorted(UNITS.glob("*.service"))
    with tempfile.TemporaryDirectory(prefix="godwit-units-") as name:
        folder = pathlib.Path(name)
        for unit in units:
            text = unit.read_text()
            complaints = verify(folder, text)
            tally.expect(not complaints, f"{unit.name}: {complaints}")
            hardened = exposure(folder)
            tally.expect(hardened.returncode == 0, f"{unit.name} is too exposed: {hardened.stdout[-300:]}{hardened.stderr}")
            refused = run(*command_of(text), "--is-no-option").stderr
            tally.expect("not expected: --is-no-option" in refused, f"{unit.name}: godwit does not take its command line: {refused}")
            tally.expect("PASSWORD=" not in text, f"{unit.name} holds a password")
        tally.expect(verify(folder, units[0].read_text().replace("ProtectHome=yes", "ProtectHome=perhaps")), "systemd finds nothing wrong in what is wrong")
    tally.expect({unit.name for unit in units} == {"godwit-replicate@.service", "godwit-proxy@.service"}, f"there are {units}")
    tally.end(10)


if __name__ == "__main__":
    sys.exit(main())
