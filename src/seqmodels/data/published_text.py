"""What the published sets of text share."""

from pathlib import Path

from seqmodels.data.download import download as fetch
from seqmodels.data.files import locate, require
from seqmodels.data.language_modeling import LanguageModelingData


class PublishedTextData(LanguageModelingData):
    """Text from published files below a data folder.

    Args:
        data_dir: holds the set's ``folder`` with its files, plain or with ``.gz``.
        download: fetch what is missing.
        others: as in :class:`~seqmodels.data.language_modeling.LanguageModelingData`.
    """

    def __init__(
        self,
        data_dir: str | Path,
        *,
        download: bool = False,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        bptt: int = 64,
        random_windows: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            bptt=bptt,
            random_windows=random_windows,
            seed=seed,
        )
        self.path = Path(data_dir) / self.folder
        self.download = download

    def prepare_data(self) -> None:
        """Download what is missing, where that is allowed.

        Raises:
            FileNotFoundError: files are missing, and ``download`` is false.
        """
        for file in self.files if self.download else ():
            if locate(self.path, file) is None:
                fetch(file, self.path)
        require(self.path, self.files)
