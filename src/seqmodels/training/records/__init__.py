"""What is in the folders of runs, read without torch, Lightning and Hydra."""
