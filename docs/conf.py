"""How `make docs` builds the site, without a network: these pages, the README and its fellows, the notebooks as stored.

The source folder is the project itself, so that a link leads to the same place on the site, on a code host and in
an editor. Why Sphinx, and why no theme of others: docs/decisions/0018-docs-site.md.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"docs", "notebooks", "CHANGELOG.md", "CONTRIBUTING.md", "README.md"}

sys.path.insert(0, str(Path(__file__).with_name("_sphinx")))

project = "casegrade"
author = "casegrade contributors"
# the pages say British English (layout.html); what Sphinx has for it breaks the search
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "folders", "reference", "finish"]
root_doc = "docs/index"
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
# whatever else is in the project is not even looked into: environments and reports have thousands of files
exclude_patterns = [
    *sorted(one.name for one in ROOT.iterdir() if one.name not in PAGES),
    "docs/_*",
    "notebooks/scratch",
    "**/.ipynb_checkpoints",
]

# notebooks are shown as they are stored
nb_execution_mode = "off"
# what makes widgets live is loaded from elsewhere
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [
    ("html", "text/html", 0),
    ("html", "application/vnd.jupyter.widget-view+json", None),
    ("html", "application/javascript", None),
]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_display_short_literal_types = True
python_maximum_signature_line_length = 110
napoleon_use_ivar = True
# docstrings mark code as Markdown does
default_role = "code"

nitpicky = True
# types of other libraries have their pages elsewhere
nitpick_ignore_regex = [(r"py:.*", r"(?!analysis\.)[A-Za-z_]+\..*")]

templates_path = ["_sphinx"]
html_theme = "basic"
html_title = "casegrade"
# the style sheet of the reports, and what only this site needs
html_static_path = ["../src/analysis/publish/templates/page.css", "_sphinx/static"]
html_css_files = ["page.css", "site.css"]
html_additional_pages = {"index": "cover.html"}
html_permalinks = False
html_copy_source = False
html_show_sphinx = False
html_use_index = False
html_domain_indices = False
# a page that is opened from a folder may not read others
html_show_search_summary = False
