"""Volumes are watched: when they will be full is said before they are."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from lib.shops import static_shop
from lib.tidegate import run_cli, wait_until

STEP_BYTES = 1 << 20


@pytest.fixture(name="volume")
def fixture_volume(tmp_path):
    """A volume of its own, which nobody else fills: memory, in a namespace of mounts that lasts as long as its process."""
    mount = f'mount -t tmpfs -o size=4g tmpfs "{tmp_path}" && echo mounted && exec cat'
    for more in ((), ("--user", "--map-root-user")):    # who is not root here may be there
        with subprocess.Popen(["unshare", *more, "--mount", "sh", "-c", mount], text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
            if holder.stdout.readline() == "mounted\n":
                yield pathlib.Path(f"/proc/{holder.pid}/root{tmp_path}")
                return
    # Neither is allowed: one that somebody else might fill.
    where = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield pathlib.Path(folder)


def volumes(one):
    return {v["path"]: v for v in one.status()["storage"]}


def test_the_volume_of_the_store_is_watched_without_being_named(tidegate, checked):
    one = tidegate(static_shop(checked()))
    seen = wait_until(lambda: [v for v in volumes(one).values() if v["used_bytes"]], 20, "a look")
    usage = shutil.disk_usage(one.folder / "var")
    assert len(seen) == 1 and not seen[0]["configured"]
    assert pathlib.Path(seen[0]["path"]).samefile(one.folder / "var")
    assert abs(seen[0]["size_bytes"] - usage.used - usage.free) < 0.01 * usage.total
    assert "tidegate_volume_used_bytes{path=" in one.metrics()
    told = run_cli("status", cwd=one.folder)
    assert seen[0]["path"] in told.stdout and " are used" in told.stdout
    # It goes on after a restart.
    assert one.stop() == 0
    kept = json.loads((one.folder / "var" / "storage.json").read_text())
    assert [v["path"] for v in kept["volumes"]] == [seen[0]["path"]] and len(kept["volumes"][0]["points"]) >= 2
    (one.folder / "var" / "storage.json").write_text('{"version": 1, "volumes": [{"path": 7, "points": "x"}, 3]}')
    one.start()
    wait_until(lambda: [v for v in volumes(one).values() if v["used_bytes"]], 20, "a look")
    one.stop()
    (one.folder / "var" / "storage.json").write_text("no JSON")
    one.start()
    wait_until(lambda: [v for v in volumes(one).values() if v["used_bytes"]], 20, "a look")
    assert "storage_past_not_read" in one.log()


def test_a_volume_that_fills_is_told_of_before_it_is_full(tidegate, checked, volume):
    usage = shutil.disk_usage(volume)
    total = usage.used + usage.free
    limit = 100 * (usage.used + 600 * STEP_BYTES) / total   # at a step a second: ten minutes
    named = f"storage: [ {{ path: {volume}, full_at: {limit:.9f}%, lead: 1d }} ]"
    one = tidegate(static_shop(checked(), more=named))
    with open(volume / "log", "wb") as log:
        def fills():
            log.write(b"x" * STEP_BYTES)
            log.flush()
            time.sleep(1)
            seen = volumes(one)[str(volume)]
            return seen if seen["state"] != "unknown" and seen["state"] != "fine" else None
        seen = wait_until(fills, 400, "that it fills")
    assert seen["state"] == "grow", "told before it is full"
    assert seen["full_in_s_low"] <= seen["full_in_s"] <= (seen["full_in_s_high"] or seen["full_in_s"])
    assert 0 < seen["full_in_s"] < 3600
    assert seen["growth_bytes_per_s_low"] > 0
    decision = wait_until(lambda: [d for d in one.decisions() if d["kind"] == "storage"], 20, "a decision")[0]
    assert decision["action"] == "grow" and "full at" in decision["reason"]
    assert one.status()["verdict"]["state"] == "attention"
    assert "grow" in run_cli("status", cwd=one.folder).stdout
    # As full as it may get, and then not any more.
    with open(volume / "more", "wb") as more:
        more.truncate(0)
        for _ in range(600):
            more.write(b"x" * STEP_BYTES)
    wait_until(lambda: volumes(one)[str(volume)]["state"] == "full", 60, "that it is full")
    (volume / "more").unlink()
    (volume / "log").unlink()
    wait_until(lambda: volumes(one)[str(volume)]["state"] != "full", 60, "that there is room")


@pytest.mark.parametrize("text, words", [
    ("storage: [{ path: /x, full_at: 0% }]", "full_at: expected more than 0%"),
    ("storage: [/x, /x]", "storage: '/x' is there twice"),
    ("storage: [{ full_at: 50% }]", "path"),
])
def test_nonsense_is_refused(checked, tmp_path, text, words):
    config = static_shop(checked(), more=text).replace("{port}", "0").replace("{admin}", "0")
    (tmp_path / "shop.yaml").write_text(config)
    done = run_cli("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1 and words in done.stdout + done.stderr
