"""Requests on which two HTTP implementations may disagree about where a message ends or what it asks, after the
differential tests of http-garden and the families of request smuggling: each is a template of bytes in which ID stands for
the six characters that name the case wherever it turns up. Deterministic; every case has a name that says what it is.

Most carry a second request where one reading sees a body: whoever reads otherwise sees it as a message of its own."""
import itertools

ID = b"@@ID@@"
INNER = b"GET /inner-" + ID + b" HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED_INNER = b"%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER)


def request(*fields, method=b"POST", target=b"/outer-" + ID, version=b"HTTP/1.1", body=b""):
    return b"\r\n".join([b"%s %s %s" % (method, target, version), b"Host: a", *fields, b"", b""]) + body


def label(value):
    return value.decode("latin-1").encode("unicode_escape").decode()


# ---- two ways to say a length ----

LENGTH_VALUES = [form % len(INNER) for form in (
    b"%d", b"+%d", b"-%d", b"0%d", b"0x%x", b"%d,", b",%d", b"%d;", b"%d.0", b"%d ", b"\t%d", b"%d\t", b"\x0b%d", b"%d\x0b",
    b"\x0c%d", b"%d\x0c", b"\xa0%d", b"%d\xa0", b"%d\x00", b"\x00%d", b'"%d"', b"'%d'", b"%de0", b"%d\r", b"%dL", b"%d_0", b"(%d)", b"=%d",
    b"%d #", b"00000000000000000000%d", b"%d\x85", b"%d\x7f")]
LENGTH_VALUES += [b"%d,%d" % (len(INNER), len(INNER)), b"%d, %d" % (len(INNER), len(INNER)), b"0,%d" % len(INNER),
                  b"%d,0" % len(INNER), b"%d 0" % len(INNER), b"0 %d" % len(INNER), b"", b" ", b"abc", b"1 2", b"4_2", b"-0", b"+0", b"-1",
                  b"18446744073709551616", b"18446744073709551615", b"9223372036854775808", b"9223372036854775807", b"4294967296",
                  b"4294967337", b"18446744073709551657", b"99999999999999999999999999", b"\xd9\xa4\xd9\xa2", b"\xc2\xb9\xc2\xb2"]
NAME_FORMS = [b"%s:", b"%s :", b"%s\t:", b" %s:", b"\t%s:", b"%s\x00:", b"\x00%s:", b"%s\x0b:", b"%s\x0c:", b"%s\xa0:", b"%s\x7f:", b"%s::",
              b"%s;:", b"%s", b"X-A: b\n%s:", b"X-A: b\r%s:", b"X-A: b\r\n %s:", b"X-A: b\r\r\n%s:", b"X-A: b\n\r%s:",
              b"X-A: b\x00\r\n%s:", b":%s:", b"\"%s\":", b"%s\r\n:", b"%s\r:", b"%s\n:", b"x%s:", b"%sx:", b"X-A:\r\n%s:", b"X-A\r\n%s:",
              b"X-A: b\x85%s:", b"\xef\xbb\xbf%s:", b"%s-:", b"-%s:", b"%s(:", b"%s,:", b"%s=:", b"%s\\:", b"%s/:", b"%s.:", b"%s\xad:"]


def spellings(name):
    yield from (name.lower(), name.upper(), name.swapcase(), name.replace(b"-", b"_"), name.replace(b"-", b" "),
                name.replace(b"-", b""), name.replace(b"-", b"\xe2\x80\x90"), name.replace(b"e", b"\xe9", 1), name[:-1] + b"\xc4\xb1",
                name.replace(b"-", b"-\x00"), name.replace(b"-", b"\r\n-"), name.replace(b"-", b"."), name.replace(b"-", b"%2d"))
    for form in NAME_FORMS:
        yield form[:-1] % name if form.endswith(b":") else form % name


