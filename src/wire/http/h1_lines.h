/* What request, response and trailers share: lines that end in CRLF, and fields in them. */
#pragma once
#include "wire/http/h1.h"

/* Looks for the empty line that ends a block of lines, from where the last search stopped.
 * H1_DONE: *end is the byte after it. H1_BAD: a line ends without CR. */
enum h1_result h1_find_end(struct slice input, struct h1_scan *scan, size_t *end,
                           struct h1_problem *problem);

/* One line without its CRLF off the front of `rest`, which holds what h1_find_end has found: whole
 * lines, each LF after a CR. False when a CR stands without LF. */
bool h1_take_line(struct slice *rest, struct slice *line, struct h1_problem *problem);

/* Parses field lines until the empty one. `limits->fields` bounds them (431). */
bool h1_parse_fields(struct slice *rest, const struct h1_limits *limits, struct http_head *head,
                     struct h1_problem *problem);

/* Sets keep_alive and upgrade from version, Connection and Upgrade. */
void h1_read_connection(struct http_head *head);

bool h1_refuse(struct h1_problem *problem, uint16_t status, const char *reason); /* false */

/* "HTTP/1.1" into head->version. */
bool h1_parse_version(struct slice text, struct http_head *head, struct h1_problem *problem);

/* Transfer-Encoding and Content-Length into has_content_length, content_length; *chunked. */
bool h1_read_framing(struct http_head *head, bool *chunked, struct h1_problem *problem);
