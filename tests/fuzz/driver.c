/* Runs a fuzz target over its corpus without libFuzzer: every file of the folders given. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        return 1;
    }
    long size = ftell(file);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1); /* exact: reading past it is seen */
    rewind(file);
    int failed = size < 0 || data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size;
    fclose(file);
    if (!failed) {
        LLVMFuzzerTestOneInput(data, (size_t)size);
    }
    free(data);
    return failed;
}

static int run_folder(const char *folder, unsigned *files) {
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        perror(folder);
        return 1;
    }
    int failed = 0;
    /* cppcheck-suppress readdirCalled; readdir_r is obsolete, and nobody shares the stream */
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        char path[4096];
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            failed |= run_file(path);
            ++*files;
        }
    }
    closedir(entries);
    return failed;
}

int main(int argc, char **argv) {
    unsigned files = 0;
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed |= run_folder(argv[i], &files);
    }
    printf("%u inputs\n", files);
    return failed || files == 0; /* an empty corpus tests nothing */
}
