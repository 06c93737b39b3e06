"""The formats of the UCR and UEA archives of labelled series."""
