"""Rounds of training in the background: a fit on the labeled images, then suggestions for the others."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import Any, Literal

from callbacks.distributed.exit_codes import DONE, INTERRUPTED
from datamodules.io.atomic_file import atomic_file
from experiments.label.fit_words import fit_words, stage_epochs
from experiments.label.folder import LabelFolder
from experiments.label.journal import Journal
from experiments.label.processes import ask_to_stop, last_lines, start
from experiments.label.progress import complete_epochs, planned_epochs
from experiments.label.training_set import TrainingSet, hold_one_out, write_training_set

Phase = Literal["waiting", "preparing", "training", "paused", "suggesting", "failed"]
ACTIONS = ("start", "pause", "resume", "stop")
#: Finished images before the first round, and between two rounds.
FIRST, EVERY = 5, 10
_RUN = Path(__file__).resolve().parents[1] / "run.py"
_STOP_SECONDS = 60.0


class Rounds:
    """Trains and suggests by turns, in processes of its own.

    Args:
        folder: the labeled folder; nothing is trained if it is read-only.
        options: further options of ``fit``.
        init_from: checkpoint that the first round starts from.
        automatic: whether rounds start by themselves.
    """

    def __init__(
        self,
        folder: LabelFolder,
        *,
        options: Sequence[str] = (),
        init_from: Path | None = None,
        automatic: bool = True,
    ) -> None:
        self._folder, self._options, self._automatic = folder, list(options), automatic
        self._trust = [option for option in self._options if option == "--trust-config"]
        self._place = folder.state_folder
        self._journal = Journal(self._place / "rounds.jsonl")
        self._lock = threading.RLock()
        self._process: Popen[bytes] | None = None
        self._phase: Phase = "waiting"
        self._message = ""
        self._round, self._complete, self._trained_on = 0, 0, 0
        self._epochs = 0
        self._stopping = self._closing = False
        self._checkpoint = init_from
        self._scores: list[float] = []
        for record in self._journal.read():
            self._replay(record)

    @property
    def checkpoint(self) -> Path | None:
        """The best weights of the last complete round."""
        return self._checkpoint

    def status(self) -> dict[str, Any]:
        """Phase and progress, for the page."""
        with self._lock:
            run = self._run(self._round)
            epoch, dice = complete_epochs(run) if self._phase in ("training", "paused") else (0, None)
            finished = self._finished()
            return {
                "phase": self._phase,
                "automatic": self._automatic,
                "round": self._round,
                "complete": self._complete,
                "epoch": epoch,
                "epochs": planned_epochs(run) or self._epochs,
                "dice": dice,
                "scores": self._scores,
                "finished": finished,
                "next": max(0, self._due() - finished),
                "message": self._message,
                "log": str(self._log(self._round)) if self._round else None,
            }

    def image_changed(self) -> None:
        """Starts a round if enough images are finished."""
        with self._lock:
            ready = self._phase == "waiting" and self._finished() >= self._due()
            if self._automatic and self._folder.writable and ready:
                self._start()

    def act(self, action: str) -> None:
        """Does what the person asked for: one of ``ACTIONS``."""
        with self._lock:
            running = self._process is not None or self._phase == "preparing"
            if action == "start" and not running:
                self._start()
            elif action == "resume" and self._phase == "paused" and not running:
                self._launch_fit(["--resume", str(self._run(self._round)), *self._trust])
            elif action == "pause" and self._phase == "training" and self._process is not None:
                ask_to_stop(self._process)
            elif action == "stop":
                self._stopping = running
                if self._process is not None:
                    ask_to_stop(self._process)
                elif self._phase == "paused":
                    self._note("stopped")

    def close(self) -> None:
        """Stops the process; a fit saves first and can be resumed."""
        with self._lock:
            process, self._automatic, self._closing = self._process, False, True
        if process is not None:
            ask_to_stop(process)
            try:
                process.wait(_STOP_SECONDS)
            except TimeoutExpired:
                process.kill()

    def _start(self) -> None:
        if hold_one_out(self._folder) is None:
            self._phase, self._message = "waiting", "a round needs two finished images: finish another one"
            return
        self._phase, self._message, self._stopping = "preparing", "", False
        threading.Thread(target=self._prepare, args=(self._round + 1,), name="preparing", daemon=True).start()

    def _prepare(self, number: int) -> None:
        """Copies the data set of a round, for which the page does not wait, and starts the fit."""
        try:
            data = write_training_set(self._folder, self._place / "rounds" / str(number), stop=self._ending)
        except OSError as error:
            with self._lock:
                self._phase, self._message = "failed", f"the images of the round could not be copied: {error}"
            return
        with self._lock:
            self._phase = "waiting"
            if self._ending():
                return
            if not data.train or not data.val:
                self._message = "no image is left to train on: " + "; ".join(data.problems or ("finish another one",))
                return
            self._message = "; ".join(data.problems)
            self._begin(number, data)

    def _ending(self) -> bool:
        return self._stopping or self._closing

    def _begin(self, number: int, data: TrainingSet) -> None:
        head, rest = stage_epochs(data.train, first=self._checkpoint is None)
        self._journal.append({"round": number, "event": "started", "finished": self._finished(), "epochs": head + rest})
        self._replay(self._journal.read()[-1])
        self._launch_fit([*fit_words(number, data, self._checkpoint), *self._options])

    def _launch_fit(self, words: Sequence[str]) -> None:
        runs = self._place / "runs"
        command = [str(_RUN), "--task", "segment", "--runs", str(runs), *words]
        self._phase, self._stopping = "training", False
        self._process = start(command, log=self._log(self._round))
        self._watch(self._process)

    def _launch_suggestions(self, checkpoint: Path) -> None:
        entries = [
            {"key": item.key, "image": str(item.path), "target": str(self._folder.suggestion_path(item))}
            for item in sorted(self._folder.items, key=lambda item: -(item.doubt or 0.0))
            if item.state != "done"
        ]
        listed = self._place / "to-suggest.jsonl"
        with atomic_file(listed) as file:
            file.writelines(json.dumps(entry).encode() + b"\n" for entry in entries)
        words = ["-m", "experiments.label.suggest", str(checkpoint), str(listed)]
        words += self._trust
        self._phase = "suggesting"
        self._process = start(words, log=self._log(self._round))
        self._watch(self._process)

    def _watch(self, process: Popen[bytes]) -> None:
        threading.Thread(target=self._wait, args=(process,), name="round", daemon=True).start()

    def _wait(self, process: Popen[bytes]) -> None:
        code = process.wait()
        with self._lock:
            self._process = None
            was, self._phase = self._phase, "waiting"
            if self._stopping:
                self._note("stopped")
            elif code not in (DONE, INTERRUPTED):
                self._phase, self._message = "failed", last_lines(self._log(self._round))
            elif was == "training" and code == INTERRUPTED and self._saved():
                self._note("paused")
            elif was == "training" and code == INTERRUPTED:
                self._note("stopped")
                self._message = "the round was stopped before anything was saved: start it again"
            elif was == "training":
                _, dice = complete_epochs(self._run(self._round))
                self._note("trained", dice=dice)
                if self._checkpoint is not None and not self._closing:
                    self._launch_suggestions(self._checkpoint)
            else:
                self.image_changed()

    def _note(self, event: str, **facts: Any) -> None:
        self._journal.append({"round": self._round, "event": event, **facts})
        self._replay(self._journal.read()[-1])

    def _replay(self, record: dict[str, Any]) -> None:
        event = record.get("event")
        if event == "started":
            self._round, self._trained_on = int(record["round"]), int(record["finished"])
            self._epochs = int(record["epochs"])
            self._phase = "paused" if self._saved() else "waiting"  # what is true if the server ended without a word
        elif event == "trained":
            self._complete = int(record["round"])
            best = self._run(self._round) / "checkpoints" / "best.ckpt"
            self._checkpoint = best if best.is_file() else self._checkpoint
            self._scores += [] if record.get("dice") is None else [float(record["dice"])]
            self._phase = "waiting"
        elif event == "paused":
            self._phase = "paused"
        elif event == "stopped":
            self._phase = "waiting"

    def _finished(self) -> int:
        return sum(item.state == "done" for item in self._folder.items)

    def _due(self) -> int:
        return self._trained_on + EVERY if self._round else FIRST

    def _saved(self) -> bool:
        return any((self._run(self._round) / "checkpoints").glob("*.ckpt"))

    def _run(self, number: int) -> Path:
        return self._place / "runs" / "segment" / f"round-{number}"

    def _log(self, number: int) -> Path:
        return self._place / "rounds" / f"{number}.log"
