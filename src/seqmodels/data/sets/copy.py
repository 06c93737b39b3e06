"""Copy a string of symbols."""

from seqmodels.data.text.pairs.sources import GeneratedPairs


class CopyData(GeneratedPairs):
    """Random strings to write as they are; options as for all generated pairs."""

    name = "copy"
    citation = "generated; A. Graves, G. Wayne and I. Danihelka. Neural Turing machines. 2014. arXiv 1410.5401"

    def target(self, source: str) -> str:
        return source
