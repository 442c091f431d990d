"""What a PyTorch user gets on the same accelerator.

`python -m bench.gpu.rival OUT WORK SCALE forward|training`.

Everything as PyTorch's performance guide recommends: channels_last, autocast to bfloat16,
`torch.compile`, pinned memory, copies that do not block, workers that persist, pixels that are
normalised on the accelerator.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from ..worker import clock
from . import rows
from .context import Context, read_context
from .rows import WINDOWS, Measurement

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MAPS_PER_CLASS = 4  # of the reference system's head
# Of torchvision's ImageNet weights: red, green, blue.
MEANS = (0.485, 0.456, 0.406)
DEVIATIONS = (0.229, 0.224, 0.225)


def main() -> None:
    """Times the forward pass alone, or the training loop."""
    context = read_context()
    measure = time_training if context.choice == "training" else time_forward
    for batch_size in context.scale.batches:
        measure(context, batch_size)


def make_backbone(context: Context) -> nn.Module:
    """The frozen backbone up to its feature map, with random weights."""
    backbone = getattr(torchvision.models, context.scale.torch_backbone)(weights=None)
    parts = nn.Sequential(*list(backbone.children())[:-2]).eval().requires_grad_(False)
    return parts.to(DEVICE, memory_format=torch.channels_last)


def time_forward(context: Context, batch_size: int) -> None:
    """The backbone alone, called as it is and compiled."""
    torch.manual_seed(0)
    backbone = make_backbone(context)
    compiled = torch.compile(backbone, backend=context.scale.torch_compiler)
    size = context.scale.image_size
    noise = torch.randn(batch_size, 3, size, size, device=DEVICE)
    images = noise.contiguous(memory_format=torch.channels_last)
    for call, variant in ((compiled, "torch.compile"), (backbone, "eager")):
        with torch.inference_mode(), torch.autocast(DEVICE.type, torch.bfloat16):
            measured = _time_variant(context, partial(call, images), batch_size, variant)
        rows.keep(context.out, measured)


def _time_variant(
    context: Context, call: Callable[[], Any], batch_size: int, variant: str
) -> Measurement:
    began = time.perf_counter()
    synchronise(call())
    compile_seconds = time.perf_counter() - began
    taken, spread = rows.time_calls(call, synchronise, seconds=context.scale.seconds)
    return Measurement(
        part="torch-forward",
        name="torch forward",
        batch_size=batch_size,
        variant=variant,
        images_per_second=batch_size / taken,
        spread=spread,
        compile_seconds=compile_seconds,
    )


def synchronise(_: object = None) -> None:
    """Waits for all that was asked of the accelerator."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


class Network(nn.Module):
    """The reference network.

    Frozen backbone, class-wise maps, global average pooling, one dense layer.
    """

    def __init__(self, context: Context, classes: int) -> None:
        super().__init__()
        self.backbone = make_backbone(context)
        size = context.scale.image_size
        channels = self.backbone(torch.zeros(1, 3, size, size, device=DEVICE)).shape[1]
        self.maps = nn.Conv2d(channels, classes * MAPS_PER_CLASS, 1)
        self.logits = nn.Linear(classes * MAPS_PER_CLASS, classes)
        for name, values in (("means", MEANS), ("deviations", DEVIATIONS)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits, float32 [b, classes], of pixels, uint8 [b, 3, s, s]."""
        with torch.no_grad():
            images = (pixels.float() / 255 - self.means) / self.deviations
            features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        return self.logits(torch.relu(self.maps(features)).mean(dim=(2, 3))).float()


def time_training(context: Context, batch_size: int) -> None:
    """The reference system's training loop, from prepared JPEG files.

    It is fed by as many workers as there are cores.
    """
    torch.manual_seed(0)
    trainer = Trainer(context)
    batches = forever(make_loader(context, batch_size))
    seconds = context.scale.seconds / WINDOWS
    began = time.perf_counter()
    trainer.train(batches, 0.001)  # compiles
    compile_seconds = time.perf_counter() - began
    trainer.train(batches, seconds)  # uses up what was made ahead meanwhile
    rates = clock.summarise([trainer.train(batches, seconds) for _ in range(WINDOWS)])
    measured = Measurement(
        part="torch-training",
        name="torch training",
        batch_size=batch_size,
        images_per_second=rates["images_per_second"],
        spread=rates["spread"],
        compile_seconds=compile_seconds,
    )
    rows.keep(context.out, measured)


class Trainer:
    """The compiled network, its loss, and its optimiser with the reference system's schedule."""

    def __init__(self, context: Context) -> None:
        classes = len(list((context.work / "files").iterdir()))
        network = Network(context, classes).to(DEVICE)
        trained = [*network.maps.parameters(), *network.logits.parameters()]
        fused = DEVICE.type == "cuda"
        self.network = torch.compile(network, backend=context.scale.torch_compiler)
        self.losses = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(
            trained, lr=0.001, momentum=0.9, nesterov=True, fused=fused
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: 1 / (1 + 0.0005 * step)
        )

    def train(self, batches: Iterator[Any], seconds: float) -> tuple[int, float]:
        """Trains for at least so long; returns images and seconds."""
        images = 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            images += self.step(*next(batches))
        synchronise()
        return images, time.perf_counter() - began

    def step(self, pixels: torch.Tensor, labels: torch.Tensor) -> int:
        """Trains on a batch of the loader; returns its images."""
        pixels = pixels.to(DEVICE, non_blocking=True)
        labels = labels.to(DEVICE, non_blocking=True)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE.type, torch.bfloat16):
            logits = self.network(pixels)
        self.losses(logits, labels).backward()
        self.optimizer.step()
        self.schedule.step()
        return len(labels)


def make_loader(context: Context, batch_size: int) -> DataLoader[Any]:
    """Shuffled, augmented batches of the prepared JPEG files: uint8 [b, 3, s, s]."""
    view = v2.Compose(
        [
            v2.RandomCrop(context.scale.image_size),
            v2.RandomHorizontalFlip(),
            v2.RandomRotation(20, v2.InterpolationMode.BILINEAR),
        ]
    )
    images = ImageFolder(
        str(context.work / "files"),
        loader=lambda path: decode_image(path, ImageReadMode.RGB),
        transform=view,
    )
    workers = rows.machine_facts()["cores"]
    return DataLoader(
        images,
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        pin_memory=DEVICE.type == "cuda",
        persistent_workers=True,
        prefetch_factor=4,
    )


def forever(loader: DataLoader[Any]) -> Iterator[Any]:
    """Batches, epoch after epoch."""
    while True:
        yield from loader


if __name__ == "__main__":
    main()
