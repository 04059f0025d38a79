"""A small HTTP/1.1 server in a thread, for tests that need to see what arrives at a service."""
import http.server
import threading
import time


class Backend:
    """Answers every request with 200 and its name; remembers (method, path, headers, body).
    `delay_s` waits before each answer; `status` and `body` may be changed while it runs."""

    def __init__(self, name="backend", delay_s=0.0, status=200, port=0):
        self.name, self.delay_s, self.status = name, delay_s, status
        self.requests, self.lock = [], threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                with outer.lock:
                    outer.requests.append((self.command, self.path, self.headers, body))
                time.sleep(outer.delay_s)
                text = f"{outer.name}\n".encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
