"""What a PyTorch user gets on the same accelerator: `python -m bench.gpu.rival OUT WORK SCALE forward|training`.

Everything as PyTorch's performance guide recommends: channels_last, autocast to bfloat16,
`torch.compile`, pinned memory, copies that do not block, workers that persist, pixels that are
normalised on the accelerator.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
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
from .rows import WINDOWS, Context, Measurement

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MAPS_PER_CLASS = 4  # of the reference system's head
MEANS, DEVIATIONS = (
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)  # of torchvision's ImageNet weights


def main() -> None:
    """Times the forward pass alone, or the training loop."""
    context = rows.context()
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
    backbone, size = make_backbone(context), context.scale.image_size
    images = torch.randn(batch_size, 3, size, size, device=DEVICE).contiguous(
        memory_format=torch.channels_last
    )
    for call, variant in (
        (torch.compile(backbone, backend=context.scale.torch_compiler), "torch.compile"),
        (backbone, "eager"),
    ):
        with torch.inference_mode(), torch.autocast(DEVICE.type, torch.bfloat16):
            began = time.perf_counter()
            synchronise(call(images))
            compile_seconds = time.perf_counter() - began
            taken, spread = rows.time_calls(
                partial(call, images), synchronise, seconds=context.scale.seconds
            )
        measured = Measurement(
            part="torch-forward",
            name="torch forward",
            batch_size=batch_size,
            variant=variant,
            images_per_second=batch_size / taken,
            spread=spread,
            compile_seconds=compile_seconds,
        )
        rows.keep(context.out, measured)


def synchronise(_: object = None) -> None:
    """Waits for all that was asked of the accelerator."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


class Network(nn.Module):
    """The reference network: frozen backbone, class-wise maps, global average pooling, one dense layer."""

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
    """The reference system's training loop, fed by as many workers as there are cores, from prepared JPEG files."""
    torch.manual_seed(0)
    loader = make_loader(context, batch_size)
    network = Network(context, classes=len(list((context.work / "files").iterdir()))).to(DEVICE)
    compiled = torch.compile(network, backend=context.scale.torch_compiler)
    trained = [*network.maps.parameters(), *network.logits.parameters()]
    optimizer = torch.optim.SGD(
        trained, lr=0.001, momentum=0.9, nesterov=True, fused=DEVICE.type == "cuda"
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + 0.0005 * step))
    losses = nn.CrossEntropyLoss()

    def train(batches: Iterator[Any], seconds: float) -> tuple[int, float]:
        images, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            pixels, labels = (each.to(DEVICE, non_blocking=True) for each in next(batches))
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(DEVICE.type, torch.bfloat16):
                logits = compiled(pixels)
            losses(logits, labels).backward()
            optimizer.step()
            schedule.step()
            images += len(labels)
        synchronise()
        return images, time.perf_counter() - began

    batches = forever(loader)
    began = time.perf_counter()
    train(batches, 0.001)  # compiles
    compile_seconds = time.perf_counter() - began
    train(batches, context.scale.seconds / WINDOWS)  # uses up what was made ahead meanwhile
    windows = [train(batches, context.scale.seconds / WINDOWS) for _ in range(WINDOWS)]
    rates = clock.summarise(windows)
    measured = Measurement(
        part="torch-training",
        name="torch training",
        batch_size=batch_size,
        images_per_second=rates["images_per_second"],
        spread=rates["spread"],
        compile_seconds=compile_seconds,
    )
    rows.keep(context.out, measured)


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
