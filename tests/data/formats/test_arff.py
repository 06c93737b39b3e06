"""The ``.arff`` reader: the same series as in the ``.ts`` format, and errors that say where."""

import pytest
import torch

from seqmodels.data.formats.archives.arff import arff_cases
from seqmodels.data.formats.archives.cases import Missing, SeriesFile, parse_cases
from seqmodels.data.formats.archives.ts import parse_ts

UNIVARIATE = (
    "% of Weka\n@Relation 'own'\n@attribute t0 numeric\n@ATTRIBUTE t1 REAL\n@attribute target {a,'b c'}\n@data\n"
)

RELATIONAL = (
    "@relation own\n@attribute bag relational\n@attribute t0 numeric\n@attribute t1 numeric\n@attribute t2 numeric\n"
    "@end bag\n@attribute 'the class' {a,b}\n@data\n"
)


def parse_arff(text: str, name: str, *, missing: Missing = "error") -> SeriesFile:
    return parse_cases(arff_cases(text, name), missing=missing)


def test_univariate_cases_are_rows_of_steps() -> None:
    file = parse_arff(UNIVARIATE + "1,-2.5,a\n% between\n\n3, 4 ,'b c'\n", "own.arff")
    assert (file.class_names, file.labels) == (("a", "b c"), ["a", "b c"])
    assert [series.tolist() for series in file.series] == [[[1], [-2.5]], [[3], [4]]]
    assert file.places == ["own.arff, line 7", "own.arff, line 10"]


@pytest.mark.parametrize("quote", ["'", '"'])
def test_relational_cases_are_those_of_the_ts_format(quote: str) -> None:
    file = parse_arff(RELATIONAL + rf"{quote}1,2,3\n4,5,6{quote},b" + "\n", "own.arff")
    other = parse_ts("@classLabel true a b\n@data\n1,2,3:4,5,6:b\n", "own.ts")
    assert (file.class_names, file.labels) == (other.class_names, other.labels)
    assert all(map(torch.equal, file.series, other.series))


def test_missing_values_at_the_end_of_every_dimension_end_a_series_and_others_are_missing() -> None:
    text = RELATIONAL + r"'1,2,?\n4,5,?',a" + "\n" + r"'1,?,3\n4,5,?',b"
    file = parse_arff(text, "own.arff", missing="interpolate")
    assert [series.T.tolist() for series in file.series] == [[[1, 2], [4, 5]], [[1, 2, 3], [4, 5, 5]]]
    with pytest.raises(ValueError, match="line 10, dimension 1: value 2 is missing"):
        parse_arff(text, "own.arff")


@pytest.mark.parametrize(("last", "labels"), [("target", ["5"]), ("Class", ["5"]), ("t2", [])])
def test_a_last_number_is_the_target_if_it_is_called_so(last: str, labels: list[str]) -> None:
    text = f"@attribute t0 numeric\n@attribute t1 numeric\n@attribute {last} numeric\n@data\n3,4,5\n"
    file = parse_arff(text, "own.arff")
    assert (file.numeric, file.class_names, file.labels) == (bool(labels), (), labels)
    assert len(file.series[0]) == 3 - len(labels)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "own.arff has no line @data"),
        ("1,2\n", "line 1: a header has @relation and @attribute up to @data, got '1,2'"),
        ("@attribute t0\n@data\n", "line 1: an attribute must have a name and a type"),
        ("@attribute y {a,b}\n@data\n", "line 2: no attribute has the values of a series"),
        ("@attribute y {a,b\n", "line 1: the classes of 'y' must end with }"),
        ("@attribute y {a,a}\n", "line 1: the attribute 'y' names a class twice"),
        (
            "@attribute w {x,y}\n@attribute y {a}\n@data\nx,a\n",
            "the attribute 'w' is nominal, but a series has numeric",
        ),
        ("@attribute d date 'yyyy'\n@attribute y {a}\n@data\n1,a\n", "the attribute 'd' is date"),
        (UNIVARIATE, "own.arff has no cases after @data"),
        (UNIVARIATE + "{0 1}\n", "line 7: sparse rows are not read"),
        (UNIVARIATE + "1,2\n", "line 7: 2 fields, but there are 3 attributes"),
        (UNIVARIATE + "1,2,c\n", "line 7: the class must be one of a, b c, got 'c'"),
        (UNIVARIATE + "1,x,a\n", "line 7, dimension 1, value 2: must be a finite number, or .*, got 'x'"),
        (UNIVARIATE + "1,2,'b c'd\n", "line 7: 4 fields|line 7: the class must be"),
        (RELATIONAL + r"'1,2\n3',a", "line 9, dimension 2: has 1 values, dimension 1 has 2"),
    ],
)
def test_what_is_no_whole_file_is_refused_by_line(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"own.arff.*({reason.removeprefix('own.arff')})"):
        parse_arff(text, "own.arff")
