"""How Sphinx builds these pages: Markdown through MyST, warnings are errors (`tools/check`)."""

project = "talkinghead"
author = "the talkinghead authors"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "talkinghead"
html_show_copyright = False
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
