/* Who asks: from the connection, or from what a trusted proxy says. */
#include <arpa/inet.h>
#include <string.h>

#include "act/proxy/exchange.h"

void client_info_set_ip(struct client_info *who, const uint8_t ip[16]) {
    static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
    memcpy(who->ip, ip, sizeof who->ip);
    who->is_v6 = memcmp(who->ip, v4_prefix, sizeof v4_prefix) != 0;
    inet_ntop(who->is_v6 ? AF_INET6 : AF_INET, who->ip + (who->is_v6 ? 0 : 12), who->ip_text,
              sizeof who->ip_text);
    who->ip_text_len = (uint8_t)strlen(who->ip_text);
}

void client_info_init(struct client_info *who, const struct address *peer, uint8_t protocol) {
    uint8_t ip[16];
    *who = (struct client_info){ .protocol = protocol, .port = address_port(peer) };
    address_ip(peer, ip);
    client_info_set_ip(who, ip);
    if (peer->len > 0 && peer->storage.ss_family == AF_UNIX) { /* RFC 7239 6.2 */
        memcpy(who->ip_text, "unknown", 8);
        who->ip_text_len = 7;
        who->is_v6 = false;
    }
}
