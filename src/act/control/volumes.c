#include "act/control/volumes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "act/control/state_file.h"

#define VERSION 1

static struct volume *find(struct volumes *v, const char *path) {
    for (size_t i = 0; i < VOLUMES_MAX; i++) {
        if (v->list[i].path != NULL && strcmp(v->list[i].path, path) == 0) {
            return &v->list[i];
        }
    }
    return NULL;
}

static struct volume *take(struct volumes *v, const char *path) {
    for (size_t i = 0; i < VOLUMES_MAX; i++) {
        struct volume *volume = &v->list[i];
        if (volume->path == NULL && (volume->path = strdup(path)) != NULL) {
            storage_init(&volume->storage);
            return volume;
        }
    }
    return NULL;
}

bool volumes_add(struct volumes *v, const struct storage_config *config, bool configured) {
    struct volume *volume = find(v, config->path);
    bool fresh = volume == NULL;
    if (fresh && (volume = take(v, config->path)) == NULL) {
        return false;
    }
    volume->policy = storage_config_policy(config);
    volume->configured = configured;
    return fresh;
}

void volumes_fini(struct volumes *v) {
    for (size_t i = 0; i < VOLUMES_MAX; i++) {
        volume_look_free(v->list[i].look);
        free(v->list[i].path);
        v->list[i] = (struct volume){ .path = NULL };
    }
}

bool volumes_is_double(const struct volumes *v, const struct volume *volume) {
    for (size_t i = 0; i < VOLUMES_MAX && !volume->configured && volume->seen; i++) {
        const struct volume *other = &v->list[i];
        if (other->path != NULL && other->configured && other->seen &&
            other->device == volume->device) {
            return true;
        }
    }
    return false;
}

/* ---- the file ---- */

/* Pairs of time and bytes; what is no such thing, or is not of the past, is left out. */
static void remember(struct volume *volume, const json_t *points, int64_t now_ms) {
    for (size_t i = 0; i + 1 < json_array_size(points); i += 2) {
        const json_t *time = json_array_get(points, i), *used = json_array_get(points, i + 1);
        int64_t time_ms = json_integer_value(time);
        double bytes = json_number_value(used);
        if (json_is_integer(time) && json_is_number(used) && time_ms > 0 && time_ms < now_ms &&
            bytes >= 0) {
            storage_remember(&volume->storage, time_ms, bytes);
        }
    }
}

bool volumes_read(struct volumes *v, const char *folder, int64_t now_ms, struct error *err) {
    json_t *root;
    if (!state_file_read(folder, VOLUMES_FILE, &root, err)) {
        return false;
    }
    const json_t *list = json_object_get(root, "volumes"), *item;
    bool good = root == NULL || (json_is_array(list) &&
                                 json_integer_value(json_object_get(root, "version")) == VERSION);
    size_t i;
    json_array_foreach (list, i, item) {
        const char *path = json_string_value(json_object_get(item, "path"));
        struct volume *volume = good && path != NULL ? find(v, path) : NULL;
        if (volume != NULL) {
            remember(volume, json_object_get(item, "points"), now_ms);
        }
    }
    json_decref(root);
    return good || error_set(err, ERROR_INVALID, "%s/" VOLUMES_FILE " is not of volumes", folder);
}

static json_t *points_of(const struct volume *volume) {
    json_t *points = json_array();
    struct storage_point point;
    bool whole = true;
    for (size_t i = 0; whole && storage_recall(&volume->storage, i, &point); i++) {
        whole = json_array_append_new(points, json_integer(point.time_ms)) == 0 &&
                json_array_append_new(points, json_real(point.used_bytes)) == 0;
    }
    if (!whole) {
        json_decref(points);
    }
    return whole ? points : NULL;
}

bool volumes_write(const struct volumes *v, const char *folder, struct error *err) {
    json_t *list = json_array();
    bool whole = true;
    for (size_t i = 0; i < VOLUMES_MAX && whole; i++) {
        whole = v->list[i].path == NULL ||
                json_array_append_new(list, json_pack("{s:s, s:o}", "path", v->list[i].path,
                                                      "points", points_of(&v->list[i]))) == 0;
    }
    if (!whole) { /* rather the file of before than a part */
        json_decref(list);
        list = NULL;
    }
    return state_file_write(folder, VOLUMES_FILE,
                            json_pack("{s:i, s:o}", "version", VERSION, "volumes", list), err);
}
