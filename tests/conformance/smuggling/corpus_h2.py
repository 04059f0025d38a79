"""The same question asked in HTTP/2 (RFC 9113 8.2, 8.3 and 10.3): what is one message there must be one message, and the same
one, after the step down to HTTP/1.1. Header lists that no library would send, as (name, value) pairs, with the payload of
DATA frames; ID is the six characters that name the case."""
from corpus import CHUNKED_INNER, ID, INNER, label


def head(method=b"POST", path=b"/outer-" + ID, scheme=b"http", authority=b"a", *fields):
    return [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path), *fields]


SPLIT = b"\r\n\r\n" + INNER
BREAKS = (b"\r\n", b"\n", b"\r", b"\x00", b"\x0b", b"\x85")


def lengths():
    for value in (b"0", b"1", b"%d" % (len(INNER) - 1), b"%d" % (len(INNER) + 1), b"%d" % len(INNER), b"+%d" % len(INNER), b"-1", b"0x2a", b"", b" %d" % len(INNER), b"%d " % len(INNER),
                  b"%d,%d" % (len(INNER), len(INNER)), b"0,%d" % len(INNER), b"18446744073709551616", b"a", b"%d\r\nX-A: b" % len(INNER)):
        for method in (b"POST", b"GET", b"HEAD"):
            yield f"h2 content-length {label(value)} {method.decode()}", head(method, b"/outer-" + ID, b"http", b"a", (b"content-length", value)), INNER
        yield f"h2 content-length {label(value)} and a right one", head(b"POST", b"/outer-" + ID, b"http", b"a", (b"content-length", value), (b"content-length", b"%d" % len(INNER))), INNER
        yield f"h2 content-length {label(value)} without a body", head(b"POST", b"/outer-" + ID, b"http", b"a", (b"content-length", value)), None


def codings():
    for value in (b"chunked", b"Chunked", b"identity", b"gzip, chunked", b"trailers", b"", b"chunked\r\nX-A: b"):
        for name in (b"transfer-encoding", b"Transfer-Encoding", b"transfer_encoding", b"transfer-encoding ", b"te"):
            yield f"h2 {label(name)}: {label(value)}", head(b"POST", b"/outer-" + ID, b"http", b"a", (name, value)), b"0\r\n\r\n" + INNER
            yield f"h2 {label(name)}: {label(value)} and a length", head(b"POST", b"/outer-" + ID, b"http", b"a", (name, value), (b"content-length", b"%d" % len(CHUNKED_INNER))), CHUNKED_INNER


def hops():
    for name in (b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"http2-settings", b"host", b"expect", b"trailer", b"content-type", b"cookie"):
        for value in (b"keep-alive", b"close", b"content-length", b"transfer-encoding", b"h2c", b"websocket", b"100-continue", b"b", b"a, b"):
            yield f"h2 {label(name)}: {label(value)}", head(b"POST", b"/outer-" + ID, b"http", b"a", (name, value)), INNER


def injections():
    """A request line or a field hidden in each place that takes text."""
    for each in BREAKS:
        text, hidden = label(each), each + b"Transfer-Encoding: chunked" + each + each + INNER
        yield f"h2 {text} in a value", head(b"POST", b"/outer-" + ID, b"http", b"a", (b"x-a", b"b" + hidden)), b"0\r\n\r\n"
        yield f"h2 {text} at the end of a value", head(b"POST", b"/outer-" + ID, b"http", b"a", (b"x-a", b"b" + each)), INNER
        yield f"h2 {text} first in a value", head(b"POST", b"/outer-" + ID, b"http", b"a", (b"x-a", each + b"b")), INNER
        yield f"h2 {text} in a name", head(b"POST", b"/outer-" + ID, b"http", b"a", (b"x-a: b" + hidden, b"c")), b"0\r\n\r\n"
        yield f"h2 {text} in :path", head(b"GET", b"/outer-" + ID + b" HTTP/1.1" + each + b"Host: a" + each + each + INNER), None
        yield f"h2 {text} in :method", head(b"GET /inner-" + ID + b" HTTP/1.1" + each + b"Host: a" + each + each + b"GET"), None
        yield f"h2 {text} in :authority", head(b"GET", b"/outer-" + ID, b"http", b"a" + hidden), None
        yield f"h2 {text} in :scheme", head(b"GET", b"/outer-" + ID, b"http://a/inner-" + ID + b" HTTP/1.1" + each + b"X: "), None
        yield f"h2 {text} in a cookie", head(b"GET", b"/outer-" + ID, b"http", b"a", (b"cookie", b"a=b" + hidden), (b"cookie", b"c=d")), None
        yield f"h2 {text} in a trailer's value", head(), [b"a", [(b"x-a", b"b" + hidden)]]
        yield f"h2 {text} in a trailer's name", head(), [b"a", [(b"x-a: b" + hidden, b"c")]]
    for octet in range(256):
        byte = bytes([octet])
        yield f"h2 octet {octet:02x} in a name", head(b"POST", b"/outer-" + ID, b"http", b"a", (b"x-a" + byte + b"b", b"c")), INNER
        yield f"h2 octet {octet:02x} in a value", head(b"POST", b"/outer-" + ID, b"http", b"a", (b"x-a", b"b" + byte + b"c")), INNER
        if octet < 128:
            yield f"h2 octet {octet:02x} in :path", head(b"POST", b"/outer-" + ID + b"/a" + byte + b"b"), INNER
            yield f"h2 octet {octet:02x} in :method", head(b"PO" + byte + b"ST"), INNER
            yield f"h2 octet {octet:02x} in :authority", head(b"POST", b"/outer-" + ID, b"http", b"a" + byte + b"b"), INNER


