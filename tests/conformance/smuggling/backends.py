"""Four HTTP servers of other people, each of which says what messages it saw: one line `METHOD TARGET` a message, in the order in
which it answered, and what it could not make sense of as such. nginx, Apache httpd, Node.js and Python's gunicorn."""
import contextlib
import http.client
import pathlib
import re
import shutil
import signal
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
PARTS = HERE.parents[2] / "build-parts"
START_S, STOP_S = 30, 20


class Backend:
    """A process of its own that answers everything with 200 and a short body; `folder` is its own."""

    keeps_case = True    # of methods

    def __init__(self, folder, port):
        self.folder, self.port = pathlib.Path(folder), port
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "seen.log"
        self.process = None

    def __enter__(self):
        with open(self.folder / "output.log", "wb") as output:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        end = time.monotonic() + START_S
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < end, f"{self.name}: {(self.folder / 'output.log').read_text()}"
            time.sleep(0.05)
        return self

    def answers(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("GET", "/up")
            return connection.getresponse().status == 200
        return False

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def lines(self):
        """Of its log: (METHOD, TARGET) or the line itself, when that is not what it says."""
        for line in self.log.read_text(encoding="latin-1").split("\n")[:-1]:
            words = line.split(" ")
            good = len(words) >= 2 and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", words[0])
            yield (words[0], words[1]) if good else line

    def seen(self):
        return [each for each in self.lines() if isinstance(each, tuple) and each[1] != "/up"]

    def unreadable(self):
        """What came and was no message to it."""
        return [each for each in self.lines() if isinstance(each, str)]


class Nginx(Backend):
    name = "nginx"

    def command(self):
        (self.folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid nginx.pid; error_log error.log; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    log_format seen escape=none '$request'; access_log seen.log seen;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    keepalive_timeout 60; keepalive_requests 100000; client_header_buffer_size 32k; large_client_header_buffers 4 32k; underscores_in_headers on;
    server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 "seen"; }} }}
}}
""")
        binary = shutil.which("nginx", path="/usr/sbin") or PARTS / "usr/sbin/nginx"    # scripts/setup
        return [binary, "-p", self.folder, "-c", "nginx.conf"]


class Apache(Backend):
    name = "apache"
    modules = ("mpm_event", "authz_core", "rewrite")

    def command(self):
        (self.folder / "pages").mkdir(exist_ok=True)
        (self.folder / "pages" / "seen").write_text("seen")
        loads = "\n".join(f"LoadModule {each}_module /usr/lib/apache2/modules/mod_{each}.so" for each in self.modules)
        (self.folder / "httpd.conf").write_text(f"""
{loads}
ServerName a
ServerRoot {self.folder}
PidFile {self.folder}/httpd.pid
DefaultRuntimeDir {self.folder}
Listen 127.0.0.1:{self.port}
DocumentRoot {self.folder}/pages
ErrorLog error.log
LogFormat "%r" seen
CustomLog seen.log seen
KeepAliveTimeout 60
MaxKeepAliveRequests 0
TraceEnable on
RewriteEngine on
RewriteRule .* {self.folder}/pages/seen [L]
<Directory />
    Require all granted
</Directory>
""")
        return ["/usr/sbin/apache2", "-X", "-f", self.folder / "httpd.conf"]

    def lines(self):
        for each in super().lines():
            yield (each[0], re.sub(r"\\(.)", r"\1", each[1])) if isinstance(each, tuple) else each


class Node(Backend):
    name = "node"

    def command(self):
        return ["node", HERE / "backend.js", str(self.port), self.log]


class Gunicorn(Backend):
    name, keeps_case = "gunicorn", False

    def command(self):
        # Debian's, whatever other Python comes first on PATH.
        return ["/usr/bin/python3", "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread", "--threads", "64",
                "--keep-alive", "60", "--chdir", HERE, "--limit-request-line", "0", "--env", f"SEEN={self.log}", "backend_wsgi:application"]

    def unreadable(self):
        said = (self.folder / "output.log").read_text(errors="replace")
        return [line for line in said.splitlines() if "Invalid" in line or "Error handling request" in line]


ALL = (Nginx, Apache, Node, Gunicorn)
