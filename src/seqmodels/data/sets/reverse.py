"""Write a string of symbols backwards."""

from seqmodels.data.text.pairs.sources import GeneratedPairs


class ReverseData(GeneratedPairs):
    """Random strings to write backwards; options as for all generated pairs."""

    name = "reverse"
    citation = (
        "generated; I. Sutskever, O. Vinyals and Q. V. Le. Sequence to sequence learning with neural networks. NIPS "
        "2014, on why the order of a source matters"
    )

    def target(self, source: str) -> str:
        return source[::-1]
