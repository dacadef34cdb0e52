/* Keeps records or, with a config, makes their letters large: what a crossing costs, and a loop over the bytes. */
#include "leat.h"

static int upper;

static const char *configure(leat_str config) {
    leat_json_bool(leat_json_get(config, "upper"), &upper);
    return NULL;
}

static leat_result each(const leat_record *r) {
    if (!upper) return leat_keep();
    const char *from = r->data.ptr;
    size_t n = r->data.len;
    char *to = leat_reserve(n);
    for (size_t i = 0; i < n; i++) to[i] = from[i] >= 'a' && from[i] <= 'z' ? from[i] - 'a' + 'A' : from[i];
    return leat_data(to, n);
}

LEAT_EACH_CONFIG(each, configure)
