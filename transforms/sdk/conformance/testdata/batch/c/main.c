/* Says of each record which one of how many it is, and keeps every third. */
#include "leat.h"

static void each(const leat_record *records, size_t count, leat_result *results) {
    for (size_t i = 0; i < count; i++) {
        if (leat_equal(records[i].data, LEAT_STR("boom"))) leat_panic("boom");
        if (i % 3 == 2) {
            results[i] = leat_keep();
            continue;
        }
        leat_buf b = {0};
        leat_put_u64(&b, i);
        leat_puts(&b, " of ");
        leat_put_u64(&b, count);
        leat_puts(&b, ": ");
        leat_put(&b, records[i].data);
        char *to = leat_reserve(b.len); /* that of the record before must stay as it is */
        memcpy(to, b.ptr, b.len);
        results[i] = leat_data(to, b.len);
    }
}

LEAT_BATCH(each)
LEAT_DESCRIBE("{\"name\":\"batch\"}")
