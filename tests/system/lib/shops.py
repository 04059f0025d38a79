"""The shop.yaml that tests begin with, with {port} and {admin} where Tidegate's own ports go."""
import pathlib

APP = pathlib.Path(__file__).parent / "app.js"
HEAD = """
listen:
  - { address: "127.0.0.1:{port}" }
admin: { address: "127.0.0.1:{admin}" }
"""


def one_service(name, keys, more="", workers=1):
    """All requests go to one service. `keys` are its lines, `more` lines of the whole file."""
    lines = [f"workers: {workers}", *more.splitlines(), "services:", f"  {name}:", *(f"    {key}" for key in keys),
             "routes:", f"  - {{ path: /, service: {name} }}"]
    return HEAD + "\n".join(lines) + "\n"


def static_shop(*services, keys=(), more="", workers=1):
    """The service `shop` is at the addresses of `services`."""
    endpoints = ", ".join(f'"{each.address}"' for each in services)
    return one_service("shop", ["fleet: static", f"endpoints: [{endpoints}]", *keys], more, workers)


def app_shop(*keys, name="storefront", more="", workers=1):
    """Instances of app.js are started for the service."""
    return one_service(name, ["fleet: process", f'command: [node, {APP}, --port, "$PORT"]', *keys], more, workers)
