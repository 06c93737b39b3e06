"""Recordings as data: your own folders and tables, unusable files, the cache, the published sets."""

from pathlib import Path
from typing import Any

import pytest
import torch

from seqmodels.config.build import build
from seqmodels.data import (
    AudioFolderData,
    AudioPreparation,
    AudioTranscriptsData,
    CharacterLearner,
    DataModule,
    FSDDData,
    Loading,
    LogMel,
    Noise,
    Recordings,
    Shift,
    SpeechPreparation,
    WordLearner,
    YesNoData,
)
from seqmodels.data.audio.preparation import ngram_counts
from tests.sounds import RATE, tone, wav_bytes, write_wav

SMALL = LogMel(bands=6)
PITCH = {"low": 300.0, "high": 1200.0}


def folder(place: Path, rows: int = 6) -> Path:
    for label, frequency in PITCH.items():
        for row in range(rows):
            write_wav(place / label / f"{row}.wav", tone(frequency + 20 * row, 0.05 + 0.01 * row))
    return place


def table(place: Path, texts: list[str], suffix: str = "csv") -> Path:
    lines = ["file,text"]
    for row, text in enumerate(texts):
        write_wav(place / "clips" / f"{row}.wav", tone(400 + 50 * row, 0.08))
        lines.append(f"clips/{row}.wav,{text}")
    path = place / f"table.{suffix}"
    path.write_text("\n".join(lines) + "\n")
    return path


def of_folder(place: Path, **options: Any) -> DataModule:
    options = {"features": SMALL, "cache_dir": place.parent / "cache", **options}
    return DataModule(AudioFolderData(path=place, val_share=0.25), AudioPreparation(**options), Loading(batch_size=3))


def of_table(path: Path, **options: Any) -> DataModule:
    learner = CharacterLearner()
    options = {"features": SMALL, "cache_dir": path.parent / "cache", "vocabulary": learner, **options}
    source = AudioTranscriptsData(path=path, val_share=0.25, test_share=0.25)
    return DataModule(source, SpeechPreparation(**options), Loading(batch_size=2))


def test_a_folder_of_classes_becomes_standardised_features(tmp_path: Path) -> None:
    data = of_folder(folder(tmp_path / "wavs"))
    data.setup()
    assert data.class_names == ("high", "low")
    assert data.sizes == {"input_size": 6, "output_size": 2}
    values = data.split("train").values
    torch.testing.assert_close(values.mean(0), torch.zeros(6), rtol=0, atol=1e-4)
    torch.testing.assert_close(values.std(0, correction=0), torch.ones(6), rtol=0, atol=1e-3)
    assert data.preprocessing["features"]["sample_rate"] == 4000


def test_features_are_computed_once_for_the_same_content_and_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder(tmp_path / "wavs")
    first = of_folder(place)
    first.setup()
    place.rename(tmp_path / "moved")
    again = of_folder(tmp_path / "moved")
    with monkeypatch.context() as patch:
        patch.setattr("seqmodels.data.audio.preparation.extracted", None)
        again.setup()
        assert torch.equal(again.split("train").values, first.split("train").values)
    other = sorted((tmp_path / "cache").glob("*.safetensors"))[0]
    other.write_bytes(other.read_bytes()[:50])
    damaged = of_folder(tmp_path / "moved")
    damaged.setup()
    assert torch.equal(damaged.split("train").values, first.split("train").values)
    changed = of_folder(tmp_path / "moved", features=LogMel(bands=5))
    changed.setup()
    assert changed.sizes["input_size"] == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is an empty file"), (wav_bytes(torch.zeros(400)), "is silent"), (b"text", "cannot be read as sound")],
)
def test_an_unusable_recording_is_named_or_dropped_and_counted(tmp_path: Path, content: bytes, message: str) -> None:
    place = folder(tmp_path / "wavs", rows=8)
    for row in range(8):
        if row % 2:
            (place / "low" / f"{row}.wav").write_bytes(content)
    with pytest.raises(ValueError, match=rf"the train split: .*low/\d.wav {message}.*data.unusable=drop"):
        of_folder(place).setup()
    place = place.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=rf"the train split: .*moved/low/\d.wav {message}"):  # though it is known
        of_folder(place).setup()
    data = of_folder(place, unusable="drop")
    data.setup()
    assert sum(part["dropped"] for part in data.prepared.counts.values()) == 4
    splits = [data.split(name) for name in ("train", "val", "test")]
    assert sum(len(split) for split in splits) == 12
    assert sum(int((split.targets == data.class_names.index("low")).sum()) for split in splits) == 4


def test_other_rates_and_channels_are_converted_or_refused(tmp_path: Path) -> None:
    place = folder(tmp_path / "wavs")
    write_wav(place / "low" / "0.wav", torch.stack([tone(300, 0.5, 8000)] * 2, 1), 8000)
    data = of_folder(place, features=LogMel(bands=6, sample_rate=4000))
    data.setup()
    longest = max(int(data.split(name).lengths.max()) for name in ("train", "val", "test"))
    assert longest == 1 + 2000 // 40
    with pytest.raises(ValueError, match=r"low/0.wav has 2 channels, and data.convert=false takes one"):
        of_folder(place, features=LogMel(bands=6, sample_rate=4000), convert=False).setup()


