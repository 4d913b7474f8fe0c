"""The options of the command line are frozen, because renaming or removing one breaks scripts of users."""

from pathlib import Path
from typing import Any

import pytest
from jsonargparse import ArgumentParser, get_loader

from experiments.cli.arguments import make_parser
from experiments.cli.main import main
from experiments.commands.table import COMMANDS
from experiments.tasks.table import TASKS

FROZEN = Path(__file__).with_name("flags.txt")


def leaves(settings: dict[str, Any], above: str = "") -> list[str]:
    """Dotted names of all settings, without ``init_args``."""
    names: list[str] = []
    for key, value in settings.items():
        name = above if key == "init_args" else f"{above}.{key}".lstrip(".")
        names += leaves(value, name) if isinstance(value, dict) else [name]
    return names


def current_flags(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """All options except those of Lightning's Trainer."""
    front = [option for action in make_parser()._actions for option in action.option_strings]
    lines = [f"front {option}" for option in front]
    for task, row in TASKS.items():
        for recipe in row.recipe_names():
            assert main(["--task", task, "--recipe", recipe, "--print_config"]) == 0
            config = get_loader("yaml")(capsys.readouterr().out)
            config.pop("trainer")
            lines += [f"{task} --{name}" for name in leaves(config)]
            lines += [f"{task} --stages.0.{field}" for field in config["stages"][0]]
        parser = ArgumentParser()
        row.load().add_predict_arguments(parser)
        lines += [f"{task} predict {flag}" for flag in parser.get_defaults().keys()]  # noqa: SIM118 (see below)
    for name, command in COMMANDS.items():
        parser = ArgumentParser()
        command.add_arguments(parser)
        lines += [f"{name} {flag}" for flag in parser.get_defaults().keys()]  # noqa: SIM118 (a Namespace has no __iter__ over keys)
    return sorted(set(lines))


def test_flags_are_frozen(capsys: pytest.CaptureFixture[str]) -> None:
    """After an intended change, update tests/flags.txt and name the change in the commit message."""
    current, frozen = set(current_flags(capsys)), set(FROZEN.read_text(encoding="utf-8").splitlines())
    assert current == frozen, f"new: {sorted(current - frozen)}; gone: {sorted(frozen - current)}"
