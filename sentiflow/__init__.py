"""Sentiflow: image-sentiment classifiers, trained at the speed of the accelerator.

The rooms are `builders` (photographs to TFRecords), `pipeline` (TFRecords to batches), `model`
(batches to networks) and `bench` (what all of it reaches here). What every room needs lies in this
package itself.
"""

from pathlib import Path

_FOLDER = Path(__file__).parent
if not (_FOLDER / "pipeline").exists():
    # A checkout: its rooms lie beside this folder. In an installed package they lie inside.
    __path__.append(str(_FOLDER.parent))