def test_changed_sounds_make_other_features_in_every_epoch_and_only_in_training(tmp_path: Path) -> None:
    plain = of_folder(folder(tmp_path / "wavs"))
    changed = of_folder(tmp_path / "wavs", waveform={"shift": Shift(seconds=0.01), "noise": Noise()})
    for data in (plain, changed):
        data.setup()
    loader = changed.train_dataloader()
    first, second = next(iter(loader)), next(iter(changed.train_dataloader()))
    assert torch.equal(first.inputs, second.inputs), "seed and epoch decide"
    loader.batch_sampler.sampler.epoch = 1  # type: ignore[attr-defined]
    batches = [*loader, *changed.train_dataloader()]
    rows = {row.sum().item() for batch in batches for row in batch.inputs}
    assert len(rows) == 2 * len(changed.split("train"))
    val, unchanged = (next(iter(data.val_dataloader())).inputs for data in (changed, plain))
    assert torch.equal(val, unchanged)
    assert len(changed.split("train").joined([changed.split("val")]).sounds.samples) == len(rows) // 2 + 3


def test_a_table_of_transcripts_becomes_tokens(tmp_path: Path) -> None:
    data = of_table(table(tmp_path, ["ab", "ba", "aab", "b", "abc", "cab", "a b", "ccc"]), ngram=2)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.spoken == []
    assert (batch.targets[0, : batch.target_lengths[0]] > 0).all()
    spoken = next(iter(data.val_dataloader())).spoken
    assert all(place.startswith(str(tmp_path / "clips")) for place, *_ in spoken)
    assert data.sizes["output_size"] == len(data.preprocessing["vocabulary"]["tokens"])
    assert data.preprocessing["ngram_order"] == 2
    assert ngram_counts([[2, 3, 2]], 3) == {"2": 2, "2 3": 1, "2 3 2": 1, "3": 1, "3 2": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("clips/0.wav,", r"table.csv, line 10: there is no transcript of .*clips/0.wav"),
        (",word", r"table.csv, line 10: the column file names no file"),
        ("clips/none.wav,word", r"clips/none.wav cannot be read: No such file"),
        ("clips/0.wav,word,more", r"table.csv, line 10: 3 fields, but there are 2 columns"),
    ],
)
def test_a_row_without_a_transcript_or_a_recording_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = table(tmp_path, ["ab", "ba", "aab", "b", "abc", "cab", "a b", "ccc"])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=message):
        of_table(path).setup()


@pytest.mark.parametrize(
    ("rows", "unusable", "message"),
    [
        (1, False, "the val split is empty$"),
        (4, True, "the train split is empty: none of its recordings can be used"),
    ],
)
def test_a_split_without_recordings_is_named(tmp_path: Path, rows: int, unusable: bool, message: str) -> None:
    path = table(tmp_path, ["ab", "ba", "aab", "b"][:rows])
    for wav in (tmp_path / "clips").iterdir() if unusable else ():
        wav.unlink()
    with pytest.raises(ValueError, match=message):
        of_table(path, unusable="drop", features=LogMel(bands=6, sample_rate=RATE)).setup()


def test_conversions_and_unknown_units_of_new_recordings_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    data = of_table(table(tmp_path, ["ab", "ba", "aab", "b", "abc", "cab", "a b", "ccc"]))
    data.setup()
    fitted = build(data.preprocessing)
    write_wav(tmp_path / "new" / "clips" / "0.wav", tone(400, 0.08, 2 * RATE), 2 * RATE)
    write_wav(tmp_path / "new" / "clips" / "1.wav", tone(400, 0.08))
    new = tmp_path / "new" / "table.csv"
    new.write_text("file,text\nclips/0.wav,ab\nclips/1.wav,xab\n")
    caplog.clear()
    fitted.labelled(fitted.read(str(new)), ())
    first, second = (record.getMessage() for record in caplog.records)
    assert first == f"input: 1 recordings have several channels or not {RATE} Hz, and are averaged and resampled"
    assert second.startswith("input: 1 transcripts have units that the vocabulary lacks")
    assert "clips/1.wav" in second


def test_a_missing_column_or_class_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, ["a", "b"])
    path.write_text(path.read_text().replace("file,text", "file,tex"))
    with pytest.raises(ValueError, match=r"has no column 'text'; did you mean 'tex'\?"):
        AudioTranscriptsData(path=path).splits()
    write_wav(tmp_path / "one" / "low" / "0.wav", tone(300))
    with pytest.raises(ValueError, match=r"one must hold at least two folders with sound files"):
        AudioFolderData(path=tmp_path / "one").splits()
    with pytest.raises(ValueError, match=r"none is no folder"):
        AudioFolderData(path=tmp_path / "none").splits()


def test_the_published_splits_of_fsdd(data_dir: Path) -> None:
    train, val, test = FSDDData(data_dir=data_dir)
    assert [len(part.files) for part in (train, val, test)] == [1620, 180, 200]
    assert sorted(set(train.labels)) == list("0123456789")
    places = [file.place for part in (train, val) for file in part.files]
    assert not any(int(place.rpartition("_")[2].removesuffix(".wav")) < 5 for place in places)
    out = FSDDData(data_dir=data_dir, test_speaker="theo", val_share=0).splits()
    assert out.test is not None
    assert {file.place.split("_")[-2] for file in out.test.files} == {"theo"}
    assert (len(out.train.files), len(out.test.files)) == (1500, 500)
    with pytest.raises(ValueError, match=r"test_speaker=teo: there is no such speaker; did you mean 'theo'"):
        FSDDData(data_dir=data_dir, test_speaker="teo").splits()


def test_the_last_thirty_of_yesno_are_the_test(data_dir: Path) -> None:
    train, val, test = YesNoData(data_dir=data_dir)
    assert [len(part.files) for part in (train, val, test)] == [24, 6, 30]
    assert max(file.place for file in train.files) < min(file.place for file in test.files)
    assert test.files[-1].place.endswith("1_1_1_1_1_1_1_1.wav")
    assert test.labels[-1] == " ".join(["yes"] * 8)
    assert isinstance(test, Recordings)
    assert len(WordLearner(min_frequency=1).learn(train.labels)) == 4
