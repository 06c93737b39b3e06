"""Daily exchange rates of eight countries."""

from seqmodels.data.formats.files import github_file
from seqmodels.data.formats.series_table import CSVOptions
from seqmodels.data.formats.table import CSVDialect
from seqmodels.data.series.source import PublishedSeries


class ExchangeRateData(PublishedSeries):
    """Exchange rates of 8 countries (columns 0 to 7), 7588 days from 1990 to 2016, without dates.

    Split 70/10/20 as in Autoformer and its successors; LSTNet uses ``split=[0.6, 0.2, 0.2]``.
    """

    name = "exchange_rate"
    folder = "exchange_rate"
    files = (
        github_file(
            "laiguokun/multivariate-time-series-data",
            "exchange_rate/exchange_rate.txt.gz",
            "7f402f185cc2435b5e66aed13a3b560ed142e023",
            546336,
            "0127465b51e3cd3c360f8eb2be30cfd294689a2a55903eb8245aafc396626c7f",
        ),
    )
    citation = (
        "G. Lai et al. Modeling long- and short-term temporal patterns with deep neural networks. SIGIR 2018. "
        "https://arxiv.org/abs/1703.07015"
    )
    license = "not stated"
    options = CSVOptions(dialect=CSVDialect(header=False))