def lengths():
    for value in LENGTH_VALUES:
        for method in (b"POST", b"GET"):
            yield f"content-length {label(value)} {method.decode()}", request(b"Content-Length: " + value, method=method, body=INNER)
        yield f"content-length {label(value)} and a right one", request(b"Content-Length: " + value, b"Content-Length: %d" % len(INNER), body=INNER)
        yield f"content-length a right one and {label(value)}", request(b"Content-Length: %d" % len(INNER), b"Content-Length: " + value, body=INNER)
        yield f"content-length 0 and {label(value)}", request(b"Content-Length: 0", b"Content-Length: " + value, body=INNER)
    for name in spellings(b"Content-Length"):
        field = name + b": %d" % len(INNER)
        yield f"content-length as {label(name)}", request(field, body=INNER)
        yield f"content-length as {label(name)} beside 0", request(b"Content-Length: 0", field, body=INNER)
        yield f"content-length as {label(name)} before 0", request(field, b"Content-Length: 0", body=INNER)
        yield f"content-length as {label(name)}, GET", request(field, method=b"GET", body=INNER)
        yield f"content-length as {label(name)} beside chunked", request(b"Transfer-Encoding: chunked", field, body=b"0\r\n\r\n" + INNER)


# ---- transfer codings ----

CODINGS = [b"chunked", b"Chunked", b"CHUNKED", b" chunked", b"\tchunked", b"chunked ", b"chunked\t", b"  chunked  ", b"xchunked", b"chunkedx",
           b"chunked, identity", b"identity, chunked", b"gzip, chunked", b"chunked, gzip", b"chunked, chunked", b"chunked,chunked", b"chunked;q=1",
           b"chunked; a=b", b"\"chunked\"", b"'chunked'", b"chunked,", b",chunked", b", chunked", b"chunked, ", b",,chunked", b"chunked\x0b", b"\x0bchunked",
           b"\x0cchunked", b"chunked\x0c", b"chun\tked", b"chunked\r", b"\rchunked", b"\r\n chunked", b"\r\n\tchunked", b"chunked\r\n ", b"\nchunked", b"\n chunked",
           b"chunked\x00", b"\x00chunked", b"c%68unked", b"identity", b"", b" ", b"deflate", b"trailers", b"ch\xfcnked", b"cow", b"chunked cow", b"cow chunked",
           b"cow, chunked", b"chunked, cow", b"chunked\xa0", b"\xa0chunked", b"chunked\x85", b"\xef\xbb\xbfchunked", b"chunke", b"hunked", b"chun ked", b"\xe2\x80\x8bchunked",
           b"=chunked", b"chunked=", b"(chunked)", b"chunked#", b"\\chunked", b"chunked\x7f", b"\xc4\x87hunked", b"chun\xe2\x84\xaaed", b"chunked\n", b"chunked\n\t"]


