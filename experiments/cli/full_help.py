"""The full help: every option of the command, and of the classes that the configuration selects."""

import re
from collections.abc import Iterator
from importlib import import_module

from jsonargparse import ArgumentParser, Namespace

from datamodules.stage import Stage

# jsonargparse lists all imported subclasses, which for a network are all layers of torch.
_SUBCLASSES = re.compile(r",\s+known\s+subclasses:[^)]*\)")

# Lightning's words on seed_everything, which offer a random seed.
_LIGHTNINGS_SEED = re.compile(r"Set to an int to run seed_everything.*?random\s+seed\.", re.DOTALL)


def full_help(parser: ArgumentParser, config: Namespace) -> str:
    """Returns the help of ``parser``, followed by the options of stages and of the selected classes.

    Args:
        parser: the full parser of a command.
        config: parsed settings, which name the data module, the network and the loss.
    """
    sections = [_without_usage(parser.format_help())]
    for key, class_path in [("stages.0", f"{Stage.__module__}.{Stage.__name__}"), *_selected_classes(config)]:
        module, _, name = class_path.rpartition(".")
        options = ArgumentParser(add_help=False)
        options.add_class_arguments(getattr(import_module(module), name), key, fail_untyped=False)
        sections.append(f"--{key} ({class_path})\n{_without_usage(options.format_help())}")
    text = "\n".join(_SUBCLASSES.sub(")", section) for section in sections)
    return _LIGHTNINGS_SEED.sub("seed of the run, a whole number", text)


def _selected_classes(config: Namespace) -> Iterator[tuple[str, str]]:
    """Yields key and import path of the classes below ``data`` and ``model``."""
    for name in ("data", "model"):
        for key, value in [
            (name, config[name]),
            *((f"{name}.{key}", value) for key, value in vars(config[name]).items()),
        ]:
            if isinstance(value, Namespace) and "class_path" in value:
                yield key, str(value.class_path)


def _without_usage(text: str) -> str:
    """Removes the usage, which names every option a second time."""
    return text.partition("\n\n")[2]
