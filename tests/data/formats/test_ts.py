"""The ``.ts`` reader: what a file spells, and errors that say where."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seqmodels.data.formats.archives.ts import parse_ts

HEADER = "# a comment\n@problemName Own\n@timeStamps false\n@univariate false\n@classLabel true a b\n@data\n"
TWO = HEADER + "1,2,3:4,5,6:a\n\n7.5,8:-9e0,10:b\n"


def test_cases_of_different_lengths_read_as_they_are_written() -> None:
    file = parse_ts(TWO, "own.ts")
    assert file.class_names == ("a", "b")
    assert file.labels == ["a", "b"]
    assert torch.equal(file.series[0], torch.tensor([[1, 4], [2, 5], [3, 6]], dtype=torch.float64))
    assert torch.equal(file.series[1], torch.tensor([[7.5, -9], [8, 10]], dtype=torch.float64))


@pytest.mark.parametrize("change", [("\n", "\r\n"), ("# a comment", "\ufeff# a comment"), ("@data", "@DATA  ")])
def test_line_ends_byte_order_marks_and_the_case_of_tags_change_nothing(change: tuple[str, str]) -> None:
    file = parse_ts(TWO.replace(*change), "own.ts")
    assert file.labels == ["a", "b"]
    assert [len(series) for series in file.series] == [3, 2]


def test_target_numbers_are_labels_without_classes() -> None:
    file = parse_ts("@classLabel false\n@targetlabel true\n@data\n1,2:3,4:-0.5\n5,6:7,8:1e3\n", "own.ts")
    assert (file.numeric, file.class_names, file.labels) == (True, (), ["-0.5", "1e3"])
    assert file.places == ["own.ts, line 4", "own.ts, line 5"]
    assert file.series[1].tolist() == [[5, 7], [6, 8]]


@pytest.mark.parametrize("comment", ["# one", "% two", "  #1,2:3,4:a", "%"])
def test_comments_anywhere_change_nothing(comment: str) -> None:
    with_comments = "\n".join(line for content in TWO.split("\n") for line in (comment, content, comment))
    file, plain = parse_ts(with_comments, "own.ts"), parse_ts(TWO, "own.ts")
    assert file.labels == plain.labels
    assert all(map(torch.equal, file.series, plain.series))


def test_cases_without_classes_have_no_labels() -> None:
    file = parse_ts("@classLabel false\n@data\n1,2\n3\n", "own.ts")
    assert (file.class_names, file.labels, [len(series) for series in file.series]) == ((), [], [2, 1])


@pytest.mark.parametrize("unknown", ["?", "NaN", " ? "])
def test_a_missing_value_is_an_error_unless_filling_in_is_asked_for(unknown: str) -> None:
    text = HEADER + "1,2,3,4:5,6,7,8:a\n" + f"{unknown},2,{unknown},8:0,0,0,{unknown}:b\n"
    with pytest.raises(
        ValueError, match=r"own.ts, line 8, dimension 1: value 1 is missing; training with data.missing=interpolate"
    ):
        parse_ts(text, "own.ts")
    filled = parse_ts(text, "own.ts", missing="interpolate").series[1]
    assert filled.T.tolist() == [[2, 2, 5, 8], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "own.ts has no line @data"),
        ("1,2:a\n", "line 1: a header has tags that start with @ up to @data, got '1,2:a'"),
        (HEADER, "own.ts has no cases after @data"),
        (HEADER + "1,2:3,4\n1:2:a", "line 7: the class must be one of a, b, got '3,4'"),
        (HEADER + "a\n", "line 7: must have 1 dimensions and a class, got 0"),
        (HEADER + "1,2:3,4:c\n", "line 7: the class must be one of a, b, got 'c'"),
        (HEADER + "1,2:3,4:a\n1,2:b\n", "line 8: must have 2 dimensions and a class, got 1"),
        ("@dimensions 3\n" + HEADER + "1:2:a\n", "line 8: must have 3 dimensions and a class, got 2"),
        (HEADER + "1,2:3:a\n", "line 7, dimension 2: has 1 values, dimension 1 has 2"),
        (HEADER + "1,x:3,4:a\n", "line 7, dimension 1, value 2: must be a finite number, or .*, got 'x'"),
        (HEADER + "1,2:3,inf:a\n", "line 7, dimension 2, value 2: .*got 'inf'"),
        (HEADER + "1,:3,4:a\n", "line 7, dimension 1, value 2: .*got ''"),
        (HEADER + "1_0,2:3,4:a\n", "line 7, dimension 1, value 1: .*got '1_0'"),
        ("@seriesLength 3\n" + HEADER + "1,2:3,4:a\n", "line 8: must have 3 values, as @seriesLength says, got 2"),
        ("@seriesLength many\n" + HEADER, "line 1: @serieslength must be followed by a positive whole number"),
        ("@timeStamps true\n@data\n1\n", "line 1: series with timestamps are not read"),
        ("@targetLabel true\n@data\n1:x\n", "line 3: the target must be a finite number, got 'x'"),
        ("@targetLabel true\n@data\n1:?\n", r"line 3: the target must be a finite number, got '\?'"),
        ("@targetLabel true\n@classLabel true a\n@data\n1:2\n", "line 3: the header says both classes"),
        ("@missing perhaps\n@data\n1\n", "line 1: @missing must be followed by true or false, got 'perhaps'"),
        ("@classLabel true\n@data\n1\n", "line 1: @classLabel true must be followed by the names"),
        ("@classLabel true a a\n@data\n1:a\n", "line 1: @classLabel true names a class twice"),
    ],
)
def test_what_is_no_whole_file_is_refused_by_line(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^own.ts.*{reason.removeprefix('own.ts')}"):
        parse_ts(text, "own.ts")


def test_a_dimension_without_any_value_cannot_be_filled_in() -> None:
    with pytest.raises(ValueError, match="line 7, dimension 2: all values are missing"):
        parse_ts(HEADER + "1,2:?,?:a\n", "own.ts", missing="interpolate")


def test_an_unknown_way_to_treat_missing_values_is_refused() -> None:
    with pytest.raises(ValueError, match="missing must be one of error, interpolate, got 'zero'"):
        parse_ts(TWO, "own.ts", missing="zero")  # type: ignore[arg-type]


@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-1e300, 1e300)))
def test_numbers_written_out_in_full_come_back_bit_by_bit(case: np.ndarray) -> None:
    line = ":".join(",".join(map(repr, column)) for column in case.T.tolist())
    (read,) = parse_ts(f"@classLabel false\n@data\n{line}\n", "own.ts").series
    assert read.tolist() == case.tolist()


@given(st.text(alphabet="@ab01.,:?-\n #e", max_size=60))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    try:
        file = parse_ts(f"{HEADER}{text}", "own.ts", missing="interpolate")
    except ValueError as error:
        assert str(error).startswith("own.ts")  # noqa: PT017
    else:
        assert all(math.isfinite(float(series.sum())) for series in file.series)
