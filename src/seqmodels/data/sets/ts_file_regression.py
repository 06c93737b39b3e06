"""Series and target numbers from your own ``.ts`` or ``.arff`` files."""

from seqmodels.data.labelled.series_source import SeriesFiles


class TSFileRegressionData(SeriesFiles):
    """Series with one target number each, as in the archive of extrinsic regression (https://tseregression.org).

    The target is standardised for training; predictions and metrics are in its unit. Options as for all files of
    series.
    """

    name = "ts_file_regression"
    target_kind = "regression"
