"""Other loaders that feed torch: workers are processes, torchvision's v2 transforms make the view.

Each is configured as its own documentation recommends; `docs/peers.md` names the recommendations
and the packages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .task import CAFFE_MEANS, Batch, Task

EPOCHS = 100_000  # more than anyone waits for


def torch_files(task: Task) -> Iterator[Batch]:
    """`ImageFolder` under `DataLoader`, decoded to tensors by torchvision."""
    from torch.utils.data import DataLoader, RandomSampler
    from torchvision.datasets import ImageFolder
    from torchvision.io import ImageReadMode, decode_image

    def read(path: str) -> Any:
        return decode_image(path, ImageReadMode.RGB)

    images = ImageFolder(task.prepared or task.photos, loader=read, transform=_view(task))
    # Permutation upon permutation: workers need not wait for each other where an epoch ends.
    sampler = RandomSampler(images, num_samples=EPOCHS * len(images))
    return _batches(
        DataLoader(images, batch_size=task.batch_size, sampler=sampler, num_workers=task.cores)
    )


def webdataset(task: Task) -> Iterator[Batch]:
    """Shards shared between the workers, a shuffle buffer, and batches made in the workers."""
    import torch
    import webdataset as peer
    from torchvision.io import decode_jpeg

    view = _view(task)

    def decode(sample: dict[str, Any]) -> tuple[Any, int]:
        return view(
            decode_jpeg(torch.frombuffer(bytearray(sample["jpg"]), dtype=torch.uint8))
        ), int(sample["cls"])

    shards = [str(path) for path in sorted(Path(task.prepared).glob("*.tar"))]
    images = (
        peer.WebDataset(shards, shardshuffle=len(shards), seed=task.seed)
        .shuffle(1000)
        .map(decode)
        .repeat()
    )
    batches = images.batched(
        task.batch_size, partial=False, collation_fn=torch.utils.data.default_collate
    )
    return _batches(peer.WebLoader(batches, batch_size=None, num_workers=task.cores))


def streaming(task: Task) -> Iterator[Batch]:
    """MosaicML Streaming: a local `StreamingDataset` under `DataLoader`."""
    import streaming as peer
    import torch
    from torchvision.io import decode_jpeg

    view = _view(task)

    class Images(peer.StreamingDataset):
        def __getitem__(self, at: Any) -> Any:
            sample = super().__getitem__(at)
            return view(
                decode_jpeg(torch.frombuffer(bytearray(sample["image"]), dtype=torch.uint8))
            ), sample["label"]

    peer.base.util.clean_stale_shared_memory()
    images = Images(
        local=task.prepared, shuffle=True, shuffle_seed=task.seed, batch_size=task.batch_size
    )
    options: dict[str, Any] = {
        "num_workers": task.cores,
        "persistent_workers": True,
        "drop_last": True,
    }
    return _batches(torch.utils.data.DataLoader(images, batch_size=task.batch_size, **options))


def litdata(task: Task) -> Iterator[Batch]:
    """LitData: optimised chunks under its `StreamingDataLoader`.

    Its JPEG serializer decodes with torchvision.
    """
    import litdata as peer

    view = _view(task)

    class Images(peer.StreamingDataset):
        def __getitem__(self, index: Any) -> Any:
            sample = super().__getitem__(index)
            return view(sample["image"]), sample["label"]

    images = Images(task.prepared, shuffle=True, drop_last=True, seed=task.seed)
    options: dict[str, Any] = {
        "num_workers": task.cores,
        "persistent_workers": True,
        "drop_last": True,
    }
    return _batches(peer.StreamingDataLoader(images, batch_size=task.batch_size, **options))


def _view(task: Task) -> Callable[[Any], Any]:
    """The view as v2 transforms of a uint8 tensor [3, h, w]."""
    import torch
    from torchvision.transforms import v2

    steps: list[Any] = [v2.RandomCrop(task.image_size), v2.RandomHorizontalFlip()]
    if task.storage == "files":
        side = int(task.image_size / task.crop_fraction)
        steps.insert(0, v2.Resize(side, v2.InterpolationMode.LANCZOS))
    if task.work == "augmented":
        means = torch.tensor(CAFFE_MEANS)[:, None, None]
        steps += [v2.RandomRotation(task.rotation, v2.InterpolationMode.BILINEAR)]
        steps += [v2.Lambda(lambda image: image.flip(0).float() - means)]
    return v2.Compose(steps)


def _batches(loader: Iterable[Any]) -> Iterator[Batch]:
    """Endless batches; torch's [b, 3, h, w] are shown as [b, h, w, 3] without a copy."""
    while True:
        for images, labels in loader:
            yield images.permute(0, 2, 3, 1).numpy(), labels.numpy()
