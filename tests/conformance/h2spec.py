"""Runs h2spec against one worker and reads its report. usage: h2spec.py BINARY [H2SPEC OPTION…]"""
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from lib.proxy import Proxy, Service  # noqa: E402


def large(one):
    """Answers with more than a window, so that no test is left out for want of a body."""
    while True:
        one.read_request()
        one.answer(b"h2spec " * 20_000)


def main(binary, options):
    with tempfile.TemporaryDirectory() as folder, Service(large) as service, Proxy(service.port) as proxy:
        report = pathlib.Path(folder) / "report.xml"
        done = subprocess.run([binary, "-h", "127.0.0.1", "-p", str(proxy.port), "--strict", "-j", str(report),
                               *options], timeout=300, check=False, stdout=subprocess.PIPE, text=True)
        tests = list(xml.parse(report).getroot().iter("testcase"))
    failed = [test for test in tests if test.find("failure") is not None or test.find("error") is not None]
    skipped = [test for test in tests if test.find("skipped") is not None]
    if failed or done.returncode != 0:
        print(done.stdout)
    for test in skipped:
        print(f"skipped by h2spec: {test.get('package')} {test.get('classname')}")
    print(f"{len(tests) - len(failed) - len(skipped)} passed, {len(failed)} failed")
    return 1 if failed or done.returncode or not tests else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
