"""Which steps and features of its input a model's answer rests on."""
