/* Requests: what is accepted and how it is understood, what is refused and why. Every case is
 * parsed whole and fed byte by byte: both must say the same. */
#include "h1_dump.h"

#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define TE "Transfer-Encoding: chunked\r\n"

struct request_case {
    const char *section; /* of RFC 9112 where nothing else is said */
    const char *name;
    struct slice input;
    const char *expected; /* the dump of dump_request, or the status and a part of the reason */
};

/* One case a line: clang-format would make four of it. */
/* clang-format off */
static const struct request_case accepted[] = {
    { "3", "the smallest", SLICE(GET HOST "\r\n"), "GET a / none keep" },
    { "3.1", "each known method", SLICE("DELETE /x HTTP/1.1\r\n" HOST "\r\n"), "DELETE a /x none keep" },
    { "3.1", "an unknown method", SLICE("BREW /pot HTTP/1.1\r\n" HOST "\r\n"), "BREW a /pot none keep" },
    { "3.1", "methods are case-sensitive", SLICE("get / HTTP/1.1\r\n" HOST "\r\n"), "get a / none keep" },
    { "3.1", "every token byte in a method", SLICE("A!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n" HOST "\r\n"), "A!#$%&'*+-.^_`|~9 a / none keep" },
    { "3.2.1", "a query", SLICE("GET /a/b?c=d&e HTTP/1.1\r\n" HOST "\r\n"), "GET a /a/b?c=d&e none keep" },
    { "3.2.1", "an empty query is kept", SLICE("GET /a? HTTP/1.1\r\n" HOST "\r\n"), "GET a /a? none keep" },
    { "3.2.1", "a second question mark", SLICE("GET /a?b?c HTTP/1.1\r\n" HOST "\r\n"), "GET a /a?b?c none keep" },
    { "3.2.1", "a percent sign goes on as it is", SLICE("GET /%zz%4 HTTP/1.1\r\n" HOST "\r\n"), "GET a /%zz%4 none keep" },
    { "3.2.1", "dot segments go on as they are", SLICE("GET /a/../b HTTP/1.1\r\n" HOST "\r\n"), "GET a /a/../b none keep" },
    { "3.2.1", "two slashes", SLICE("GET //evil.test/x HTTP/1.1\r\n" HOST "\r\n"), "GET a //evil.test/x none keep" },
    { "3.2.1", "a colon in the path", SLICE("GET /a:80/http://b HTTP/1.1\r\n" HOST "\r\n"), "GET a /a:80/http://b none keep" },
    { "3.2.2", "absolute-form", SLICE("GET http://b.test/x HTTP/1.1\r\nHost: b.test\r\n\r\n"), "GET b.test /x none keep" },
    { "3.2.2", "absolute-form wins over Host", SLICE("GET http://b.test/x HTTP/1.1\r\n" HOST "\r\n"), "GET b.test /x none keep" },
    { "3.2.2", "absolute-form with port", SLICE("GET http://b:81/x HTTP/1.1\r\n" HOST "\r\n"), "GET b:81 /x none keep" },
    { "3.2.2", "absolute-form of https", SLICE("GET https://b/x HTTP/1.1\r\n" HOST "\r\n"), "GET b /x none keep" },
    { "3.2.2", "the scheme in any case", SLICE("GET HTTP://b/x HTTP/1.1\r\n" HOST "\r\n"), "GET b /x none keep" },
    { "3.2.2", "absolute-form without a path", SLICE("GET http://b HTTP/1.1\r\n" HOST "\r\n"), "GET b / none keep" },
    { "3.2.2", "absolute-form, only a query", SLICE("GET http://b?x HTTP/1.1\r\n" HOST "\r\n"), "GET b /?x none keep" },
    { "3.2.4", "asterisk-form", SLICE("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), "OPTIONS a * none keep" },
    { "3.2.4", "OPTIONS of an absolute URI without a path", SLICE("OPTIONS http://b HTTP/1.1\r\n" HOST "\r\n"), "OPTIONS b * none keep" },
    { "3.2.4", "OPTIONS of an absolute URI with a path", SLICE("OPTIONS http://b/ HTTP/1.1\r\n" HOST "\r\n"), "OPTIONS b / none keep" },
    { "3.2.4", "OPTIONS of a path", SLICE("OPTIONS /x HTTP/1.1\r\n" HOST "\r\n"), "OPTIONS a /x none keep" },
    { "2.2", "one empty line before", SLICE("\r\n" GET HOST "\r\n"), "GET a / none keep" },
    { "2.3", "HTTP/1.0 without Host", SLICE("GET / HTTP/1.0\r\n\r\n"), "GET  / 1.0 none close" },
    { "2.3", "HTTP/1.0 with Host", SLICE("GET / HTTP/1.0\r\n" HOST "\r\n"), "GET a / 1.0 none close" },
    { "2.3", "HTTP/1.2 is read as 1.1", SLICE("GET / HTTP/1.2\r\n" HOST "\r\n"), "GET a / none keep" },
    { "2.3", "HTTP/1.9 is read as 1.1", SLICE("GET / HTTP/1.9\r\n" HOST "\r\n"), "GET a / none keep" },
    { "3.2", "Host with port", SLICE(GET "Host: a.test:8080\r\n\r\n"), "GET a.test:8080 / none keep" },
    { "3.2", "Host with an empty port", SLICE(GET "Host: a:\r\n\r\n"), "GET a: / none keep" },
    { "3.2", "Host of IPv6", SLICE(GET "Host: [2001:db8::1]:80\r\n\r\n"), "GET [2001:db8::1]:80 / none keep" },
    { "3.2", "Host of IPv6 with embedded IPv4", SLICE(GET "Host: [::ffff:192.0.2.1]\r\n\r\n"), "GET [::ffff:192.0.2.1] / none keep" },
    { "3.2", "Host with an encoded byte", SLICE(GET "Host: b%C3%BCcher\r\n\r\n"), "GET b%C3%BCcher / none keep" },
    { "3.2", "the name of Host in any case", SLICE(GET "hOsT: a\r\n\r\n"), "GET a / none keep" },
    { "5", "blanks around a value", SLICE(GET HOST "X: \t v w \t\r\n\r\n"), "GET a / none keep [X=v w]" },
    { "5", "no blank before a value", SLICE(GET "Host:a\r\nX:v\r\n\r\n"), "GET a / none keep [X=v]" },
    { "5", "an empty value", SLICE(GET HOST "X:\r\nY: \r\n\r\n"), "GET a / none keep [X=] [Y=]" },
    { "5", "the same name twice stays twice", SLICE(GET HOST "X: 1\r\nx: 2\r\n\r\n"), "GET a / none keep [X=1] [x=2]" },
    { "5", "a colon in a value", SLICE(GET HOST "X: a:b\r\n\r\n"), "GET a / none keep [X=a:b]" },
    { "5", "a tab in a value", SLICE(GET HOST "X: a\tb\r\n\r\n"), "GET a / none keep [X=a\tb]" },
    { "9110 5.5", "bytes above 0x7f in a value", SLICE(GET HOST "X: \xc3\xbc\xff\r\n\r\n"), "GET a / none keep [X=\xc3\xbc\xff]" },
    { "9110 5.1", "every token byte in a name", SLICE(GET HOST "A!#$%&'*+-.^_`|~9: 1\r\n\r\n"), "GET a / none keep [A!#$%&'*+-.^_`|~9=1]" },
    { "9110 5.1", "an underscore in a name that nobody mistakes", SLICE(GET HOST "x_y: 1\r\n\r\n"), "GET a / none keep [x_y=1]" },
    { "6.3", "a body by length", SLICE(POST HOST "Content-Length: 5\r\n\r\nabcde"), "POST a / length:5 keep" },
    { "6.3", "a length of 0", SLICE(POST HOST "Content-Length: 0\r\n\r\n"), "POST a / length:0 keep" },
    { "6.3", "zeros before a length", SLICE(POST HOST "Content-Length: 0005\r\n\r\n"), "POST a / length:5 keep" },
    { "6.3", "the largest length", SLICE(POST HOST "Content-Length: 9223372036854775807\r\n\r\n"), "POST a / length:9223372036854775807 keep" },
    { "6.3", "a body with GET", SLICE(GET HOST "Content-Length: 5\r\n\r\n"), "GET a / length:5 keep" },
    { "6.3", "POST without length has no body", SLICE(POST HOST "\r\n"), "POST a / none keep" },
    { "6.1", "a chunked body", SLICE(POST HOST TE "\r\n"), "POST a / chunked keep" },
    { "6.1", "the coding in any case", SLICE(POST HOST "Transfer-Encoding:\tCHUNKED \r\n\r\n"), "POST a / chunked keep" },
    { "9.3", "close", SLICE(GET HOST "Connection: close\r\n\r\n"), "GET a / none close" },
    { "9.3", "close in a list, any case", SLICE(GET HOST "Connection: x, CLOSE\r\n\r\n"), "GET a / none close" },
    { "9.3", "close in a second field", SLICE(GET HOST "Connection: x\r\nConnection: close\r\n\r\n"), "GET a / none close" },
    { "9.3", "close wins over keep-alive", SLICE(GET HOST "Connection: keep-alive, close\r\n\r\n"), "GET a / none close" },
    { "9.3", "close is a whole word", SLICE(GET HOST "Connection: closed\r\n\r\n"), "GET a / none keep" },
    { "9.3", "HTTP/1.0 with keep-alive", SLICE("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), "GET  / 1.0 none keep" },
    { "9.3", "HTTP/1.0 with keep-alive in a list", SLICE("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n"), "GET  / 1.0 none keep" },
    { "9110 10.1.1", "100-continue", SLICE(POST HOST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n"), "POST a / length:1 keep continue" },
    { "9110 10.1.1", "HTTP/1.0 expects nothing", SLICE("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"), "POST  / 1.0 length:1 close" },
    { "9110 7.8", "upgrade", SLICE(GET HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), "GET a / none keep upgrade=websocket" },
    { "9110 7.8", "upgrade in a list", SLICE(GET HOST "Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n\r\n"), "GET a / none keep upgrade=websocket" },
    { "9110 7.8", "Upgrade that Connection does not name", SLICE(GET HOST "Upgrade: websocket\r\n\r\n"), "GET a / none keep" },
    { "9110 7.8", "Connection names Upgrade, but there is none", SLICE(GET HOST "Connection: upgrade\r\n\r\n"), "GET a / none keep" },
    { "9110 7.8", "an empty Upgrade", SLICE(GET HOST "Connection: upgrade\r\nUpgrade:\r\n\r\n"), "GET a / none keep" },
    { "9110 7.8", "HTTP/1.0 cannot upgrade", SLICE("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), "GET  / 1.0 none close" },
    { "9113 3.1", "h2c is not taken up", SLICE(GET HOST "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n"), "GET a / none keep" },
    { "9113 3.1", "h2c hidden in a list", SLICE(GET HOST "Connection: upgrade\r\nUpgrade: websocket, H2C\r\n\r\n"), "GET a / none keep" },
    { "9113 3.1", "h2c in another field", SLICE(GET HOST "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n\r\n"), "GET a / none keep" },
};

static const struct request_case refused[] = {
    { "3", "one word", SLICE("GET\r\n\r\n"), "400 request line" },
    { "3", "two words", SLICE("GET /\r\n\r\n"), "400 request line" },
    { "3", "HTTP/0.9 in disguise", SLICE("GET / \r\n\r\n"), "400 version" },
    { "3", "two blanks before the target", SLICE("GET  / HTTP/1.1\r\n" HOST "\r\n"), "400 " },
    { "3", "two blanks before the version", SLICE("GET /  HTTP/1.1\r\n" HOST "\r\n"), "400 " },
    { "3", "a blank after the version", SLICE("GET / HTTP/1.1 \r\n" HOST "\r\n"), "400 version" },
    { "3", "a blank before the method", SLICE(" GET / HTTP/1.1\r\n" HOST "\r\n"), "400 request line" },
    { "3", "a tab for a blank", SLICE("GET\t/\tHTTP/1.1\r\n" HOST "\r\n"), "400 request line" },
    { "3", "a tab after the method", SLICE("GET\t / HTTP/1.1\r\n" HOST "\r\n"), "400 request line" },
    { "3", "a blank in the target", SLICE("GET /a b HTTP/1.1\r\n" HOST "\r\n"), "400 version" },
    { "3.1", "a method that is no token", SLICE("G@T / HTTP/1.1\r\n" HOST "\r\n"), "400 request line" },
    { "3.1", "a method with a control byte", SLICE("G\x01T / HTTP/1.1\r\n" HOST "\r\n"), "400 request line" },
    { "2.2", "two empty lines before", SLICE("\r\n\r\n" GET HOST "\r\n"), "400 request line" },
    { "2.2", "a bare LF behind the empty line before", SLICE("\r\n\n" GET HOST "\r\n"), "400 LF without CR" },
    { "2.2", "a bare LF before", SLICE("\n" GET HOST "\r\n"), "400 LF without CR" },
    { "2.2", "a bare LF ends the request line", SLICE("GET / HTTP/1.1\n" HOST "\r\n"), "400 LF without CR" },
    { "2.2", "a bare LF ends a field", SLICE(GET "Host: a\n\r\n"), "400 LF without CR" },
    { "2.2", "bare LFs only", SLICE("GET / HTTP/1.1\nHost: a\n\n"), "400 LF without CR" },
    { "2.2", "a bare LF is the empty line", SLICE(GET HOST "\n"), "400 LF without CR" },
    { "2.2", "a bare CR in the request line", SLICE("GET /\r HTTP/1.1\r\n" HOST "\r\n"), "400 CR without LF" },
    { "2.2", "a bare CR ends the request line", SLICE("GET / HTTP/1.1\r\r\n" HOST "\r\n"), "400 CR without LF" },
    { "2.2", "a bare CR in a value", SLICE(GET HOST "X: a\rb\r\n\r\n"), "400 CR without LF" },
    { "2.2", "a bare CR between two fields", SLICE(GET "X: a\rHost: b\r\n\r\n"), "400 CR without LF" },
    { "2.2", "two CRs end a field", SLICE(GET "Host: a\r\r\n\r\n"), "400 CR without LF" },
    { "2.2", "CR CR LF for the empty line", SLICE(GET HOST "\r\r\n\r\n"), "400 CR without LF" },
    { "2.3", "HTTP/2.0", SLICE("GET / HTTP/2.0\r\n" HOST "\r\n"), "505 not HTTP/1" },
    { "9113 3.4", "the preface of HTTP/2", SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "505 not HTTP/1" },
    { "2.3", "HTTP/0.9", SLICE("GET / HTTP/0.9\r\n" HOST "\r\n"), "505 not HTTP/1" },
    { "2.3", "HTTP/3.0", SLICE("GET / HTTP/3.0\r\n" HOST "\r\n"), "505 not HTTP/1" },
    { "2.3", "a version in lower case", SLICE("GET / http/1.1\r\n" HOST "\r\n"), "400 version" },
    { "2.3", "two digits", SLICE("GET / HTTP/1.10\r\n" HOST "\r\n"), "400 version" },
    { "2.3", "two digits before the dot", SLICE("GET / HTTP/01.1\r\n" HOST "\r\n"), "400 version" },
    { "2.3", "no minor", SLICE("GET / HTTP/1.\r\n" HOST "\r\n"), "400 version" },
    { "2.3", "a comma", SLICE("GET / HTTP/1,1\r\n" HOST "\r\n"), "400 version" },
    { "2.3", "another protocol", SLICE("GET / ICAP/1.1\r\n" HOST "\r\n"), "400 version" },
    { "2.3", "a letter before the dot", SLICE("GET / HTTP/x.1\r\n" HOST "\r\n"), "400 version" },
    { "2.3", "a letter", SLICE("GET / HTTP/1.x\r\n" HOST "\r\n"), "400 version" },
    { "3.2", "a target of no form", SLICE("GET a/b HTTP/1.1\r\n" HOST "\r\n"), "400 no known form" },
    { "3.2", "a fragment", SLICE("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), "400 target" },
    { "3.2", "a fragment in absolute-form", SLICE("GET http://b/#x HTTP/1.1\r\n" HOST "\r\n"), "400 target" },
    { "3.2", "NUL in the target", SLICE("GET /a\0b HTTP/1.1\r\n" HOST "\r\n"), "400 target" },
    { "3.2", "a byte above 0x7f in the target", SLICE("GET /\xc3\xbc HTTP/1.1\r\n" HOST "\r\n"), "400 target" },
    { "3.2", "DEL in the target", SLICE("GET /\x7f HTTP/1.1\r\n" HOST "\r\n"), "400 target" },
    { "3.2", "DEL far into a long target", SLICE("GET /23456789012345678901234567890\x7f HTTP/1.1\r\n" HOST "\r\n"), "400 target" },
    { "3.2", "a control byte in the query", SLICE("GET /?\x1f HTTP/1.1\r\n" HOST "\r\n"), "400 target" },
    { "3.2.2", "another scheme", SLICE("GET ftp://b/x HTTP/1.1\r\n" HOST "\r\n"), "400 no known form" },
    { "3.2.2", "one slash", SLICE("GET http:/b HTTP/1.1\r\n" HOST "\r\n"), "400 no known form" },
    { "3.2.2", "no authority", SLICE("GET http:///x HTTP/1.1\r\n" HOST "\r\n"), "400 authority" },
    { "3.2.2", "userinfo", SLICE("GET http://u:p@b/x HTTP/1.1\r\n" HOST "\r\n"), "400 authority" },
    { "3.2.2", "a port that is no number", SLICE("GET http://b:x/ HTTP/1.1\r\n" HOST "\r\n"), "400 authority" },
    { "3.2.2", "absolute-form still needs Host", SLICE("GET http://b/x HTTP/1.1\r\n\r\n"), "400 no Host" },
    { "3.2.2", "absolute-form still needs a valid Host", SLICE("GET http://b/x HTTP/1.1\r\nHost: a b\r\n\r\n"), "400 Host" },
    { "3.2.3", "authority-form", SLICE("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"), "405 CONNECT" },
    { "3.2.3", "authority-form with GET", SLICE("GET b:443 HTTP/1.1\r\n" HOST "\r\n"), "400 no known form" },
    { "3.2.4", "asterisk-form with GET", SLICE("GET * HTTP/1.1\r\n" HOST "\r\n"), "400 OPTIONS" },
    { "3.2.4", "an asterisk and more", SLICE("OPTIONS *x HTTP/1.1\r\n" HOST "\r\n"), "400 no known form" },
    { "3.2", "no Host", SLICE(GET "\r\n"), "400 no Host" },
    { "3.2", "no Host but X-Forwarded-Host", SLICE(GET "X-Forwarded-Host: a\r\n\r\n"), "400 no Host" },
    { "3.2", "two Hosts", SLICE(GET HOST "Host: b\r\n\r\n"), "400 Host more than once" },
    { "3.2", "two equal Hosts", SLICE(GET HOST HOST "\r\n"), "400 Host more than once" },
    { "3.2", "two Hosts in HTTP/1.0", SLICE("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), "400 Host more than once" },
    { "9110 4.2.1", "an empty Host", SLICE(GET "Host:\r\n\r\n"), "400 Host" },
    { "3.2", "Host with a path", SLICE(GET "Host: a/b\r\n\r\n"), "400 Host" },
    { "3.2", "Host with userinfo", SLICE(GET "Host: u@a\r\n\r\n"), "400 Host" },
    { "3.2", "Host with a blank", SLICE(GET "Host: a b\r\n\r\n"), "400 Host" },
    { "3.2", "Host with a list", SLICE(GET "Host: a, b\r\n\r\n"), "400 Host" },
    { "3.2", "Host with a quote", SLICE(GET "Host: a\"b\r\n\r\n"), "400 Host" },
    { "3.2", "Host with a backslash", SLICE(GET "Host: a\\b\r\n\r\n"), "400 Host" },
    { "3.2", "Host above 0x7f", SLICE(GET "Host: b\xc3\xbc\r\n\r\n"), "400 Host" },
    { "3.2", "Host with a port too large", SLICE(GET "Host: a:65536\r\n\r\n"), "400 Host" },
    { "3.2", "Host with a signed port", SLICE(GET "Host: a:+80\r\n\r\n"), "400 Host" },
    { "3.2", "Host with two ports", SLICE(GET "Host: a:80:81\r\n\r\n"), "400 Host" },
    { "3.2", "Host with only a port", SLICE(GET "Host: :80\r\n\r\n"), "400 Host" },
    { "3.2", "IPv6 without its bracket", SLICE(GET "Host: [::1\r\n\r\n"), "400 Host" },
    { "3.2", "IPv6 with text after it", SLICE(GET "Host: [::1]a\r\n\r\n"), "400 Host" },
    { "3.2", "IPv6 that is none", SLICE(GET "Host: [:::::]\r\n\r\n"), "400 Host" },
    { "3.2", "IPv6 with a zone", SLICE(GET "Host: [fe80::1%25eth0]\r\n\r\n"), "400 Host" },
    { "3986 2.1", "Host with half an encoded byte", SLICE(GET "Host: a%4\r\n\r\n"), "400 Host" },
    { "5", "no colon", SLICE(GET HOST "X\r\n\r\n"), "400 colon" },
    { "5", "no name", SLICE(GET HOST ": x\r\n\r\n"), "400 name" },
    { "5.1", "a blank before the colon", SLICE(GET "Host : a\r\n\r\n"), "400 name" },
    { "5.1", "a tab before the colon", SLICE(POST HOST "Content-Length\t: 5\r\n\r\n"), "400 name" },
    { "5.1", "a blank in a name", SLICE(POST HOST "Content Length: 5\r\n\r\n"), "400 name" },
    { "5.1", "a blank before the first name", SLICE(GET " Host: a\r\n\r\n"), "400 folded" },
    { "5.2", "a folded line", SLICE(GET HOST "X: a\r\n b\r\n\r\n"), "400 folded" },
    { "5.2", "a line folded by a tab", SLICE(GET HOST "X: a\r\n\tb\r\n\r\n"), "400 folded" },
    { "5.2", "a folded Transfer-Encoding", SLICE(POST HOST "Transfer-Encoding:\r\n chunked\r\n\r\n"), "400 folded" },
    { "5.2", "a line of one blank", SLICE(GET HOST " \r\n\r\n"), "400 folded" },
    { "9110 5.1", "a name above 0x7f", SLICE(GET HOST "X\xc3: 1\r\n\r\n"), "400 name" },
    { "9110 5.1", "NUL in a name", SLICE(GET HOST "X\0Y: 1\r\n\r\n"), "400 name" },
    { "9110 5.1", "a slash in a name", SLICE(GET HOST "X/Y: 1\r\n\r\n"), "400 name" },
    { "9110 5.5", "NUL in a value", SLICE(GET HOST "X: a\0b\r\n\r\n"), "400 control byte" },
    { "9110 5.5", "a vertical tab in a value", SLICE(POST HOST "Transfer-Encoding: \x0b" "chunked\r\n\r\n"), "400 control byte" },
    { "9110 5.5", "ESC in a value", SLICE(GET HOST "X: \x1b[31m\r\n\r\n"), "400 control byte" },
    { "9110 5.5", "DEL in a value", SLICE(GET HOST "X: \x7f\r\n\r\n"), "400 control byte" },
    { "9110 5.5", "a control byte far into a long value", SLICE(GET HOST "X: 0123456789012345678901234567890123456789\x01\r\n\r\n"), "400 control byte" },
    { "9110 5.5", "a control byte after a blank", SLICE(GET HOST "X: a \x01 \r\n\r\n"), "400 control byte" },
    { "6.1", "both lengths", SLICE(POST HOST "Content-Length: 5\r\n" TE "\r\n"), "400 together" },
    { "6.1", "both lengths, the other way round", SLICE(POST HOST TE "Content-Length: 5\r\n\r\n"), "400 together" },
    { "6.1", "both lengths, one 0", SLICE(POST HOST TE "Content-Length: 0\r\n\r\n"), "400 together" },
    { "6.1", "Transfer-Encoding twice", SLICE(POST HOST TE TE "\r\n"), "400 Transfer-Encoding more than once" },
    { "6.1", "identity beside chunked", SLICE(POST HOST TE "Transfer-Encoding: identity\r\n\r\n"), "400 Transfer-Encoding more than once" },
    { "6.1", "Transfer-Encoding in HTTP/1.0", SLICE("POST / HTTP/1.0\r\n" TE "\r\n"), "400 HTTP/1.0" },
    { "6.1", "gzip before chunked", SLICE(POST HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"), "501 transfer coding" },
    { "6.1", "chunked twice in a list", SLICE(POST HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"), "501 transfer coding" },
    { "6.1", "identity", SLICE(POST HOST "Transfer-Encoding: identity\r\n\r\n"), "501 transfer coding" },
    { "6.1", "a coding that starts like chunked", SLICE(POST HOST "Transfer-Encoding: chunkedx\r\n\r\n"), "501 transfer coding" },
    { "6.1", "a coding that ends like chunked", SLICE(POST HOST "Transfer-Encoding: xchunked\r\n\r\n"), "501 transfer coding" },
    { "6.1", "a parameter", SLICE(POST HOST "Transfer-Encoding: chunked;x=1\r\n\r\n"), "501 transfer coding" },
    { "6.1", "quoted", SLICE(POST HOST "Transfer-Encoding: \"chunked\"\r\n\r\n"), "501 transfer coding" },
    { "6.1", "a comma before", SLICE(POST HOST "Transfer-Encoding: ,chunked\r\n\r\n"), "501 transfer coding" },
    { "6.1", "an empty Transfer-Encoding", SLICE(POST HOST "Transfer-Encoding:\r\n\r\n"), "501 transfer coding" },
    { "6.3", "two lengths", SLICE(POST HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), "400 Content-Length more than once" },
    { "6.3", "two equal lengths", SLICE(POST HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), "400 Content-Length more than once" },
    { "6.3", "a list of lengths", SLICE(POST HOST "Content-Length: 5, 5\r\n\r\n"), "400 not a number" },
    { "6.3", "a plus sign", SLICE(POST HOST "Content-Length: +5\r\n\r\n"), "400 not a number" },
    { "6.3", "a minus sign", SLICE(POST HOST "Content-Length: -5\r\n\r\n"), "400 not a number" },
    { "6.3", "a hexadecimal length", SLICE(POST HOST "Content-Length: 0x5\r\n\r\n"), "400 not a number" },
    { "6.3", "a fraction", SLICE(POST HOST "Content-Length: 5.0\r\n\r\n"), "400 not a number" },
    { "6.3", "a blank within", SLICE(POST HOST "Content-Length: 5 0\r\n\r\n"), "400 not a number" },
    { "6.3", "an underscore within", SLICE(POST HOST "Content-Length: 1_0\r\n\r\n"), "400 not a number" },
    { "6.3", "an empty length", SLICE(POST HOST "Content-Length:\r\n\r\n"), "400 not a number" },
    { "6.3", "2^63", SLICE(POST HOST "Content-Length: 9223372036854775808\r\n\r\n"), "400 not a number" },
    { "6.3", "2^64 + 5", SLICE(POST HOST "Content-Length: 18446744073709551621\r\n\r\n"), "400 not a number" },
    { "9110 10.1.1", "another expectation", SLICE(POST HOST "Expect: tea\r\n\r\n"), "417 100-continue" },
    { "9110 10.1.1", "another expectation behind the known one", SLICE(POST HOST "Expect: 100-continue\r\nExpect: tea\r\n\r\n"), "417 100-continue" },
    { "11.2", "Content_Length, as some backends read it", SLICE(POST HOST "Content_Length: 5\r\n\r\n"), "400 underscore" },
    { "11.2", "Transfer_Encoding", SLICE(POST HOST "transfer_encoding: chunked\r\n\r\n"), "400 underscore" },
    { "11.2", "X_Forwarded-For", SLICE(GET HOST "X_Forwarded-For: 127.0.0.1\r\n\r\n"), "400 underscore" },
};

/* clang-format on */

/* ---- one parse ---- */

struct outcome {
    enum h1_result result;
    size_t consumed;
    struct dump dump;
};

static void parse(struct slice input, const struct h1_limits *limits, struct h1_scan *scan,
                  struct outcome *out) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct h1_problem problem = { 0 };
    char *copy = exact_copy(input);
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    out->consumed = 0;
    out->result =
        h1_parse_request(slice_of(copy, input.len), limits, scan, &head, &out->consumed, &problem);
    out->dump.len = 0;
    if (out->result == H1_DONE) {
        dump_request(&out->dump, &head);
    } else if (out->result == H1_BAD) {
        dump_add(&out->dump, "%u %s", problem.status, problem.reason);
    }
    free(copy);
}

static void parse_whole(struct slice input, struct outcome *out) {
    struct h1_scan scan = { 0 };
    parse(input, &h1_limits_default, &scan, out);
}

/* As a slow network brings it: one more byte at each call. */
static void parse_dribbled(struct slice input, struct outcome *out) {
    struct h1_scan scan = { 0 };
    for (size_t len = 0; len <= input.len; len++) {
        parse(slice_sub(input, 0, len), &h1_limits_default, &scan, out);
        if (out->result != H1_MORE) {
            return;
        }
    }
}

static void check_twin(const struct request_case *c, const struct outcome *whole) {
    struct outcome dribbled;
    parse_dribbled(c->input, &dribbled);
    if (dribbled.result != whole->result || dribbled.consumed != whole->consumed ||
        strcmp(dribbled.dump.text, whole->dump.text) != 0) {
        fail_msg("%s (%s): whole '%s', byte by byte '%s'", c->name, c->section, whole->dump.text,
                 dribbled.dump.text);
    }
}

static void accepts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        const struct request_case *c = &accepted[i];
        struct outcome whole;
        parse_whole(c->input, &whole);
        if (whole.result != H1_DONE || strcmp(whole.dump.text, c->expected) != 0) {
            fail_msg("%s (%s): '%s', not '%s'", c->name, c->section, whole.dump.text, c->expected);
        }
        check_twin(c, &whole);
    }
}

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const struct request_case *c = &refused[i];
        struct outcome whole;
        parse_whole(c->input, &whole);
        if (whole.result != H1_BAD || strncmp(whole.dump.text, c->expected, 4) != 0 ||
            strstr(whole.dump.text, c->expected + 4) == NULL) {
            fail_msg("%s (%s): result %d '%s', not '%s'", c->name, c->section, whole.result,
                     whole.dump.text, c->expected);
        }
        check_twin(c, &whole);
    }
}

/* ---- limits ---- */

static void holds_limits(void **state) {
    static const struct {
        const char *name;
        struct slice input;
        struct h1_limits limits;
        const char *expected;
    } cases[] = {
        { "head exactly at the limit",
          SLICE(GET HOST "\r\n"),
          { 27, 10, 99, 0 },
          "GET a / none keep" },
        { "head one byte over", SLICE(GET HOST "\r\n"), { 26, 10, 99, 0 }, "431 limits.head" },
        { "head over, its end not yet here",
          SLICE(GET "X: 0123456789"),
          { 20, 10, 99, 0 },
          "431 limits.head" },
        { "request line over",
          SLICE("GET /0123456789012345678"),
          { 20, 10, 99, 0 },
          "414 limits.target" },
        { "the next request does not count",
          SLICE(GET HOST "\r\n" GET HOST "\r\n"),
          { 27, 10, 99, 0 },
          "GET a / none keep" },
        { "nor does the empty line before",
          SLICE("\r\n" GET HOST "\r\n"),
          { 27, 10, 99, 0 },
          "GET a / none keep" },
        { "target at the limit",
          SLICE("GET /234 HTTP/1.1\r\n" HOST "\r\n"),
          { 99, 10, 4, 0 },
          "GET a /234 none keep" },
        { "target over",
          SLICE("GET /2345 HTTP/1.1\r\n" HOST "\r\n"),
          { 99, 10, 4, 0 },
          "414 limits.target" },
        { "fields at the limit",
          SLICE(GET HOST "X: 1\r\n\r\n"),
          { 99, 2, 99, 0 },
          "GET a / none keep [X=1]" },
        { "fields over",
          SLICE(GET HOST "X: 1\r\nY: 2\r\n\r\n"),
          { 99, 2, 99, 0 },
          "431 limits.fields" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct h1_scan scan = { 0 };
        struct outcome out;
        parse(cases[i].input, &cases[i].limits, &scan, &out);
        bool same = out.result == H1_BAD ? strstr(out.dump.text, cases[i].expected + 4) != NULL &&
                                               strncmp(out.dump.text, cases[i].expected, 4) == 0
                                         : strcmp(out.dump.text, cases[i].expected) == 0;
        if (!same) {
            fail_msg("%s: '%s', not '%s'", cases[i].name, out.dump.text, cases[i].expected);
        }
    }
}

static void holds_the_array(void **state) {
    struct http_field fields[2];
    struct http_head head;
    struct h1_scan scan = { 0 };
    struct h1_problem problem;
    size_t consumed;
    (void)state;
    http_head_init(&head, fields, 2);
    assert_int_equal(h1_parse_request(SLICE(GET HOST "X: 1\r\nY: 2\r\n\r\n"), &h1_limits_default,
                                      &scan, &head, &consumed, &problem),
                     H1_BAD);
    assert_int_equal(problem.status, 431);
}

/* ---- pipelining ---- */

static void takes_one_request_at_a_time(void **state) {
    struct slice rest = SLICE("GET /1 HTTP/1.1\r\n" HOST "\r\n"
                              "POST /2 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n"
                              "\r\n" /* the body: looks like the empty line before a request */
                              "\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n"
                              "GET /4 HT");
    static const char *const expected[] = { "GET a /1 none keep", "POST a /2 length:2 keep",
                                            "GET a /3 none keep" };
    struct outcome out;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        parse_whole(rest, &out);
        assert_int_equal(out.result, H1_DONE);
        assert_string_equal(out.dump.text, expected[i]);
        rest = slice_skip(rest, out.consumed + (i == 1 ? 2 : 0));
    }
    parse_whole(rest, &out);
    assert_int_equal(out.result, H1_MORE);
    assert_true(slice_equal(rest, SLICE("GET /4 HT")));
}

static void asks_for_more(void **state) {
    static const struct slice beginnings[] = {
        { "", 0 }, { "\r", 1 }, { "\r\n", 2 }, { "G", 1 }, { "GET / HTTP/1.1\r", 15 },
    };
    struct outcome out;
    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        parse_whole(beginnings[i], &out);
        assert_int_equal(out.result, H1_MORE);
    }
}

/* A head that comes in small pieces must not be searched from its start each time. */
static void goes_on_where_it_stopped(void **state) {
    struct h1_scan scan = { 0 };
    struct outcome out;
    (void)state;
    parse(SLICE(GET HOST "X: 12"), &h1_limits_default, &scan, &out);
    assert_int_equal(out.result, H1_MORE);
    assert_int_equal(scan.scanned, sizeof(GET HOST "X: 12") - 1);
    assert_int_equal(scan.line_start, sizeof(GET HOST) - 1);
}

/* The empty line before a request comes in two parts, and more with the second. */
static void searches_all_after_half_an_empty_line(void **state) {
    struct h1_scan scan = { 0 };
    struct outcome out;
    (void)state;
    parse(SLICE("\r"), &h1_limits_default, &scan, &out);
    assert_int_equal(out.result, H1_MORE);
    parse(SLICE("\r\n\n" GET HOST "\r\n"), &h1_limits_default, &scan, &out);
    assert_int_equal(out.result, H1_BAD);
    assert_non_null(strstr(out.dump.text, "LF without CR"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(holds_limits),
        cmocka_unit_test(holds_the_array),
        cmocka_unit_test(takes_one_request_at_a_time),
        cmocka_unit_test(asks_for_more),
        cmocka_unit_test(goes_on_where_it_stopped),
        cmocka_unit_test(searches_all_after_half_an_empty_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
