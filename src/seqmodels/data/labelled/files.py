"""Your own files of labelled series, in the formats of the archives."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqmodels.data.formats.archives.cases import Missing, SeriesFile, parse_cases
from seqmodels.data.formats.archives.files import read_cases
from seqmodels.data.labelled.preparation import Standardization
from seqmodels.data.labelled.targets import class_targets, number_targets
from seqmodels.data.own_files import OwnFiles
from seqmodels.data.raw import LabelledSeries

log = logging.getLogger("seqmodels")
TARGET = "target"  # field of the target number of a record


def labelled_series(file: SeriesFile, train: SeriesFile, *, numeric: bool) -> LabelledSeries:
    """Return the series of a file with their targets, for the classes of the training file.

    Raises:
        ValueError: targets are not of the wanted kind, labels are not classes of the training file, or the numbers of
            dimensions differ.
    """
    if not file.labels or file.numeric != numeric:
        wanted = "target numbers" if numeric else "classes"
        if not file.labels:
            raise ValueError(f"{file.name}: its cases have no {wanted}")
        has, reader = ("target numbers", "ts_file_regression") if file.numeric else ("classes", "ts_file")
        raise ValueError(f"{file.name}: its cases have {has}, not {wanted}; data={reader} reads them")
    channels, others = train.series[0].shape[1], file.series[0].shape[1]
    if channels != others:
        raise ValueError(f"{file.name}: has {others} dimensions, {train.name} has {channels}")
    if numeric:
        values = number_targets([[label] for label in file.labels], file.places, [TARGET])
        return LabelledSeries(file.series, values, target_names=(TARGET,))
    return LabelledSeries(file.series, class_targets(file.labels, file.places, train.class_names), train.class_names)


@dataclass(kw_only=True)
class SeriesFiles(OwnFiles):
    """Series with one target each from ``.ts`` or ``.arff`` files, plain or ``.gz``.

    Args:
        missing: how to handle missing values, see :func:`~seqmodels.data.formats.archives.cases.parse_cases`.
    """

    preparation = Standardization

    missing: Missing = "error"

    def read(self, paths: Sequence[Path]) -> list[LabelledSeries]:
        files = [parse_cases(read_cases(path), missing=self.missing) for path in paths]
        for file in files:
            lengths = sorted({len(series) for series in file.series})
            steps = f"{lengths[0]} to {lengths[-1]}" if len(lengths) > 1 else f"{lengths[0]}"
            channels = file.series[0].shape[1]
            log.info("%s: %d series of %s steps, channels: %d", file.name, len(file.series), steps, channels)
        return [labelled_series(file, files[0], numeric=self.target_kind == "regression") for file in files]
