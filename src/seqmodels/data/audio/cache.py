"""Features of recordings, kept on disk under the content of the files that they were computed from."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seqmodels.system.cache import cache_folder
from seqmodels.system.durable import write_durably
from seqmodels.system.locks import exclusive

log = logging.getLogger("seqmodels")
VERSION = 1  # of the computation; another one is another key


class Extracted(NamedTuple):
    """Features of recordings, in their order."""

    features: list[Tensor]
    """Per recording ``(frames, size)``, with 0 frames for one that cannot be used."""
    converted: int = 0
    """Number of recordings that had another sample rate or several channels."""


def cached(
    digests: Sequence[bytes], made: Mapping[str, Any], compute: Callable[[], Extracted], cache_dir: str | Path | None
) -> Extracted:
    """Return what ``compute`` returns, from a file if it was computed before for the same contents and options.

    The key is a hash of both, so that nothing is ever out of date; files that are no longer needed can be deleted.
    Features that cannot be read are computed again.

    Args:
        digests: sha256 of the bytes of each recording.
        made: options of the computation, as plain JSON.
        compute: computes the features.
        cache_dir: folder of the files; by default, ``features`` in the cache folder of this package.
    """
    digest = hashlib.sha256(json.dumps([VERSION, made], sort_keys=True).encode())
    for each in digests:
        digest.update(each)
    folder = cache_folder("features") if cache_dir is None else Path(cache_dir)
    path = folder / f"{digest.hexdigest()[:32]}.safetensors"
    with exclusive(path.with_suffix(".lock")):
        if (found := _read(path)) is not None:
            return found
        extracted = compute()
        _write(path, extracted)
    return extracted


def _read(path: Path) -> Extracted | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            values, lengths = file.get_tensor("values"), file.get_tensor("lengths")
            notes = json.loads(file.metadata()["notes"])
        return Extracted(list(values.split(lengths.tolist())), notes["converted"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        log.info("%s cannot be read, and is computed again: %s", path, error)
        return None


def _write(path: Path, extracted: Extracted) -> None:
    """Keep features; a cache that cannot be written costs time, not the run."""
    lengths = torch.tensor([len(features) for features in extracted.features])
    notes = json.dumps({"converted": extracted.converted})
    content = save({"values": torch.cat(extracted.features), "lengths": lengths}, {"notes": notes})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, lambda file: file.write(content))
    except OSError as error:
        log.warning("features cannot be kept: %s", error)
