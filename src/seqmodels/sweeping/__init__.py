"""Searching for hyperparameters: one study, shared by any number of processes, driven by optuna.

Nothing here knows Hydra: a trial is a list of overrides and a folder, handed to a function that trains.
"""
