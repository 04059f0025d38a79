"""A service whose health a test decides, and that counts who asked for it."""
import http.server
import threading
import time


class Checked:
    """Answers /healthz with `health` (status, body) after `health_delay_s`, everything else with `status` and
    its name; `probes` are (time, method, headers) of the former, `requests` the times of the latter. An
    Upgrade makes a tunnel, an echo of what comes."""

    def __init__(self, name="checked", port=0, health=(200, "ready"), status=200, delay_s=0.0):
        self.name, self.health, self.status, self.delay_s = name, health, status, delay_s
        self.health_delay_s = 0.0
        self.probes, self.requests, self.connections, self.tunnels = [], [], 0, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self):
                if self.headers.get("Upgrade"):
                    outer.tunnels += 1
                    self.echo()
                elif self.path.startswith("/healthz"):
                    outer.probes.append((time.monotonic(), self.command, self.headers))
                    time.sleep(outer.health_delay_s)
                    self.say(*outer.health)
                else:
                    outer.requests.append(time.monotonic())
                    time.sleep(outer.delay_s)
                    self.say(outer.status, outer.name)

            def say(self, status, text):
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text.encode())

            def echo(self):
                self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                 b"Upgrade: " + self.headers["Upgrade"].encode() + b"\r\n\r\n")
                while data := self.rfile.read1(4096):
                    self.wfile.write(data)
                self.close_connection = True

            do_GET = do_POST = do_HEAD = answer

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def get_request(self):
                outer.connections += 1
                return super().get_request()

            def handle_error(self, *_):
                pass    # a peer that left is none

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def settled(self):
        """How many requests have come, once none came for a moment: one that was called off may be read late."""
        for _ in range(40):
            seen = len(self.requests)
            time.sleep(0.5)
            if len(self.requests) == seen:
                return seen
        raise AssertionError("requests go on coming")

    def probed_since(self, moment):
        return [each for each in list(self.probes) if each[0] >= moment]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
