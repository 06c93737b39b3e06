"""Texts of the user in a folder of folders."""

from pathlib import Path

from seqmodels.data.formats.folders import read_folders
from seqmodels.data.raw import LabelledTexts
from seqmodels.data.text.sources import OwnTexts


class TextFolderData(OwnTexts):
    """Texts in a folder of folders, ``pos/1.txt``: the name of a folder is its texts' class; options as for all."""

    name = "text_folder"

    def read(self, path: Path) -> LabelledTexts:
        return read_folders(path, encoding=self.encoding)
