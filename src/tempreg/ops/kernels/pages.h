/* Memory for large results. */
#include <stdint.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

/* Asks for huge pages under a large result that is about to be written for the first time: a
 * page fault for every 4 KiB can cost more than the arithmetic. Only a hint, and only for pages
 * that lie wholly inside. */
static void large_result(void *start, int64_t bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 1 << 21;
    uintptr_t first = ((uintptr_t)start + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)start + (uintptr_t)bytes) & ~(page - 1);
    if (end > first) madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)start, (void)bytes;
#endif
}
