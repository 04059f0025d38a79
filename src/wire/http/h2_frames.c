/* A look at each frame's head before nghttp2 has it. nghttp2 forgives what RFC 9113 does not: it
 * forgets streams when they are closed and, told that RFC 7540's priorities are not used, does not
 * read PRIORITY at all. Neither does it tell us of such frames, which would be a flood for free. */
#include <string.h>

#include "wire/http/h2_internal.h"

#define RESET_GRACE_US 10000000 /* far more than a round trip */

void h2_frames_init(struct h2 *h2) {
    h2->payload_left = h2->role == H2_SERVER ? (uint32_t)H2_PREFACE.len : 0;
}

static size_t refuse(struct h2 *h2, uint32_t code, const char *why) {
    h2->trouble_code = code;
    h2->trouble = why;
    return 0;
}

static uint32_t read_31(const uint8_t *at) {
    return ((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]) &
           INT32_MAX;
}

static bool is_priority(const struct h2 *h2) {
    return h2->frame_head[3] == NGHTTP2_PRIORITY;
}

static bool is_known(const struct h2 *h2, uint32_t id) {
    return nghttp2_session_find_stream(h2->session, (int32_t)id) != NULL;
}

/* After a reset of ours the peer cannot know of it at once: for a while it may go on. */
static bool may_be_late(const struct h2 *h2) {
    return h2->now_us - h2->own_reset_us < RESET_GRACE_US;
}

/* What nghttp2 throws away without a word. */
static bool look_at_stray(struct h2 *h2, uint32_t id) {
    uint8_t type = h2->frame_head[3];
    bool message = type == NGHTTP2_HEADERS || type == NGHTTP2_DATA;
    bool closed = id % 2 == 1 && id <= (uint32_t)h2->last_id && !is_known(h2, id);
    if (message && closed && !may_be_late(h2)) {
        refuse(h2, NGHTTP2_STREAM_CLOSED, "a frame on a closed stream (RFC 9113 5.1)");
        return false;
    }
    bool unknown = type > NGHTTP2_CONTINUATION && type != NGHTTP2_PRIORITY_UPDATE;
    bool stray = unknown || (closed && (message || type == NGHTTP2_RST_STREAM));
    return !stray || h2_calm_count(h2, H2_NUISANCE_EMPTY);
}

static bool look_at_priority(struct h2 *h2, uint32_t id) {
    if (id == 0) {
        refuse(h2, NGHTTP2_PROTOCOL_ERROR, "PRIORITY of stream 0 (RFC 9113 6.3)");
        return false;
    }
    if (h2->frame_head_len == H2_FRAME_SEEN_BYTES &&
        read_31(h2->frame_head + H2_FRAME_HEAD_BYTES) == id) {
        refuse(h2, NGHTTP2_PROTOCOL_ERROR, "a stream that depends on itself (RFC 7540 5.3.1)");
        return false;
    }
    return h2_calm_count(h2, H2_NUISANCE_PRIORITY);
}

/* False with trouble set. */
static bool look(struct h2 *h2) {
    uint32_t id = read_31(h2->frame_head + 5);
    if (h2->role == H2_CLIENT) {
        return true;
    }
    if (is_priority(h2)) {
        return look_at_priority(h2, id);
    }
    if (h2->frame_head[3] == NGHTTP2_WINDOW_UPDATE) {
        return h2_calm_count(h2, H2_NUISANCE_WINDOW);
    }
    return look_at_stray(h2, id);
}

/* Copies up to `wanted` bytes of the head; false when they have not all come. */
static bool collect(struct h2 *h2, struct slice bytes, size_t *used, size_t wanted) {
    while (h2->frame_head_len < wanted && *used < bytes.len) {
        h2->frame_head[h2->frame_head_len++] = (uint8_t)bytes.data[(*used)++];
    }
    return h2->frame_head_len >= wanted;
}

size_t h2_frames_next(struct h2 *h2, struct slice bytes) {
    size_t used = 0;
    if (h2->payload_left == 0) {
        if (!collect(h2, bytes, &used, H2_FRAME_HEAD_BYTES)) {
            return used;
        }
        const uint8_t *head = h2->frame_head;
        uint32_t len = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
        bool longer = is_priority(h2) && len >= H2_FRAME_SEEN_BYTES - H2_FRAME_HEAD_BYTES;
        if (longer && !collect(h2, bytes, &used, H2_FRAME_SEEN_BYTES)) {
            return used;
        }
        if (!look(h2)) {
            return 0;
        }
        h2->payload_left = len - (h2->frame_head_len - H2_FRAME_HEAD_BYTES);
        h2->frame_head_len = 0;
    }
    size_t rest = bytes.len - used;
    size_t taken = rest < h2->payload_left ? rest : h2->payload_left;
    h2->payload_left -= (uint32_t)taken;
    return used + taken;
}
