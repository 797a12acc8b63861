"""Runs the blocks of a page as its reader would: files are written, commands run one after the other in one shell's folder."""

import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from docs_reader import Ids
from stream_servers import ROOT

from tests.unit.docs.docs_fences import RUN, Block

FOLLOWS = re.compile(
    r"hyperstream (tail(?!.*--limit)|alerts watch|features materialize(?!.*--until)|simulate --scenario drift)"
)
"""Commands that go on until Ctrl-C."""
GOES_ON = re.compile(r"make run-sim|hyperstream (cost|replay)\b")
"""Commands that take their time while the reader goes on in another shell."""
ONCE = re.compile(rf"{GOES_ON.pattern}|hyperstream (doctor|simulate --list)")
"""Commands that several pages tell to run, and that are the same every time."""
ONLY_READS = re.compile(r"curl (?!.*(-d|-X))")
"""What may be asked again while the mesh takes in what was written."""
SHELL = re.compile(r"(source|export) ")
COMMAND_S, AGAIN_S, END_S = 300.0, 90.0, 90.0
FOLLOW_S, SHOWN_S = 6.0, 90.0
"""How long a reader follows a command that goes on: where the page shows what it says, until it has said that."""
INTERRUPTED = (0, 130, -signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command, where it stands, its exit status and all that it said."""

    place: str
    command: str
    code: int
    said: str

    def __str__(self) -> str:
        said = self.said if len(self.said) < 3000 else f"{self.said[:1500]}\n[...]\n{self.said[-1500:]}"
        return f"{self.place}: $ {self.command}\n  exit status {self.code}\n{said}"


class Session:
    """A reader in a folder. What goes wrong is gathered in `wrong`."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        self._environ = {
            **environ,
            "PATH": f"{folder}/.venv/bin:{environ['PATH']}",
            "CURL_HOME": str(folder),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "SPEED": "20x",  # of `make run-sim`: sooner over
        }
        self._ids = Ids()
        self._lines: list[str] = []
        self._going: list[tuple[str, str, subprocess.Popen[str]]] = []
        self._known: set[str] = set()
        self.took: dict[str, float] = {}

    def page(self, blocks: list[Block]) -> list[str]:
        """Run all of a page, in order; what went wrong."""
        self._lines, wrong = [], []
        runs = [block for block in blocks if block.language in RUN and not block.notest]
        for block in blocks if runs else []:
            if block.title and self._is_written(block):
                self._write(block)
            elif block in runs and block.language == "python" and not block.title:
                wrong += self._judged(
                    self._done(block.place, ["python", "-c", self._ids.in_(block.text)]), []
                )
            elif block in runs and block.language == "bash":
                wrong += self._judged(
                    self._done(block.place, ["bash", "-euc", self._ids.in_(block.text)]), []
                )
            elif block in runs and not block.title:
                for command, shown in block.commands:
                    wrong += self._command(block.place, command, shown)
        return wrong

    def _is_written(self, block: Block) -> bool:
        """Pages that are followed change the shipped files too; elsewhere those are excerpts, to look at."""
        if block.notest or block.title == "kustomization.yaml":
            return False
        followed = block.page.startswith(("docs/tutorials/", "docs/how-to/"))
        return followed or not (ROOT / block.title).exists()

    def _write(self, block: Block) -> None:
        file = self.folder / block.title
        file.parent.mkdir(parents=True, exist_ok=True)
        text = self._ids.in_(block.text)
        if block.title == "config/models.yaml":  # entries to be added to those that are there
            entries = yaml.safe_load(file.read_text())["models"] | yaml.safe_load(text)["models"]
            text = yaml.safe_dump({"models": entries}, sort_keys=False)
        file.write_text(text)

    def _command(self, place: str, command: str, shown: list[str]) -> list[str]:
        if SHELL.match(command):
            self._lines.append(command)
            return []
        alike = command.split("#", maxsplit=1)[0].removeprefix(".venv/bin/").strip()
        if ONCE.match(alike) and alike in self._known:
            return []
        self._known.add(alike)
        began = time.monotonic()
        try:
            command = self._ids.in_(command)
        except TimeoutError as error:
            return [f"{place}: $ {command}\n  {error}"]
        words = ["bash", "-euc", "\n".join([*self._lines, command])]
        if FOLLOWS.search(command):
            ran = self._followed(place, command, words, shown)
        elif GOES_ON.search(command):
            self._going.append((place, command, self._start(words)))
            return []
        else:
            ran = self._done(place, words, command)
            # A rollout that was just started begins at the controller's next look, and what is told may be a moment old.
            while (
                self._judged(ran, shown)
                and (ONLY_READS.match(command) or "is Pending" in ran.said)
                and time.monotonic() < began + AGAIN_S
            ):
                time.sleep(0.5)
                ran = self._done(place, words, command)
        self.took[f"{place} {command[:60]}"] = time.monotonic() - began
        self._ids.heard(ran.said)
        return self._judged(ran, shown)

    def _start(self, words: list[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            words, cwd=self.folder, env=self._environ, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _done(self, place: str, words: list[str], command: str = "") -> Ran:
        process = self._start(words)
        try:
            said, _ = process.communicate(timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said = f"{process.communicate()[0]}\nit did not end within {COMMAND_S:.0f} s"
        return Ran(place, command or words[-1], process.returncode, said)

    def _followed(self, place: str, command: str, words: list[str], shown: list[str]) -> Ran:
        """Until it has said what is shown or anything at all, or for a few seconds; then Ctrl-C, which is no failure."""
        process, lines = self._start(words), list[str]()
        reading = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
        reading.start()
        wanted = [line for line in shown if line.strip()]

        def waits() -> bool:
            said = "".join(lines)
            return not lines or not all(says(said, line) for line in wanted)

        ends = time.monotonic() + (SHOWN_S if wanted else FOLLOW_S)
        while time.monotonic() < ends and waits() and process.poll() is None:
            time.sleep(0.1)
        time.sleep(0.5)
        early = process.poll() is not None
        if not early:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            lines.append(f"Ctrl-C did not end it within {END_S:.0f} s")
        reading.join(60)
        code = process.wait(60)
        return Ran(place, command, 0 if code in INTERRUPTED and not early else code or 1, "".join(lines))

    def _judged(self, ran: Ran, shown: list[str]) -> list[str]:
        refused = bool(shown) and shown[0].startswith("error:")
        if bool(ran.code) is not refused:
            return [str(ran)]
        missing = [line for line in shown if line.strip() and not says(ran.said, line)]
        return [f"{ran}\n  does not say: {line}" for line in missing]

    def end(self) -> list[str]:
        """Wait for what goes on; what went wrong with it."""
        wrong = []
        for place, command, process in self._going:
            began = time.monotonic()
            try:
                said, _ = process.communicate(timeout=COMMAND_S + 60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said = f"{process.communicate()[0]}\nit never ended"
            self.took[f"{place} {command[:60]} (waited for)"] = time.monotonic() - began
            wrong += self._judged(Ran(place, command, process.returncode, said), [])
        self._going.clear()
        return wrong


_TOKENS = re.compile(
    r"(?P<any>…)|(?P<alert>(?<=alert:)[0-9a-f]+)|(?P<hex>\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b)|(?P<number>\d[\d,]*)"
    r"|(?P<name>\w+(?= \((?:admin|operator|analyst)))|(?P<blank>\s+)"
)
_ANY = {
    "any": ".*",
    "alert": r"[\w-]+",
    "hex": "[0-9a-f]+",
    "number": r"\d[\d,]*",
    "name": r"[\w.-]+",
    "blank": r"\s+",
}


def says(said: str, line: str) -> bool:
    """Is there a line like it? Numbers, ids, times and people are others every time."""
    pattern, at = "", 0
    for token in _TOKENS.finditer(line.strip()):
        pattern += re.escape(line.strip()[at : token.start()]) + _ANY[str(token.lastgroup)]
        at = token.end()
    pattern += re.escape(line.strip()[at:])
    return re.search(pattern, said) is not None
