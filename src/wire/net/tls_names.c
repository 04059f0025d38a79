/* Which certificates a name gets. For each name of any pair: the first RSA, the first ECDSA and the
 * first Ed25519 pair that name it, else the first whose wildcard covers it. Equal sets share one
 * context. */
#include <stdlib.h>
#include <string.h>

#include "wire/net/tls_internal.h"

enum cover { COVER_NONE, COVER_WILDCARD, COVER_EXACT };

static enum cover cover_of(const struct tls_parsed *p, const char *name, const char *parent) {
    enum cover best = COVER_NONE;
    for (unsigned i = 0; i < p->name_count; i++) {
        const char *own = p->names[i];
        if (strcmp(own, name) == 0) {
            return COVER_EXACT;
        }
        if (parent != NULL && own[0] == '*' && own[1] == '.' && strcmp(own + 2, parent) == 0) {
            best = COVER_WILDCARD;
        }
    }
    return best;
}

/* A wildcard stands for one whole label. */
static const char *parent_of(const char *name) {
    const char *dot = strchr(name, '.');
    return dot == NULL || dot == name || dot[1] == '\0' ? NULL : dot + 1;
}

/* The index of the set; a new one if need be. */
static unsigned choice_of(struct tls_server *s, const int pairs[TLS_KINDS]) {
    for (size_t i = 0; i < s->choice_count; i++) {
        if (memcmp(s->choices[i].pairs, pairs, sizeof s->choices[i].pairs) == 0) {
            return (unsigned)i;
        }
    }
    memcpy(s->choices[s->choice_count].pairs, pairs, sizeof s->choices[0].pairs);
    return (unsigned)s->choice_count++;
}

static unsigned choose_for(struct tls_server *s, const char *name) {
    int pairs[TLS_KINDS] = { -1, -1, -1 };
    enum cover best[TLS_KINDS] = { COVER_NONE, COVER_NONE, COVER_NONE };
    const char *parent = parent_of(name);
    for (size_t i = 0; i < s->pair_count; i++) {
        enum cover cover = cover_of(s->pairs[i], name, parent);
        unsigned kind = s->pairs[i]->kind;
        if (cover > best[kind]) {
            best[kind] = cover;
            pairs[kind] = (int)i;
        }
    }
    return choice_of(s, pairs);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct tls_name *)a)->name, ((const struct tls_name *)b)->name);
}

/* Who asks for no name, or for one that nobody has: the first pair, and those of other kinds that
 * share its first name. */
static void choose_default(struct tls_server *s) {
    const struct tls_parsed *first = s->pairs[0];
    if (first->name_count > 0) {
        int pairs[TLS_KINDS];
        unsigned with_others = choose_for(s, first->names[0]);
        memcpy(pairs, s->choices[with_others].pairs, sizeof pairs);
        pairs[first->kind] = 0;
        s->choice_count = 0;
        choice_of(s, pairs);
    } else {
        int pairs[TLS_KINDS] = { -1, -1, -1 };
        pairs[first->kind] = 0;
        choice_of(s, pairs);
    }
}

bool tls_names_build(struct tls_server *s) {
    size_t most = 0;
    for (size_t i = 0; i < s->pair_count; i++) {
        most += s->pairs[i]->name_count;
    }
    s->names = calloc(most + 1, sizeof *s->names);
    s->choices = calloc(most + 1, sizeof *s->choices);
    if (s->names == NULL || s->choices == NULL) {
        return false;
    }
    choose_default(s);
    for (size_t i = 0; i < s->pair_count; i++) {
        for (unsigned k = 0; k < s->pairs[i]->name_count; k++) {
            const char *name = s->pairs[i]->names[k];
            s->names[s->name_count++] = (struct tls_name){ name, choose_for(s, name) };
        }
    }
    qsort(s->names, s->name_count, sizeof *s->names, by_name);
    return true;
}

static const struct tls_choice *look_up(const struct tls_server *s, const char *name) {
    const struct tls_name key = { name, 0 };
    const struct tls_name *found =
        bsearch(&key, s->names, s->name_count, sizeof *s->names, by_name);
    return found == NULL ? NULL : &s->choices[found->choice];
}

const struct tls_choice *tls_names_find(const struct tls_server *s, const char *name) {
    char lower[TLS_NAME_BYTES], wildcard[TLS_NAME_BYTES + 2];
    const struct tls_choice *found = NULL;
    if (name != NULL && tls_name_lower(name, strlen(name), lower)) {
        const char *parent = parent_of(lower);
        found = look_up(s, lower);
        if (found == NULL && parent != NULL) {
            wildcard[0] = '*';
            wildcard[1] = '.';
            memcpy(wildcard + 2, parent, strlen(parent) + 1);
            found = look_up(s, wildcard);
        }
    }
    return found != NULL ? found : &s->choices[0];
}