def codings():
    bodies = {"ends, then a request": b"0\r\n\r\n" + INNER, "carries a request": CHUNKED_INNER}
    for coding, (what, body) in itertools.product(CODINGS, bodies.items()):
        field, length = b"Transfer-Encoding: " + coding, b"Content-Length: %d" % len(body)
        for order, fields in (("alone", [field]), ("after a length", [length, field]), ("before a length", [field, length]),
                              ("after a short length", [b"Content-Length: 4", field])):
            yield f"coding {label(coding)} {order}, body {what}", request(*fields, body=body)
    for first, second in itertools.product([b"chunked", b"identity", b"cow", b"", b"Chunked"], repeat=2):
        yield f"codings {label(first)} and {label(second)}", request(b"Transfer-Encoding: " + first, b"Transfer-Encoding: " + second, body=b"0\r\n\r\n" + INNER)
    for name in spellings(b"Transfer-Encoding"):
        field = name + b": chunked"
        for what, body in bodies.items():
            yield f"coding as {label(name)}, body {what}", request(field, body=body)
            yield f"coding as {label(name)} beside a length, body {what}", request(b"Content-Length: %d" % len(body), field, body=body)
        yield f"coding as {label(name)} beside a short length", request(b"Content-Length: 4", field, body=CHUNKED_INNER)
    for version, method in itertools.product([b"HTTP/1.0", b"HTTP/1.1"], [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PUT", b"PATCH", b"TRACE"]):
        yield f"chunked {method.decode()} {version.decode()}", request(b"Transfer-Encoding: chunked", b"Connection: keep-alive", method=method, version=version,
                                                                       body=b"0\r\n\r\n" + INNER)
        yield f"length {method.decode()} {version.decode()}", request(b"Content-Length: %d" % len(INNER), b"Connection: keep-alive", method=method, version=version,
                                                                      body=INNER)


# ---- chunks ----

def chunks():
    size, data = b"%x" % len(INNER), INNER
    sizes = [size, size.upper(), b"0" + size, b"00000000000000000" + size, b"0x" + size, b"0X" + size, b"+" + size, b"-" + size, b" " + size, size + b" ", size + b"\t",
             b"\t" + size, size + b"\x0b", size + b"\x00", b"\x00" + size, size + b"_0", size + b",", size + b"h", size + b".0", size + b"g", b"#" + size, b"\"" + size + b"\"",
             b"", b" ", b"g", b"-1", b"ffffffffffffffff", b"10000000000000000", b"1000000000000002a", b"8000000000000000", b"7fffffffffffffff", b"ffffffff", b"10000002a",
             b"\xc2\xb2" + size, size + b";", size + b";a", size + b";a=b", size + b";a=\"b\"", size + b" ;a=b", size + b"; a = b", size + b";a=\"b\rc\"", size + b";a=\"b\nc\"",
             size + b";a=\"b\r\nc\"", size + b";a=b\n" + b"0", size + b";\r", size + b"\r", size + b";a=\x00", size + b";a=\"", size + b";;;", size + b";=", size + b" a",
             size + b";" + b"a" * 300, size + b";a=\xff", size + b"\r\r"]
    for each, end in itertools.product(sizes, [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r"]):
        yield (f"chunk size {label(each[:40])} ended by {label(end)}",
               request(b"Transfer-Encoding: chunked", body=each + end + data + b"\r\n0\r\n\r\n"))
    for end in (b"\n", b"\r", b"", b"\r\r\n", b"\n\r", b"x\r\n", b"\r\nx", b" \r\n", b"\x00\r\n", b"\r\n\r\n"):
        yield f"chunk data ended by {label(end)}", request(b"Transfer-Encoding: chunked", body=size + b"\r\n" + data + end + b"0\r\n\r\n")
        yield f"chunk data ended by {label(end)}, then a request", request(b"Transfer-Encoding: chunked", body=b"1\r\na" + end + b"0\r\n\r\n" + INNER)
    lasts = [b"0\r\n\r\n", b"00\r\n\r\n", b"0000000000000000000\r\n\r\n", b"0;a\r\n\r\n", b"0;a=b\r\n\r\n", b"0\n\n", b"0\r\n\n", b"0\n\r\n", b"0\r\r", b"0\r\n\r", b"-0\r\n\r\n", b"0x0\r\n\r\n",
             b"+0\r\n\r\n", b" 0\r\n\r\n", b"0 \r\n\r\n", b"0\r\n \r\n\r\n", b"0\r\nA: b\r\n\r\n", b"0\r\n A: b\r\n\r\n", b"0\r\nA: b\r\n c\r\n\r\n", b"0\r\nA : b\r\n\r\n", b"0\r\nA\r\n\r\n",
             b"0\r\nA: b\n\n", b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nHost: b\r\n\r\n", b"0\r\nA: \x00\r\n\r\n", b"0\r\nA: b\rC: d\r\n\r\n", b"0\r\n:\r\n\r\n",
             b"0\r\nConnection: close\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n", b"0;\n\r\n", b"0\r\n0\r\n\r\n", b"0\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n", b"\r\n", b"0", b"0\r\nGET /inner-" + ID + b" HTTP/1.1\r\nHost: a\r\n\r\n"]
    for last in lasts:
        yield f"last chunk {label(last)}", request(b"Transfer-Encoding: chunked", body=b"1\r\na\r\n" + last + INNER)
        yield f"only chunk {label(last)}", request(b"Transfer-Encoding: chunked", body=last + INNER)


# ---- lines ----

BREAKS = [b"\n", b"\r", b"\r\r\n", b"\n\r", b"\x0b", b"\x0c", b"\x00\r\n", b" \r\n", b"\t\r\n", b"\x85", b"\xe2\x80\xa8", b"\r\n ", b"\r\x00\n", b"\x1e"]


def lines():
    for each in BREAKS:
        yield f"request line ended by {label(each)}", b"GET /outer-" + ID + b" HTTP/1.1" + each + b"Host: a\r\n\r\n" + INNER
        yield f"field ended by {label(each)}", b"GET /outer-" + ID + b" HTTP/1.1\r\nHost: a" + each + b"X-A: b\r\n\r\n" + INNER
        yield f"field ended by {label(each)} before a length", b"GET /outer-" + ID + b" HTTP/1.1\r\nHost: a\r\nX-A: b" + each + b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER
        yield f"field ended by {label(each)} before a coding", b"POST /outer-" + ID + b" HTTP/1.1\r\nHost: a\r\nX-A: b" + each + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER
        yield f"head ended by {label(each)}", b"GET /outer-" + ID + b" HTTP/1.1\r\nHost: a\r\n" + each + INNER
        yield f"head ended by {label(each)} twice", b"GET /outer-" + ID + b" HTTP/1.1\r\nHost: a" + each + each + INNER
        yield f"{label(each)} before the request line", each + request(method=b"GET", body=INNER)
        yield f"{label(each)} between two requests", request(b"Content-Length: 1", body=b"a") + each + INNER
        yield f"line folded after {label(each)}", request(b"X-A: b" + each + b" c", b"Content-Length: %d" % len(INNER), body=INNER)
        yield f"{label(each)} within a value", request(b"X-A: b" + each + b"GET /inner-" + ID + b" HTTP/1.1" + each + b"X-B: c", method=b"GET")
        yield f"{label(each)} within a target", request(method=b"GET", target=b"/outer-" + ID + each + b"X-A:b")
        yield f"{label(each)} and a whole request within a target", request(method=b"GET", target=b"/outer-" + ID + b" HTTP/1.1" + each + b"Host: a" + each + each + b"GET /inner-" + ID)


def octets():
    for octet in range(256):
        byte = bytes([octet])
        yield f"octet {octet:02x} in a field name", request(b"X-A" + byte + b"B: c", b"Content-Length: %d" % len(INNER), body=INNER)
        yield f"octet {octet:02x} in a field value", request(b"X-A: b" + byte + b"c", b"Content-Length: %d" % len(INNER), body=INNER)
        yield f"octet {octet:02x} in a target", request(method=b"GET", target=b"/outer-" + ID + b"/a" + byte + b"b", body=INNER)
        yield f"octet {octet:02x} in a method", request(method=b"GE" + byte + b"T", body=INNER)
        if octet < 128:
            yield f"octet {octet:02x} after the version", request(method=b"GET", version=b"HTTP/1.1" + byte, body=INNER)
            yield f"octet {octet:02x} before a length", request(b"Content-Length:" + byte + b"%d" % len(INNER), body=INNER)
            yield f"octet {octet:02x} before a coding", request(b"Transfer-Encoding:" + byte + b"chunked", body=b"0\r\n\r\n" + INNER)
            yield f"octet {octet:02x} after a field name", request(b"Content-Length" + byte + b": %d" % len(INNER), body=INNER)


# ---- request line, host, hops ----

def targets():
    for target in (b"*", b"a:80", b"http://a/outer-" + ID, b"http://b/outer-" + ID, b"HTTP://A/outer-" + ID, b"https://a/outer-" + ID, b"ftp://a/outer-" + ID, b"http:///outer-" + ID, b"http://a",
                   b"http://a?outer-" + ID, b"http://user@a/outer-" + ID, b"http://a:0/outer-" + ID, b"http://a:99999/outer-" + ID, b"http://a\\outer-" + ID, b"//a/outer-" + ID, b"outer-" + ID,
                   b"?outer-" + ID, b"#outer-" + ID, b"/outer-" + ID + b"#f", b"/outer-" + ID + b" ", b" /outer-" + ID, b"/outer-" + ID + b" a", b"/outer-" + ID + b"\ta", b"/outer-" + ID + b"/../a",
                   b"/outer-" + ID + b"/%2e%2e/a", b"/outer-" + ID + b"/%0d%0aX-A:%20b", b"/outer-" + ID + b"/%00", b"/outer-" + ID + b"/%", b"/outer-" + ID + b"/%zz", b"/outer-" + ID + b"\\a",
                   b"/outer-" + ID + b"/" + b"a" * 7000, b"", b"/outer-" + ID + b"?a=b c", b"javascript:outer-" + ID, b"http://[::1]/outer-" + ID, b"http://[::1/outer-" + ID, b"unix:/outer-" + ID):
        for method in (b"GET", b"POST", b"OPTIONS", b"CONNECT", b"PRI", b"HEAD", b"get", b"FOO"):
            yield f"target {label(target[:40])} {method.decode()}", request(b"Content-Length: %d" % len(INNER), method=method, target=target, body=INNER)


def versions():
    for version in (b"HTTP/0.9", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/2", b"HTTP/3.0", b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/11", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1.01",
                    b"http/1.1", b"Http/1.1", b"HTP/1.1", b"HTTP1.1", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/1 .1", b"HTTP/1,1", b"HTTP/-1.1", b"HTTP/+1.1", b"HTTPS/1.1", b"ICY/1.1", b"HTTP\\1.1",
                    b"HTTP/1.1 HTTP/1.1", b"HTTP/1.1 ", b" HTTP/1.1", b"HTTP/1.1\x00", b"HTTP/\xc2\xb9.1", b"HTTP/0x1.1", b"HTTP/1.1/1.1", b""):
        for fields, body in (([b"Content-Length: %d" % len(INNER)], INNER), ([b"Transfer-Encoding: chunked"], b"0\r\n\r\n" + INNER), ([], INNER)):
            yield f"version {label(version)} with {len(fields) and label(fields[0][:8])}", request(*fields, version=version, body=body)
    yield "no version, one line", b"GET /outer-" + ID + b"\r\n" + INNER
    yield "no version and no target", b"GET\r\n\r\n" + INNER
    yield "only a break", b"\r\n\r\n" + INNER
    for count in (2, 3, 100):
        yield f"{count} breaks first", b"\r\n" * count + request(method=b"GET", body=INNER)


def hosts():
    for host in (b"", b"b", b"a,b", b"a b", b"a:", b"a:80:80", b"a:x", b"a/b", b"a?b", b"a#b", b"a@b", b"@a", b"[::1]", b"[::1", b"a\x00b", b"a\tb", b"a\\b", b"%61", b"a.", b".a", b"-a", b"a\xff", b"\"a\"", b"a;b", b"*", b"a%00"):
        yield f"host {label(host)}", b"GET /outer-" + ID + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n" + INNER
        yield f"host a and {label(host)}", b"GET /outer-" + ID + b" HTTP/1.1\r\nHost: a\r\nHost: " + host + b"\r\n\r\n" + INNER
        yield f"absolute form and host {label(host)}", b"GET http://a/outer-" + ID + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n" + INNER
    yield "no host", b"GET /outer-" + ID + b" HTTP/1.1\r\n\r\n" + INNER
    yield "no host, 1.0", b"GET /outer-" + ID + b" HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + INNER
    for name in spellings(b"Host"):
        yield f"host as {label(name)}", b"GET /outer-" + ID + b" HTTP/1.1\r\n" + name + b": a\r\n\r\n" + INNER


def hops():
    for named in (b"Content-Length", b"Transfer-Encoding", b"Host", b"close", b"keep-alive", b"Upgrade", b"TE", b"X-A", b"Connection", b"Expect", b"close, Content-Length", b"keep-alive, Transfer-Encoding",
                  b"\"Content-Length\"", b"Cookie", b"Authorization", b"X-Forwarded-For", b"Forwarded", b"traceparent", b"", b",", b"\x00", b"a b"):
        yield f"connection names {label(named)}, length", request(b"Connection: " + named, b"Content-Length: %d" % len(INNER), body=INNER)
        yield f"connection names {label(named)}, chunked", request(b"Connection: " + named, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + INNER)
        yield f"connection names {label(named)}, GET", request(b"Connection: " + named, method=b"GET", body=INNER)
        yield f"proxy-connection {label(named)}", request(b"Proxy-Connection: " + named, b"Content-Length: %d" % len(INNER), body=INNER)
    for expect in (b"100-continue", b"100-Continue", b"100-continue, 100-continue", b"100-continue;a", b"x", b"", b"100-continue\x00", b"200-ok", b"y 100-continue", b"100-continue=1", b"\"100-continue\""):
        for method in (b"POST", b"GET", b"HEAD", b"OPTIONS"):
            yield f"expect {label(expect)} {method.decode()} length", request(b"Expect: " + expect, b"Content-Length: %d" % len(INNER), method=method, body=INNER)
            yield f"expect {label(expect)} {method.decode()} chunked", request(b"Expect: " + expect, b"Transfer-Encoding: chunked", method=method, body=b"0\r\n\r\n" + INNER)
            yield f"expect {label(expect)} {method.decode()} no body", request(b"Expect: " + expect, b"Content-Length: 0", method=method, body=INNER)


def upgrades():
    for protocol in (b"websocket", b"WebSocket", b"h2c", b"HTTP/2.0", b"TLS/1.0", b"foo", b"websocket, h2c", b"", b"websocket\x00", b" websocket"):
        for connection in (b"Upgrade", b"upgrade, close", b"keep-alive", b"Upgrade, HTTP2-Settings", b""):
            yield (f"upgrade {label(protocol)} connection {label(connection)}",
                   request(b"Connection: " + connection, b"Upgrade: " + protocol, b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                           method=b"GET", body=INNER))
            yield (f"upgrade {label(protocol)} connection {label(connection)} with a body",
                   request(b"Connection: " + connection, b"Upgrade: " + protocol, b"Sec-WebSocket-Version: 777", b"Content-Length: %d" % len(INNER), body=INNER))
    yield "HTTP/2 preface in the middle", request(method=b"GET") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INNER
    yield "CONNECT, then a request", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + INNER


def pipelines():
    """Good ones: each of the requests has to arrive, once and in order."""
    for count in (2, 3, 8):
        yield f"{count} requests in one go", b"".join(request(method=b"GET", target=b"/outer-%s/%d" % (ID, n)) for n in range(count))
        yield f"{count} with lengths", b"".join(request(b"Content-Length: 3", target=b"/outer-%s/%d" % (ID, n), body=b"GET") for n in range(count))
        yield f"{count} chunked", b"".join(request(b"Transfer-Encoding: chunked", target=b"/outer-%s/%d" % (ID, n), body=CHUNKED_INNER) for n in range(count))
    yield "HEAD, then GET", request(method=b"HEAD") + INNER
    yield "length, then GET", request(b"Content-Length: %d" % len(INNER), body=INNER) + INNER
    yield "cut in its head", request(method=b"GET")[:-2]
    yield "cut in its body", request(b"Content-Length: 1000", body=INNER)
    yield "cut in a chunk", request(b"Transfer-Encoding: chunked", body=b"ff\r\n" + INNER)


FAMILIES = (lengths, codings, chunks, lines, octets, targets, versions, hosts, hops, upgrades, pipelines)


def corpus():
    """(name, template), each name and each template once."""
    names, templates = set(), set()
    for family in FAMILIES:
        for name, template in family():
            if template not in templates:
                assert name not in names, name
                names.add(name)
                templates.add(template)
                yield name, template
