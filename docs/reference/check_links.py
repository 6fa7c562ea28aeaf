#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""check_links.py SITE: reports links of a site that lead to no file, or to no element of a page."""
import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src"):
                self.links.append(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)


site = pathlib.Path(sys.argv[1]).resolve()
pages = {path: Page(path) for path in site.rglob("*.html")}
wrong = 0
if site / "index.html" not in pages:
    sys.exit(f"check_links: there is no {site}/index.html")
for path, page in pages.items():
    for link in page.links:
        url = urllib.parse.urlsplit(link)
        if url.scheme or url.netloc:
            continue
        target = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
        missing = not target.is_file() or (
            url.fragment and target in pages and url.fragment not in pages[target].anchors
        )
        if missing:
            print(f"{path.relative_to(site)}: dead link: {link}", file=sys.stderr)
            wrong += 1
sys.exit(wrong > 0)
