/* Inside of the guard. Each returns 0, or an errno. */
#pragma once
#include "act/guard/guard.h"

/* Sanitizers ask the kernel for more than we do: they read /proc, trace us at the end to find
 * leaks, and reserve terabytes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GUARD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define GUARD_SANITIZED 1
#endif
#endif
#ifndef GUARD_SANITIZED
#define GUARD_SANITIZED 0
#endif

int guard_forbid_files(void);                         /* files.c */
int guard_list_calls(_Atomic uint32_t *refused_call); /* calls.c */
