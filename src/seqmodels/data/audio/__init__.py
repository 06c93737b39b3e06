"""Recordings of sound: reading, resampling, spectral features, augmentation, and their cache."""
