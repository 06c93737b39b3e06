"""Text as tokens: vocabularies, labelled texts, windows for language models."""
