"""An instance of the example shop (examples/shop/server.js)."""
import http.client
import json
import os
import pathlib
import subprocess
import urllib.parse

from .tidegate import free_port, wait_until

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "examples" / "shop"
START_S = 90


class Shop:
    """One instance. `options` follow server.js; without --startup-ms it builds its whole index."""

    def __init__(self, folder, *options, quick=True, environment=None):
        self.port = free_port()
        self.orders_path = folder / "orders.jsonl"
        self.log_path = folder / f"shop-{self.port}.log"
        arguments = ["--port", str(self.port), "--orders", str(self.orders_path), *options]
        if quick:
            arguments += ["--startup-ms", "0"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(["node", str(FOLDER / "server.js"), *arguments],
                                            stdout=log, stderr=subprocess.STDOUT,
                                            env={**os.environ, **(environment or {})})

    def request(self, path, method="GET", form=None, headers=None, timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            body = urllib.parse.urlencode(form) if isinstance(form, dict) else form
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer
        finally:
            connection.close()

    def post(self, path, form=None, **options):
        return self.request(path, "POST", form=form, **options)

    def health(self):
        try:
            return self.request("/healthz", timeout=10).status
        except OSError:
            return None

    def wait_ready(self):
        wait_until(lambda: self.health() == 200, START_S, "the shop is ready")
        return self

    def fault(self, **query):
        answer = self.post("/__fault?" + urllib.parse.urlencode(query))
        assert answer.status == 200, answer.body

    def events(self):
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def event(self, name):
        found = [each for each in self.events() if each["event"] == name]
        return found[-1] if found else None

    def orders(self):
        return [json.loads(line) for line in self.orders_path.read_text().splitlines()]

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
