"""What every part of the measurements on an accelerator starts from: folders, sizes, a choice."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sentiflow.model.settings import TrainSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """How large everything is.

    Attributes:
        photographs: of EmotionROI, and of Twitter I; None for as many as the real sets have.
        image_size: side of the windows, pixels.
        batches: the usual size and a large one, images.
        backbone: of the network, in `keras.applications`.
        backbone_options: as `--backbone_options` takes them.
        torch_backbone: the same in torchvision.
        torch_compiler: backend of `torch.compile`.
        side: of the square matrices whose product is timed.
        copy_mib: size of what is copied.
        seconds: that a rate is timed for.
        epochs: of experiment 1.
        experiments: numbers of those that are trained in one pass.
    """

    photographs: int | None
    image_size: int
    batches: tuple[int, int]
    backbone: str
    backbone_options: tuple[str, ...]
    torch_backbone: str
    torch_compiler: str
    side: int
    copy_mib: int
    seconds: float
    epochs: int
    experiments: str


SCALES = {
    "full": Scale(
        photographs=None,
        image_size=256,
        batches=(32, 256),
        backbone="resnet101",
        backbone_options=(),
        torch_backbone="resnet101",
        torch_compiler="inductor",
        side=8192,
        copy_mib=2048,
        seconds=4.0,
        epochs=20,
        experiments="1,2,3,4,5,6,7,8,9",
    ),
    "small": Scale(
        photographs=60,
        image_size=64,
        batches=(8, 16),
        backbone="mobilenet",
        backbone_options=("alpha=0.25",),
        torch_backbone="resnet18",
        torch_compiler="aot_eager",
        side=256,
        copy_mib=16,
        seconds=0.5,
        epochs=2,
        experiments="1,3,7",
    ),
}


class Context(NamedTuple):
    """What the process of a part is told on its command line.

    Attributes:
        out: folder of the results.
        work: folder of photographs, datasets and compiled programs.
        scale: how large everything is.
        choice: what else the part takes.
    """

    out: Path
    work: Path
    scale: Scale
    choice: str

    @property
    def data_dir(self) -> str:
        """The folder that the datasets are built into."""
        return str(self.work / "data")

    @property
    def photos(self) -> Path:
        """The folder that the photographs are drawn into."""
        return self.work / "photos"

    def train_settings(self) -> TrainSettings:
        """The run whose backbone is timed; random weights, which take as long as any."""
        # Not above: it imports Keras, which only the parts that train need.
        from sentiflow.model.settings import TrainSettings

        return TrainSettings(
            backbone=self.scale.backbone,
            backbone_options=self.scale.backbone_options,
            weights="none",
        )


def read_context() -> Context:
    """What stands on the command line: OUT WORK SCALE [CHOICE]."""
    out, work, scale, *choice = sys.argv[1:]
    return Context(Path(out), Path(work), SCALES[scale], choice[0] if choice else "")
