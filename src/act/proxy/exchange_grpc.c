/* What a gRPC call needs of the exchange: its client's deadline, and answers of our own in its
 * words. */
#include "act/proxy/exchange_internal.h"
#include "base/parse.h"
#include "wire/http/date.h"
#include "wire/http/grpc.h"

void exchange_read_grpc(struct exchange *x) {
    const struct http_field *timeout;
    uint64_t us;
    if (!grpc_is_request(&x->request)) {
        return;
    }
    x->grpc = true;
    timeout = http_head_find_name(&x->request, SLICE("grpc-timeout"));
    if (timeout != NULL && grpc_timeout_us(timeout->value, &us)) {
        x->deadline_us = x->started_us + us;
    }
}

uint16_t exchange_grpc_means(const struct http_head *head) {
    const struct http_field *said = http_head_find_name(head, SLICE("grpc-status"));
    uint64_t status;
    bool unavailable = head->status == 200 && said != NULL && parse_uint(said->value, &status) &&
                       status == GRPC_UNAVAILABLE;
    return unavailable ? 503 : head->status;
}

void exchange_answer_grpc(struct exchange *x, uint16_t status, const char *why) {
    struct http_field fields[5];
    struct http_head head;
    char digits[2];
    unsigned code =
        x->record.reason == REASON_RATE_LIMITED ? GRPC_RESOURCE_EXHAUSTED : grpc_status_of(status);
    digits[0] = (char)('0' + code / 10);
    digits[1] = (char)('0' + code % 10);
    http_head_init(&head, fields, 5);
    head.version = 20;
    head.status = 200;
    head.keep_alive = true;
    head.framing = HTTP_BODY_NONE; /* all that follows would be trailers: they stand in the head */
    http_head_add(&head, SLICE("content-type"), SLICE("application/grpc"));
    http_head_add(&head, SLICE("grpc-status"),
                  code < 10 ? slice_of(digits + 1, 1) : slice_of(digits, 2));
    http_head_add(&head, SLICE("grpc-message"), slice_from(why));
    http_head_add(&head, SLICE("date"), http_date_now(worker_unix_ms(x->worker) / 1000));
    x->client->ops->send_head(x->client, &head);
    x->client->ops->send_end(x->client, NULL);
    exchange_finish(x, true);
}
