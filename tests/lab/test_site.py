"""The laboratory's site files hold all that the production configuration includes, and no more."""

from __future__ import annotations

import re
from hashlib import md5
from pathlib import PurePath

import pytest

from bridge.lab.ports import LabPorts
from bridge.lab.site import LabSite, asterisk_conf, globals_file, site_files
from bridge.share import share

SITE = LabSite(LabPorts(300), ami_secret="amisecret", sip_secret="sipsecret")


def test_every_site_file_that_is_included_is_made_or_taken_from_the_example() -> None:
    config = share("config") / "asterisk"
    plans = share("dialplans")
    texts = [f.read_text(encoding="utf-8") for f in [*config.glob("*.conf"), *plans.glob("*.conf")]]
    included = {name for text in texts for name in re.findall(r'#include "site/([^"]+)"', text)}
    example = {file.name for file in (config / "site.example").glob("*.conf")}
    assert len(included) >= 7
    assert included <= set(site_files(SITE)) | example
    assert set(site_files(SITE)) <= example


def test_every_template_that_accounts_use_is_in_the_production_file() -> None:
    text = (share("config") / "asterisk" / "pjsip.conf").read_text(encoding="utf-8")
    templates = set(re.findall(r"^\[([\w-]+)\]\(!\)", text, re.MULTILINE))
    made = "".join(site_files(SITE).values())
    used = set(re.findall(r"^\[[\w-]+\]\(([\w-]+)\)", made, re.MULTILINE))
    assert used == {"seat-sip", "seat-aor", "seat-auth", "peer", "radio", "citizens"}
    assert used <= templates


def test_only_the_loopback_address_is_ever_named() -> None:
    made = "".join(site_files(SITE).values()) + globals_file("", SITE.ports)
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", made)) == {"127.0.0.1"}


def test_telephones_carry_a_digest_and_never_the_secret_itself() -> None:
    made = site_files(SITE)
    assert "sipsecret" not in "".join(made.values())
    for name, file in (("8001", "pjsip_seats.conf"), ("hotline", "pjsip_trunk.conf")):
        digest = md5(f"{name}:asterisk:sipsecret".encode()).hexdigest()
        assert f"username = {name}\npassword_digest = MD5:{digest}\n" in made[file]


def test_ports_of_the_site_are_those_of_its_base() -> None:
    made = site_files(SITE)
    assert "port = 5438" in made["manager_bind.conf"]
    assert "bind = 127.0.0.1:5460" in made["pjsip_transport.conf"]
    assert "rtpstart = 13000\nrtpend = 13999" in made["rtp.conf"]
    assert globals_file("A = b\n", SITE.ports).endswith("A = b\n\nAGI = agi://127.0.0.1:4873\n")


def test_every_directory_of_asterisk_is_below_the_run_directory() -> None:
    text = asterisk_conf(PurePath("/r"), PurePath("/m"))
    places = dict(re.findall(r"^(ast\w+) => (.*)$", text, re.MULTILINE))
    assert places.pop("astmoddir") == "/m"
    assert len(places) == 10
    assert all(place.startswith("/r/") for place in places.values())
    assert "live_dangerously = no" in text


@pytest.mark.parametrize("hostile", ["a\nb", "a;b", "", "a b", "密", "a]"])
def test_names_and_secrets_that_could_change_the_file_are_refused(hostile: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        LabSite(LabPorts(), ami_secret=hostile, sip_secret="x")
    with pytest.raises(ValueError, match="letters and digits"):
        LabSite(LabPorts(), ami_secret="x", sip_secret="x", seats=(hostile,))
