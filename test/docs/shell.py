"""One bash that goes on from command to command, as a reader's terminal does."""
import os
import re
import select
import signal
import subprocess
import time

SECONDS_PER_COMMAND_MAX = 180


class CommandFailed(Exception):
    pass


class Shell:
    def __init__(self, folder, environment):
        self.folder = folder
        self.count = 0
        self.process = subprocess.Popen(["bash", "--noprofile", "--norc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, env=environment,
                                        start_new_session=True)

    def run(self, command):
        """(exit status, output) of a command; it reads from nothing."""
        self.count += 1
        file, mark = self.folder / f"command.{self.count}", f"--- ended {self.count}:"
        file.write_text(command + "\n", encoding="utf-8")
        self.process.stdin.write(f". '{file}' </dev/null; printf '\\n{mark}%s\\n' $?\n".encode())
        self.process.stdin.flush()
        output, deadline = "", time.monotonic() + SECONDS_PER_COMMAND_MAX
        while not (ended := re.search(rf"\n{mark}(\d+)\n", output)):
            readable, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            part = os.read(self.process.stdout.fileno(), 65536) if readable else b""
            if not part:
                raise CommandFailed(f"{'it did not end' if not readable else 'the shell ended'}\n{output}")
            output += part.decode(errors="replace")
        return int(ended[1]), output[:ended.start()]

    def start(self, command, log):
        """The process id of a command that goes on in the background."""
        status, output = self.run(f"{command} >'{log}' 2>&1 & echo pid $!")
        return int(re.search(r"pid (\d+)", output)[1])

    def stop(self, pid):
        """Ends one that `start` began, as Ctrl-C does, and gives its exit status. (Ctrl-C itself does not reach the background of such a shell.)"""
        status, output = self.run(f"kill -TERM {pid} 2>/dev/null; wait {pid}; echo status $?")
        return int(re.search(r"status (\d+)", output)[1])

    def is_alive(self, pid):
        status, output = self.run(f"kill -0 {pid} 2>/dev/null && ! grep -q '^State:.*Z' /proc/{pid}/status")
        return status == 0

    def close(self):
        """Ends all that was begun here: it is a session of its own."""
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
