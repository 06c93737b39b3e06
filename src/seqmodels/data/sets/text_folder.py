"""Your own texts in one folder per class."""

from pathlib import Path

from seqmodels.data.formats.folders import read_folders
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.raw import LabelledTexts
from seqmodels.data.text.sources import OwnTexts


class TextFolderData(OwnTexts):
    """Texts in one folder per class, e.g. ``pos/1.txt``; options as for all text sources."""

    name = "text_folder"

    def texts(self, path: Path) -> LabelledTexts:
        return read_folders(path, encoding=self.encoding)._replace(dialect=CSVDialect(encoding=self.encoding))
