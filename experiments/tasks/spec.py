"""What a task adds to the commands: one ``TaskSpec`` per task."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from jsonargparse import ArgumentParser
from lightning import Callback
from lightning.pytorch.utilities import rank_zero_only

from callbacks.prediction.images import ImageFiles
from callbacks.visualization.task_figures import Figures
from datamodules.base import ImageDataModule
from datamodules.io.native_depth import read_extras
from datamodules.prediction.datamodule import PredictDataModule
from experiments.cli.usage import UsageError
from experiments.runs.folder import relative_to_here
from experiments.runs.initial_weights import InitialWeights
from experiments.tasks.links import Link
from experiments.tasks.prediction import PredictOutput, PredictRequest
from lightning_modules.base import ImageTask
from models.weights.partial_load import PartialLoad, load_matching_
from models.weights.pretrained import WeightsError

#: Rows of a table of scores that are printed; the largest benchmarks of the field have as many images.
TABLE_ROWS = 100
_WORST_ROWS = 5

Module = TypeVar("Module", bound=ImageTask)


class TaskSpec(Generic[Module]):
    """Base class of a task: a task sets ``module`` and overrides what it does in another way.

    Attributes:
        module: what is trained. The network, the loss and the data module are chosen by the recipe.
        monitor: metric that decides which epoch is the best.
        mode: whether a larger (``"max"``) or smaller value of the metric, and of a sample's score, is better.
        scores: metrics shown beside the hyperparameters, to compare runs.
        links: values of the data module that are copied to the model.
        takes_videos: whether ``predict`` accepts videos.
    """

    module: type[Module]
    monitor: ClassVar[str] = "val/loss"
    mode: ClassVar[Literal["min", "max"]] = "min"
    scores: ClassVar[tuple[str, ...]] = ("val/loss",)
    links: ClassVar[tuple[Link, ...]] = ()
    takes_videos: ClassVar[bool] = False

    def figures(self, model: Module, data: ImageDataModule) -> Figures:  # noqa: ARG002
        """Makes the object that draws training batches and validation samples."""
        return Figures()

    def init_from(self, model: Module, weights: InitialWeights) -> Collection[str]:
        """Loads the weights of ``--init_from`` into a new module and prints every tensor's account.

        Args:
            model: changed in place.
            weights: of a checkpoint of Darkroom, a state dict, or one as BasicSR and DDP save it.

        Returns:
            Names of the module's tensors that were loaded.

        Raises:
            WeightsError: if no tensor fits.
        """
        try:
            report = self.load_fitting_(model, weights)
        except WeightsError as error:
            raise WeightsError(f"--init_from {weights.path}: {error}") from error
        rank_zero_only(print)(f"weights from {relative_to_here(weights.path)}:\n{report}")
        return [f"net.{name}" for name in report.loaded]

    def check_data(self, model: Module, data: ImageDataModule) -> None:
        """Compares the network with the data before a file is read; by default nothing.

        Raises:
            UsageError: if they do not fit.
        """

    def load_fitting_(self, model: Module, weights: InitialWeights) -> PartialLoad:
        """Loads every tensor of ``weights`` that fits into the network, in place; by default those of the same shape.

        Raises:
            WeightsError: if no tensor fits.
        """
        return load_matching_(model.net, weights.tensors)

    def average_(self, model: Module, checkpoints: Sequence[Path], *, trust_config: bool) -> None:  # noqa: ARG002
        """Averages the results of ``model`` with those of more checkpoints, where the task supports it.

        Args:
            model: changed in place.
            checkpoints: files of the same task.
            trust_config: whether they may name classes of any package.

        Raises:
            UsageError: if the task does not support it, or a network does not fit.
        """
        raise UsageError("several checkpoints are averaged by segment only: name one with --ckpt_path")

    def init_callbacks(self, model: Module, loaded: Collection[str]) -> list[Callback]:  # noqa: ARG002
        """Makes callbacks that initialize a new module in ``setup``.

        Args:
            model: the module.
            loaded: names of the tensors that ``init_from`` loaded, which must stay.
        """
        return []

    def table_lines(self, table: Sequence[Mapping[str, Any]]) -> list[str]:
        """Formats the scores of a test, by default those of the worst images.

        Args:
            table: one row per image, the worst first.
        """
        return ["  worst: " + "  ".join(_cell(key, value) for key, value in row.items()) for row in table[:_WORST_ROWS]]

    def add_predict_arguments(self, parser: ArgumentParser) -> None:
        """Adds the task's options of ``predict``."""

    def predict_output(self, model: Module, request: PredictRequest) -> PredictOutput:  # noqa: ARG002
        """Decides what ``predict`` reads and writes, and checks the options before the first image is read.

        By default images are read one by one at their own size and depth (``ImageBatch``), ``predict_step`` returns
        ``(1, 3, H, W)`` uint8 or uint16, and each is written as PNG with the original's alpha channel and metadata.

        Raises:
            UsageError: for an option out of its range.
        """
        return PredictOutput(
            data=PredictDataModule(
                images=request.images,
                num_workers=min(1, request.num_workers),
                keep_originals=False,
                timeout=request.timeout,
                bits=request.bits,
            ),
            files=ImageFiles(folder=request.folder, scale=1, extras=read_extras),
        )


def table_with_mean(head: str, rows: Sequence[str], mean: str) -> list[str]:
    """Puts a header above and the mean below a table of scores, and cuts a long table.

    >>> table_with_mean("image", ["a.png"], "mean")
    ['image', 'a.png', 'mean']
    """
    rest = len(rows) - TABLE_ROWS
    return [head, *rows[:TABLE_ROWS], *([f"... and {rest} better ones"] if rest > 0 else []), mean]


def _cell(key: str, value: Any) -> str:
    return f"{key} {value:.4f}" if isinstance(value, float) else str(value)
