"""What mkdocs has to know of this tree: pages that are not in docs/, and how forges make anchors."""

import os
import re

from mkdocs.structure.files import File

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Beside docs/: what its pages link to.
FILES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"]
FOLDERS = ["examples", "include"]


def slug(text, separator):
    """The anchor of a heading, as scripts/check-links has it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", separator)


def on_config(config):
    config["mdx_configs"]["toc"] = {"slugify": slug}
    return config


def outside():
    yield from FILES
    for folder in FOLDERS:
        for path, folders, names in os.walk(os.path.join(ROOT, folder)):
            folders[:] = [name for name in folders if name != "build"]
            for name in sorted(names):
                yield os.path.relpath(os.path.join(path, name), ROOT)


def on_files(files, config):
    for file in [file for file in files if file.src_path.endswith((".py", ".pyc"))]:
        files.remove(file)
    for path in outside():
        files.append(File(path, ROOT, config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown, page, config, files):
    """docs/ is the site's top, so that README.md and docs/ stand beside each other."""
    depth = page.file.src_path.count("/")
    if page.file.src_path in FILES:
        return markdown.replace("](docs/", "](")
    if depth > 0:
        return markdown.replace("](" + "../" * depth + "docs/", "](" + "../" * depth)
    return markdown.replace("](../", "](")
