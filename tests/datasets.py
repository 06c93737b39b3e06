"""Data modules for tests: of a source with all options side by side, and of splits that a test gives."""

import inspect
from dataclasses import dataclass, field
from typing import Any

from seqmodels.config.signatures import parts_of
from seqmodels.data import DataModule, Loading, Preparation, Prepared, Source, Splits
from seqmodels.data.batch import TargetKind


def data_of(kind: type[Source], *, augmentation: Any = (), **options: Any) -> DataModule:
    """Return the data module of a source, with options of it, its preparation and the loading."""
    parts = parts_of(kind)
    known = [inspect.signature(part).parameters for part in parts]
    assert set(options) <= {name for names in known for name in names}, options
    built: list[Any] = [
        part(**{name: value for name, value in options.items() if name in names})
        for part, names in zip(parts, known, strict=True)
    ]
    source, preparation, loading = built
    return DataModule(source, preparation, loading, augmentation)


def ready(kind: type[Source], **options: Any) -> DataModule:
    """Return the data module of :func:`data_of`, set up."""
    data = data_of(kind, **options)
    data.setup()
    return data


@dataclass(kw_only=True)
class AsGiven(Preparation):
    """Splits that need no preparation."""

    sizes: dict[str, Any] = field(default_factory=dict)
    preprocessing: Any = None

    def prepare(self, splits: Splits[Any]) -> Prepared:
        return Prepared(splits, self.sizes, self.preprocessing)


@dataclass(kw_only=True)
class Given(Source):
    """Splits that a test gives."""

    name = "given"
    citation = license = "none"
    preparation = AsGiven

    given: Any

    def splits(self) -> Splits[Any]:
        return Splits(**self.given)


def given(splits: dict[str, Any], kind: TargetKind, sizes: dict[str, Any], **loading: Any) -> DataModule:
    """Return the data module of splits by name."""
    source = Given(given=splits)
    source.target_kind = kind  # type: ignore[misc]
    return DataModule(source, AsGiven(sizes=sizes), Loading(**loading))
