"""UCR and UEA time series archives: any classification problem by name."""

import re
from dataclasses import InitVar, dataclass, field
from pathlib import Path

from seqmodels.data.formats.archives.cases import SeriesFile, parse_cases
from seqmodels.data.formats.archives.files import case_file, series_format
from seqmodels.data.formats.files import DataFile, locate, published_bytes, unpacked
from seqmodels.data.labelled.archive_source import ArchiveSource, archive_file
from seqmodels.errors import nearest


def _files(archive: str, *parts: tuple[str, int, str]) -> tuple[DataFile, ...]:
    return tuple(archive_file(archive, *part, folder=f"{archive}/") for part in parts)


@dataclass(kw_only=True)
class UCRUEAData(ArchiveSource):
    """Any classification problem of the archives with files in ``ucr-uea/<Name>/``.

    Problems in ``files`` are verified and can be downloaded; others are read without verification.

    Args:
        name: name of the problem, e.g. ``GunPoint``: ``ucr-uea/GunPoint/GunPoint_TRAIN.ts`` and ``_TEST.ts``.
    """

    folder = "ucr-uea"
    files = (
        *_files(
            "GunPoint",
            ("TRAIN", 84188, "f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5"),
            ("TEST", 252305, "79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e"),
        ),
        *_files(
            "ItalyPowerDemand",
            ("TRAIN", 18300, "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c"),
            ("TEST", 274054, "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144"),
        ),
        *_files(
            "ArrowHead",
            ("TRAIN", 100357, "a83c470aaf611a5f5284377cce27a5fc9f6292bc3d110257b0fd4905ced5ee72"),
            ("TEST", 484894, "5417dab42626d41df5e435bb22458c2df40dfad4bcd3b59559bbe72e20e84904"),
        ),
    )
    citation = (
        "H. A. Dau et al. The UCR time series archive. IEEE/CAA Journal of Automatica Sinica 6 (6), 2019; "
        "A. Bagnall et al. The UEA multivariate time series classification archive. 2018. "
        "https://arxiv.org/abs/1811.00075"
    )

    name: InitVar[str] = "GunPoint"  # option; the set's own name is defined below
    archive: str = field(init=False)

    def __post_init__(self, name: str) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):  # a plain name, to prevent path traversal
            raise ValueError(f"name must be the name of an archive, like GunPoint, got {name!r}")
        self.archive = name

    def prepare(self) -> None:
        """Download missing files if allowed and known.

        Raises:
            FileNotFoundError: files are missing; the message lists the archives present.
        """
        parts = [self._file(part) for part in ("TRAIN", "TEST")]
        if self.download:
            from seqmodels.data.download import download_missing  # noqa: PLC0415

            download_missing([file for file in parts if file.urls], self.set_folder)
        for file in parts:
            self._located(file)

    def read(self, part: str) -> SeriesFile:
        file = self._file(part)
        path = self._located(file)
        kind = series_format(path.name)
        assert kind is not None
        content = published_bytes(path, file) if file.urls and kind == "ts" else unpacked(path)
        return parse_cases(case_file(content, path.name, kind), missing=self.missing)

    def _file(self, part: str) -> DataFile:
        """Return the file of a part; if not in ``files``, it has only a name."""
        name = f"{self.archive}/{self.archive}_{part}.ts"
        return next((file for file in self.files if file.name == name), DataFile(name, 0, "", ()))

    def _located(self, file: DataFile) -> Path:
        arff = file._replace(name=file.name.removesuffix(".ts") + ".arff")
        path = locate(self.set_folder, file) or locate(self.set_folder, arff)
        if path is None:
            there = sorted(found.name for found in self.set_folder.glob("*") if found.is_dir())
            raise FileNotFoundError(
                f"{self.set_folder.absolute() / self.archive} lacks {Path(file.name).name} or .arff (plain or with .gz)"
                f"{nearest(self.archive, there)} (archives there: {', '.join(there) or 'none'})"
            )
        return path


UCRUEAData.name = "ucr_uea"
