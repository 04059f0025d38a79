"""What README and docs tell somebody to copy: examples that are good, options that exist, links that lead somewhere."""
import functools
import json
import re
import subprocess

import pytest

from lib.certificates import Authority
from lib.tidegate import ROOT, run_cli

LISTED = subprocess.run(["git", "ls-files", "--", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
PAGES = sorted(LISTED.stdout.split() or (str(path.relative_to(ROOT)) for folder in ("docs", "bench", "examples")
                                         for path in (ROOT / folder).rglob("*.md")))
READ = [page for page in PAGES if page == "README.md" or re.fullmatch(r"(docs|examples/shop)/[^/]*", page)]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
VERBS = ["audit", "backtest", "campaign", "check", "forecast", "maintenance", "reload", "replay", "run", "simulate", "status",
         "token", "top", "upgrade"]


@functools.lru_cache(None)
def text_of(page):
    return (ROOT / page).read_text()


# ---- configurations ----

def configurations():
    """(page:line, text) of each block of YAML that is for Tidegate."""
    return [(f"{page}:{text_of(page)[:block.start()].count(chr(10)) + 1}", block.group(2))
            for page in READ for block in BLOCK.finditer(text_of(page))
            if block.group(1) == "yaml" and not block.group(2).startswith("scrape_configs:")]


def whole(text):
    """A shop.yaml around an excerpt: with the services that it names, a route and a listener, where it shows none."""
    if text.startswith("  - "):
        text = "routes:\n" + text
    if not re.search(r"^services:", text, re.MULTILINE):
        named = set(re.findall(r"\bservice: (\w+)", text))
        for weights in re.findall(r"\bsplit: \{(.*?)\}", text):
            named.update(re.findall(r"(\w+):", weights))
        text += "services:\n" + "".join(f'  {name}: {{ fleet: static, endpoints: ["127.0.0.1:9"] }}\n'
                                        for name in sorted(named or {"storefront"}))
    if not re.search(r"^routes:", text, re.MULTILINE):
        first = re.search(r"^services:\n  (\w+):", text, re.MULTILINE).group(1)
        text += f"routes: [ {{ path: /, service: {first} }} ]\n"
    if not re.search(r"^listen:", text, re.MULTILINE):
        text += 'listen: [ { address: ":8080" } ]\n'
    return re.sub(r"\buser: (tidegate|shop)\b", "user: nobody", text)


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory):
    """A folder with every file that an example names."""
    folder = tmp_path_factory.mktemp("documents")
    authority = Authority(folder / "authority")
    authority.folder = folder
    for file, kind in (("shop-ecdsa", "ecdsa"), ("shop-rsa", "rsa"), ("partners", "ecdsa"), ("gate", "ecdsa")):
        authority.issue("shop.example", kind=kind, file=file)
    chain, _ = authority.issue("*.shop.example", file="wildcard")
    authority.ocsp(chain).rename(folder / "wildcard.ocsp")
    authority.revocations().rename(folder / "partners.crl")
    for name in ("partners-ca.pem", "internal-ca.pem", "authorities.pem"):
        (folder / name).write_bytes(authority.ca.read_bytes())
    calendars = {block.group(1): block.group(2) for page in READ for block in BLOCK.finditer(text_of(page))
                 if block.group(1) in ("csv", "ics")}
    (folder / "campaigns.csv").write_text(calendars["csv"])
    (folder / "campaigns.ics").write_text(calendars["ics"])
    (folder / "customers.csv").write_text("customer,expected_value\nann,12.50\n")
    (folder / "calendar.key").write_text("Bearer of-a-calendar\n")
    (folder / "calendar.key").chmod(0o600)
    (folder / "staff.htpasswd").write_text("ann:$2y$10$" + "a" * 53 + "\n")
    (folder / "jwks.json").write_text(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0" * 8, "alg": "HS256"}]}))
    (folder / "pages").mkdir()
    for name in ("404", "sorry", "maintenance"):
        (folder / "pages" / f"{name}.html").write_text("<p>Sorry.</p>\n")
    return folder


@pytest.mark.parametrize("place, text", configurations(), ids=lambda value: value if ".md:" in value[:60] else "")
def test_a_configuration_of_the_documents_is_good(place, text, shop_folder):
    path = shop_folder / "shop.yaml"
    path.write_text(whole(text))
    done = run_cli("check", path, cwd=shop_folder)
    assert done.returncode == 0, f"{place}\n{done.stdout}{done.stderr}\n{path.read_text()}"


# ---- commands ----

@functools.lru_cache(None)
def options_of(verb):
    """What its help names, `tidegate VERB OTHER` included."""
    return set(re.findall(r"--[a-z-]+", run_cli(verb, "--help").stdout))


def commands():
    """(page, verb, the rest of the line) of each `tidegate VERB …` in a line of code."""
    for page in READ:
        fenced = False
        for line in text_of(page).splitlines():
            fenced ^= line.startswith("```")
            for each in [line] if fenced or line.startswith("    ") else re.findall(r"`([^`]*)`", line):
                for part in re.split(r"&&|\|", each.split(" #")[0]):
                    found = re.search(rf"(?:^|[ /])tidegate ({'|'.join(VERBS)})\b(.*)", part)
                    if found:
                        yield page, found.group(1), found.group(2)


def test_the_options_of_the_documents_exist():
    wrong = [f"{page}: tidegate {verb} has no {option}" for page, verb, rest in commands()
             for option in re.findall(r"--[a-z-]+", rest) if option not in options_of(verb)]
    assert not wrong, "\n".join(wrong)
    assert {verb for _, verb, _ in commands()} == set(VERBS), "every verb is shown somewhere"


# ---- links ----

def anchors(page):
    """As a forge makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(BLOCK, "", text_of(page)), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", each).strip().lower() for each in headings)
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in plain}


def test_links_lead_somewhere():
    wrong = []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(BLOCK, "", text_of(page))):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (ROOT / page).parent / name if name else ROOT / page
            if not target.exists():
                wrong.append(f"{page}: {link} is not there")
            elif anchor and anchor not in anchors(str(target.resolve().relative_to(ROOT))):
                wrong.append(f"{page}: no heading for {link}")
    assert not wrong, "\n".join(wrong)
