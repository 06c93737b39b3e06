"""Labelled series and images: from files to scaled tensors with their targets."""
