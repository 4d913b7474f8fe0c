"""Arguments of the fit of a round: the recipe ``label``, with epochs that suit the number of images."""

from pathlib import Path

from experiments.label.training_set import CONFIG, TrainingSet

RECIPE = "label"
#: Optimizer steps of a stage in the first round and in later ones, which start from the weights of the last; and the
#: limits of its epochs. A small set needs many epochs, a large one few.
_HEAD_STEPS, _FIRST_STEPS, _LATER_STEPS = 40, 160, 120
_MOST_EPOCHS, _BATCH = 60, 8


def stage_epochs(images: int, *, first: bool) -> tuple[int, int]:
    """Epochs of both stages of a round.

    Args:
        images: number of images to train on.
        first: whether the decoder starts from random weights.

    >>> stage_epochs(4, first=True), stage_epochs(100, first=False)
    ((40, 60), (1, 10))
    """
    batches = max(1, images // _BATCH)
    head = min(_MOST_EPOCHS, max(2, _HEAD_STEPS // batches)) if first else 1
    steps = _FIRST_STEPS if first else _LATER_STEPS
    return head, min(_MOST_EPOCHS, max(4, steps // batches + (steps % batches > 0)))


def batch_words(images: int) -> list[str]:
    """Returns the words that make the batches no larger than the training set.

    >>> batch_words(5), batch_words(8)
    (['--stages.all.batch_size', '5'], [])
    """
    return ["--stages.all.batch_size", str(images)] if images < _BATCH else []


def fit_words(number: int, data: TrainingSet, previous: Path | None) -> list[str]:
    """Returns the words of the command line.

    Args:
        number: of the round, from 1.
        data: the images to train on.
        previous: checkpoint that the round starts from.
    """
    head, rest = stage_epochs(data.train, first=previous is None)
    words = ["--recipe", RECIPE, "--config", str(data.path / CONFIG), "--name", f"round-{number}"]
    words += ["--stages.0.epochs", str(head), "--stages.1.epochs", str(rest)]
    words += batch_words(data.train)
    words += ["--trainer.logger", "CSVLogger", "--trainer.logger.flush_logs_every_n_steps", "1"]
    words += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
    return words + ([] if previous is None else ["--init_from", str(previous)])