def pseudo():
    good = head(b"GET")
    for left_out in range(4):
        yield f"h2 without {good[left_out][0].decode()}", good[:left_out] + good[left_out + 1:], None
        yield f"h2 twice {good[left_out][0].decode()}", [*good, good[left_out]], None
        yield f"h2 empty {good[left_out][0].decode()}", good[:left_out] + [(good[left_out][0], b"")] + good[left_out + 1:], None
        yield f"h2 {good[left_out][0].decode()} after a field", good[:left_out] + good[left_out + 1:] + [(b"x-a", b"b"), good[left_out]], None
    for extra in ((b":status", b"200"), (b":foo", b"b"), (b":", b"b"), (b"", b"b"), (b":protocol", b"websocket"), (b"Host", b"b"), (b"host", b"b"), (b"host", b"a"), (b"HOST", b"a")):
        yield f"h2 with {label(extra[0])}: {label(extra[1])}", [*good, extra], None
        yield f"h2 with {label(extra[0])}: {label(extra[1])} first", [extra, *good], None
        yield f"h2 with {label(extra[0])}: {label(extra[1])} as a trailer", head(), [b"a", [extra]]
    for name, value in ((b"content-length", b"1"), (b"transfer-encoding", b"chunked"), (b"connection", b"close"), (b"host", b"b"), (b"x-a", b"b"), (b"content-length", b"99"), (b"trailer", b"x-a")):
        yield f"h2 trailer {label(name)}: {label(value)}", head(), [b"a", [(name, value)]]
    for path in (b"*", b"", b"a", b"?a", b"http://a/outer-" + ID, b"//a/outer-" + ID, b"/outer-" + ID + b" HTTP/1.1", b"/outer-" + ID + b"#f", b"/outer-" + ID + b"?a=b c", b"/outer-" + ID + b"\\", b" /outer-" + ID,
                 b"/outer-" + ID + b"/../x", b"/outer-" + ID + b"/%0d%0a"):
        for method in (b"GET", b"OPTIONS", b"CONNECT", b"POST"):
            yield f"h2 :path {label(path)} {method.decode()}", head(method, path), None
    for authority in (b"b", b"a:80", b"user@a", b"a/b", b"a b", b"[::1]", b"a,b", b"a?b", b"a:b", b"http://a"):
        yield f"h2 :authority {label(authority)}", head(b"GET", b"/outer-" + ID, b"http", authority), None
        yield f"h2 :authority {label(authority)} and host a", head(b"GET", b"/outer-" + ID, b"http", authority, (b"host", b"a")), None
    for scheme in (b"https", b"ftp", b"HTTP", b"http ", b"", b"a:b"):
        yield f"h2 :scheme {label(scheme)}", head(b"GET", b"/outer-" + ID, scheme), None
    for method in (b"CONNECT", b"get", b"PRI", b"HEAD", b"OPTIONS", b"TRACE", b"FOO", b"GET /x HTTP/1.1", b"G\xc3\x89T"):
        yield f"h2 :method {label(method)} with a body", head(method), INNER
        yield f"h2 :method {label(method)}", head(method), None


FAMILIES = (lengths, codings, hops, injections, pseudo)


def corpus():
    """(name, pairs, payload): payload None: no DATA; bytes: one DATA frame; a list: pieces, bytes as DATA and pairs as trailers."""
    names = set()
    for family in FAMILIES:
        for name, pairs, payload in family():
            if name not in names:
                names.add(name)
                yield name, pairs, payload
