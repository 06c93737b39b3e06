"""Surnames from 18 languages: classify the language of a name."""

from seqmodels.data.formats.files import DataFile, load
from seqmodels.data.formats.strict_text import decoded
from seqmodels.data.raw import LabelledTexts, Splits
from seqmodels.data.splitting import split_random
from seqmodels.data.text.sources import PublishedTexts

MIRROR = "https://raw.githubusercontent.com/spro/practical-pytorch/master/data/names/"
TEST_SHARE, VAL_SHARE = 0.15, 0.1  # the second is of the remainder
LANGUAGES = {
    "Arabic": (13190, "6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc"),
    "Chinese": (1246, "09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465"),
    "Czech": (3916, "e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7"),
    "Dutch": (2351, "924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3"),
    "English": (27125, "9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2"),
    "French": (2178, "81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95"),
    "German": (5610, "7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db"),
    "Greek": (1981, "3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6"),
    "Irish": (1858, "cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058"),
    "Italian": (5657, "f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4"),
    "Japanese": (7622, "e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f"),
    "Korean": (423, "cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136"),
    "Polish": (1165, "45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826"),
    "Portuguese": (554, "50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53"),
    "Russian": (85168, "0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c"),
    "Scottish": (752, "78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd"),
    "Spanish": (2284, "1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7"),
    "Vietnamese": (339, "f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d"),
}


class NamesData(PublishedTexts):
    """20050 surnames in 18 files, one per line: 15338 train, 1704 val, 3008 test, drawn by ``data_seed``.

    Lines are drawn, as in the tutorial the names are from: a name that occurs twice in a file, as most Arabic ones do,
    or in two files, may be in several splits.
    """

    name = "names"
    folder = "names"
    files = tuple(
        DataFile(f"names/{language}.txt", size, sha256, (f"{MIRROR}{language}.txt",))
        for language, (size, sha256) in LANGUAGES.items()
    )
    citation = "S. Robertson. Practical PyTorch: classifying names with a character-level RNN. 2017"
    license = "MIT"

    def splits(self) -> Splits[LabelledTexts]:
        every = LabelledTexts([], [], [])
        for language, file in zip(LANGUAGES, self.files, strict=True):
            for number, line in enumerate(decoded(load(self.set_folder, file), file.name).splitlines(), start=1):
                if line.strip():
                    every.texts.append(line.strip())
                    every.labels.append(language)
                    every.places.append(f"{file.name}, line {number}")
        rows = len(every.texts)
        test = round(TEST_SHARE * rows)
        val = round(VAL_SHARE * (rows - test))
        tested, validated, trained = (every.take(part) for part in split_random(rows, (test, val), self.data_seed))
        return Splits(trained, validated, tested)
