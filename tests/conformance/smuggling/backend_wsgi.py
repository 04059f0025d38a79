"""The application that gunicorn runs: writes down each message and reads its body."""
import os

log = os.open(os.environ["SEEN"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def application(environ, start_response):
    while environ["wsgi.input"].read(65536):
        pass
    os.write(log, f"{environ['REQUEST_METHOD']} {environ['RAW_URI']}\n".encode("latin-1", "replace"))
    start_response("200 OK", [("Content-Length", "4")])
    return [b"seen"]
