/* How many CPUs the cgroups leave this process. */
#pragma once

/* The least of what its own group and all groups above it allow, in CPUs (1.5 is a CPU and a half);
 * INFINITY where nobody set a quota. Versions 1 and 2 of cgroups, both at once as well, seen from
 * the host or from within a container. `root` is "" or a folder that stands for "/" (tests). */
double cpu_quota(const char *root);
