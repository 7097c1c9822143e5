"""mat: one variable of a MAT-file of version 5 to 7.2."""
