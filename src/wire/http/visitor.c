#include "wire/http/visitor.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/parse.h"

static bool is_port(struct slice text) {
    uint64_t port;
    return text.len > 0 && text.len <= 5 && parse_uint(text, &port) && port <= UINT16_MAX;
}

static bool parse_ip(struct slice text, int family, uint8_t ip[16]) {
    char host[INET6_ADDRSTRLEN];
    uint8_t parsed[16] = { [10] = 0xff, [11] = 0xff };
    if (!slice_copy_text(text, host, sizeof host) ||
        inet_pton(family, host, family == AF_INET ? parsed + 12 : parsed) != 1) {
        return false;
    }
    memcpy(ip, parsed, 16);
    return true;
}

bool visitor_parse_node(struct slice text, uint8_t ip[16]) {
    if (text.len > 0 && text.data[0] == '[') {
        size_t close = slice_find(text, ']');
        if (close == SLICE_NONE) {
            return false;
        }
        struct slice rest = slice_skip(text, close + 1);
        bool ended = rest.len == 0 || (rest.data[0] == ':' && is_port(slice_skip(rest, 1)));
        return ended && parse_ip(slice_sub(text, 1, close - 1), AF_INET6, ip);
    }
    size_t colon = slice_find(text, ':');
    if (colon == SLICE_NONE) {
        return parse_ip(text, AF_INET, ip);
    }
    struct slice rest = slice_skip(text, colon + 1);
    if (slice_find(rest, ':') != SLICE_NONE) {
        return parse_ip(text, AF_INET6, ip);
    }
    return is_port(rest) && parse_ip(slice_sub(text, 0, colon), AF_INET, ip);
}

/* Takes the last element of a list off its end. Commas in quotes do not separate: seen from the
 * right a quote may be an escaped one, so the list is read from the left. */
static bool cut_last(struct slice *list, struct slice *element) {
    size_t start = 0;
    bool quoted = false;
    if (list->len == 0) {
        return false;
    }
    for (size_t i = 0; i < list->len; i++) {
        char c = list->data[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            start = i + 1;
        }
    }
    *element = slice_trim(slice_skip(*list, start));
    *list = slice_sub(*list, 0, start > 0 ? start - 1 : 0);
    return true;
}

/* The value of for= in "for=192.0.2.1;proto=https", without its quotes. */
static bool node_of_element(struct slice element, struct slice *node) {
    struct slice pair;
    while (slice_cut(&element, ';', &pair)) {
        pair = slice_trim(pair);
        if (!slice_equal_fold(slice_sub(pair, 0, 4), SLICE("for="))) {
            continue;
        }
        *node = slice_skip(pair, 4);
        if (node->len >= 2 && node->data[0] == '"' && node->data[node->len - 1] == '"') {
            *node = slice_sub(*node, 1, node->len - 2);
        }
        return true;
    }
    return false;
}

/* False: the hop does not say, and nothing left of it is to be believed. */
static bool read_hop(enum http_field_id field, struct slice element, uint8_t ip[16]) {
    struct slice node = element;
    return (field != HTTP_FIELD_FORWARDED || node_of_element(element, &node)) &&
           visitor_parse_node(node, ip);
}

bool visitor_find(const struct http_head *head, enum http_field_id field,
                  const struct visitor_trust *trust, uint8_t ip[16]) {
    unsigned hops = 0;
    bool found = false;
    for (size_t i = head->field_count; i-- > 0;) {
        struct slice list = head->fields[i].value, element;
        while (head->fields[i].id == field && cut_last(&list, &element)) {
            if (hops++ == VISITOR_HOPS_MAX || !read_hop(field, element, ip)) {
                return found;
            }
            found = true;
            if (!trust->trusts(trust->self, ip)) {
                return true;
            }
        }
    }
    return found;
}
