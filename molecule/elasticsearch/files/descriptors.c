/* Loaded before the C library of a program: it is told that it may have 65,535 file descriptors.
 *
 * A member of Elasticsearch that speaks to others refuses to start with fewer, and a container on a machine without
 * CAP_SYS_RESOURCE cannot be given more than the machine has. The drill uses a few hundred.
 */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int getrlimit64(__rlimit_resource_t resource, struct rlimit64 *limit)
{
    if (syscall(SYS_prlimit64, 0, resource, NULL, limit) != 0)
        return -1;
    if (resource == RLIMIT_NOFILE && limit->rlim_max < 65535)
        limit->rlim_cur = limit->rlim_max = 65535;
    return 0;
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    return getrlimit64(resource, (struct rlimit64 *)limit);
}
