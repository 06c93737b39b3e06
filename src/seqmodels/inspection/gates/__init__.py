"""Gates and states of any cell over a sequence: their values, their saturation, what single units follow."""
