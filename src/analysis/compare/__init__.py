"""Every published number is computed in this package and nowhere else.

This file stays free of imports: `analysis.compare` is also the name of the public
function, and `analysis/__init__.py` binds it after this package has been loaded.
"""
