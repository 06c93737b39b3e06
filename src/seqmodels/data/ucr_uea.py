"""The time series archives of UCR and UEA: any of their classification problems, by name."""

import re
from pathlib import Path

from seqmodels.data.download import download
from seqmodels.data.files import DataFile, load, locate, unpacked
from seqmodels.data.series_archive import ArchiveData, archive_file
from seqmodels.data.strict_text import decoded
from seqmodels.data.ts_format import Missing, SeriesFile, parse_ts
from seqmodels.errors import nearest


def _files(archive: str, *parts: tuple[str, int, str]) -> tuple[DataFile, ...]:
    return tuple(archive_file(archive, *part, folder=f"{archive}/") for part in parts)


class UCRUEAData(ArchiveData):
    """Any classification problem of the archives whose files lie in ``ucr-uea/<Name>/``; options as for all archives.

    Those of ``files`` are compared with what was published and can be downloaded; others are read as they are.

    Args:
        name: of the problem, ``GunPoint`` for example: ``ucr-uea/GunPoint/GunPoint_TRAIN.ts`` and ``_TEST.ts``.
    """

    name = "ucr_uea"
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

    def __init__(
        self,
        data_dir: str | Path,
        *,
        name: str = "GunPoint",
        val_share: float = 0.2,
        standardize: bool = True,
        missing: Missing = "error",
        data_seed: int = 0,
        download: bool = False,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        drop_last: bool = False,
        bucketing: bool = False,
    ) -> None:
        super().__init__(
            data_dir,
            val_share=val_share,
            standardize=standardize,
            missing=missing,
            data_seed=data_seed,
            download=download,
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
            bucketing=bucketing,
        )
        if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name):  # a name, not a way out of the folder
            raise ValueError(f"name must be the name of an archive, like GunPoint, got {name!r}")
        self.archive = name
        self.published = [file for file in self.files if file.name.startswith(f"{name}/")]

    def prepare_data(self) -> None:
        """Download what is missing, where that is allowed and published files are known.

        Raises:
            FileNotFoundError: files are missing; the message has the names of the archives that are there.
        """
        for file in self.published if self.download else []:
            if locate(self.path, file) is None:
                download(file, self.path)
        for part in ("TRAIN", "TEST"):
            self._located(part)

    def read(self, part: str) -> SeriesFile:
        known = [file for file in self.published if file.name.endswith(f"_{part}.ts")]
        path = self._located(part)
        content = load(self.path, known[0]) if known else unpacked(path)
        return parse_ts(decoded(content, path.name), path.name, missing=self.missing)

    def _located(self, part: str) -> Path:
        path = locate(self.path, DataFile(f"{self.archive}/{self.archive}_{part}.ts", 0, "", ()))
        if path is None:
            there = sorted(found.name for found in self.path.glob("*") if found.is_dir())
            hint = nearest(self.archive, there)
            raise FileNotFoundError(
                f"{self.path.absolute() / self.archive} lacks {self.archive}_{part}.ts (plain or with .gz){hint} "
                f"(archives there: {', '.join(there) or 'none'})"
            )
        return path
