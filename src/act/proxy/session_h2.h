/* A client's connection that speaks HTTP/2: many streams, each with an exchange of its own. It
 * begins as every connection does (session_h1.c) and goes over to HTTP/2 when the client's first
 * bytes are the preface (prior knowledge), or when TLS has agreed on "h2" (ALPN). */
#pragma once
#include <stdbool.h>

#include "act/proxy/session_h1_internal.h"

/* From here on `session`, on which nothing was said yet, is HTTP/2: what comes goes to the socket's
 * new handler. False when memory is out: the connection is closed. */
bool session_h2_begin(struct session *session);

/* It has carried nothing for so long, nor the beginning of anything. */
bool session_h2_is_idle(const struct session *session, uint64_t idle_us);
/* A head is in parts for `idle_us`, or it has streams of which none gets on for `stalled_us`. */
bool session_h2_is_stalled(const struct session *session, uint64_t idle_us, uint64_t stalled_us);
/* As session_drain and session_retire (session.h). */
void session_h2_drain(struct session *session, bool now);
void session_h2_retire(struct session *session, uint64_t idle_us);
