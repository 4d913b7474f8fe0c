"""``label``: draws masks for a folder of images in the browser, and trains a network that helps."""

import signal
import threading
import webbrowser
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from callbacks.distributed.exit_codes import DONE, SIGNALS, is_ignored
from datamodules.errors import DataError
from datamodules.io.atomic_file import atomic_file
from experiments.cli.signals import TRAINING
from experiments.cli.usage import UsageError
from experiments.label.application import Application
from experiments.label.fit_words import RECIPE, batch_words
from experiments.label.folder import LabelFolder
from experiments.label.guard import Guard
from experiments.label.rounds import Rounds
from experiments.label.server import Server
from experiments.label.session import Session
from experiments.label.training_set import CONFIG, hold_one_out, write_training_set
from experiments.runs.command_line import command_for
from experiments.runs.folder import relative_to_here

#: List of the images that are not done, for ``predict``.
REST = "not-done.txt"


def run_words(options: Namespace, words: Sequence[str]) -> int:
    """Serves the page until the person ends it; then prints what to type next.

    Args:
        options: options of the front of the command line: ``init_from`` and ``trust_config``.
        words: all others: the folder, the options of this command, and options of ``fit`` for the rounds.

    Returns:
        0.

    Raises:
        UsageError: for a folder or an option that cannot be used.
    """
    if options.help_all:
        print(make_parser().format_help())
        return DONE
    own, rest = _parse(words)
    for name in ("recipe", "resume", "name", "ckpt_path", "net", "folds"):
        if getattr(options, name) is not None:
            raise UsageError(
                f"label takes no --{name}: rounds use the recipe {RECIPE}, and --init_from FILE starts from a network"
            )
    init_from = None if options.init_from is None else Path(options.init_from)
    if init_from is not None and not init_from.is_file():
        raise UsageError(f"--init_from {init_from}: there is no such checkpoint")
    fit_options = [*rest, *(["--config", *options.config] if options.config else [])]
    fit_options += ["--trust-config"] if options.trust_config else []
    try:
        with LabelFolder(own.folder, own.classes) as folder:
            rounds = Rounds(folder, options=fit_options, init_from=init_from, automatic=not own.no_training)
            _serve(folder, rounds, port=own.port, browser=not own.no_browser, fit_options=fit_options)
    except DataError as error:
        raise UsageError(str(error)) from error
    return DONE


def make_parser() -> ArgumentParser:
    """Returns the parser of the command's own options."""
    parser = ArgumentParser(
        prog="label",
        allow_abbrev=False,
        add_help=False,
        exit_on_error=False,
        epilog="Options of fit with a dot, such as --model.net.pretrained FILE, are passed to the rounds of training.",
    )
    parser.add_argument("folder", type=Path, nargs="?", help="folder of the images; masks are written to its masks/")
    parser.add_argument("--classes", nargs="+", default=[], help="class names (default: those of the last session)")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--no_browser", "--no-browser", action="store_true", help="only print the address of the page")
    parser.add_argument(
        "--no_training", "--no-training", action="store_true", help="train only when the button of the page is pressed"
    )
    return parser


def _parse(words: Sequence[str]) -> tuple[Namespace, list[str]]:
    try:
        own, rest = make_parser().parse_known_args(list(words))
    except ArgumentError as error:
        raise UsageError(f"label: {error}") from error
    if own.folder is None:
        raise UsageError("label needs a folder of images: label FOLDER [--classes dog cat]")
    if not 0 <= own.port <= 65535:
        raise UsageError(f"--port must lie between 0 and 65535, not {own.port}")
    for word in rest:
        if word.startswith("--") and "." not in word.split("=")[0]:
            raise UsageError(
                f"unknown option '{word}' of label: it has --classes, --port, --no_browser and --no_training; options "
                "of fit for the rounds have a dot, such as --model.net.pretrained"
            )
    return own, rest


def _serve(folder: LabelFolder, rounds: Rounds, *, port: int, browser: bool, fit_options: Sequence[str]) -> None:
    stop = threading.Event()
    session = Session(folder)
    try:
        server = Server(lambda environ, start: application(environ, start), port)
    except OSError as error:
        raise UsageError(f"--port {port} cannot be used: {error.strerror or error}") from error
    guard = Guard(port=server.port)
    application = Application(
        session, rounds, guard, commands=lambda: next_commands(folder, rounds, fit_options), stop=stop
    )
    thread = threading.Thread(target=server.serve_forever, name="server", daemon=True)
    thread.start()
    _stop_on_signals(stop)
    done = sum(item.state == "done" for item in folder.items)
    print(f"{len(folder.items)} images, {done} done; classes: {', '.join(folder.classes)}")
    if not folder.writable:
        print(f"read-only: the folder is in use by {folder.holder}")
    print(f"the page is at {guard.address} (Ctrl-C ends the server)", flush=True)
    if browser:
        webbrowser.open(guard.address)
    try:
        while not stop.wait(1.0):
            pass
    finally:
        server.shutdown()
        server.server_close()
        rounds.close()
    if folder.writable:
        print("\n".join(next_commands(folder, rounds, fit_options)))


def next_commands(folder: LabelFolder, rounds: Rounds, fit_options: Sequence[str]) -> list[str]:
    """Writes the labeled images as a data set, and returns the lines that name the next commands."""
    here, options = relative_to_here(folder.root), list(fit_options)
    lines = [f"masks are in {relative_to_here(folder.masks)}"]
    target = folder.state_folder / "data"
    rest = [str(item.path.resolve()) for item in folder.items if item.state != "done"]
    if folder.writable:
        hold_one_out(folder)
        data = write_training_set(folder, target)
        lines += data.problems
        if not data.train or not data.val:
            return [*lines, "finish at least two images, then train:", f"  {_command('label', str(here))}"]
        lines[0] += f": {data.train} images to train on, {data.val} held out"
        options = [*batch_words(data.train), *options]
        with atomic_file(folder.state_folder / REST) as file:
            file.write("".join(f"{path}\n" for path in rest).encode("utf-8", "surrogateescape"))
    config = str(relative_to_here(target / CONFIG))
    start = [] if rounds.checkpoint is None else ["--init_from", str(relative_to_here(rounds.checkpoint))]
    name = f"{folder.root.resolve().name}-all"
    lines += [
        "train on all of them:",
        f"  {_command('--recipe', RECIPE, '--config', config, '--name', name, *start, *options)}",
    ]
    if rest:
        lines += [
            "predict the other images:",
            f"  {_command('predict', str(relative_to_here(folder.state_folder / REST)), '--name', name)}",
        ]
    return [*lines, "export the network:", f"  {_command('export', '--name', name)}"]


def _command(*words: str) -> str:
    return command_for(["--task", "segment", *words])


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stop.set()

    TRAINING.set()  # the handlers of the command line leave the first signal to this one
    for number in SIGNALS:
        if not is_ignored(number):
            signal.signal(number, handle)
