"""Sphinx reads this to render the documents: `make docs`."""

import ferrnn

project = "ferrnn"
author = "The ferrnn developers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx' name
release = version = ferrnn.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

# Docstrings put code between single backticks, as Markdown does.
default_role = "code"
autodoc_default_options = {"members": True, "show-inheritance": True}
# Heavy, and not needed to say what functions of ferrnn do.
autodoc_mock_imports = ["dask", "distributed", "ray"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_title = f"ferrnn {release}"
html_copy_source = False
