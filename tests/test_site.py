"""The site of the documents: every page is in it, every link leads somewhere, every key is told."""

import re
from pathlib import Path

import pytest
import yaml

from recsys.config import Study, Training
from recsys.mitigations import MITIGATIONS
from recsys.recommenders import RECOMMENDERS
from tests.kit import site

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "docs"
    assert site.lay_out(ROOT, out) == len(list(out.glob("*.md")))
    return out


def named(entry):
    """The files of an entry of the site's navigation."""
    if isinstance(entry, str):
        return [entry]
    return [name for each in entry for value in each.values() for name in named(value)]


def test_every_page_is_in_the_navigation_once(pages):
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(named(nav)) == sorted(path.name for path in pages.glob("*.md"))


def test_links_lead_to_files_of_the_site(pages):
    for page in pages.glob("*.md"):
        prose = "".join(site.CODE.split(page.read_text(encoding="utf-8"))[::2])
        for link in site.LINK.finditer(prose):
            assert (pages / link[2]).is_file(), (page.name, link[0])


def test_a_link_out_of_the_site_is_an_error():
    with pytest.raises(ValueError, match=r"no page for configs/demo\.yaml"):
        site.linked("[the demo](../configs/demo.yaml)", "docs/")


def test_every_key_of_a_config_is_told_with_its_meaning(pages):
    text = (pages / "configuration.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", text, re.MULTILINE))
    keys = set()
    for model in (Study, Training, *RECOMMENDERS.values(), *MITIGATIONS.values()):
        schema = model.model_json_schema()
        for part in (schema, *schema.get("$defs", {}).values()):
            keys |= set(part.get("properties", ()))
    assert keys == set(rows)
    assert [key for key, meaning in rows.items() if not meaning.strip()] == []
    for name in (*RECOMMENDERS, *MITIGATIONS):
        assert f"\n### {name}\n" in text
