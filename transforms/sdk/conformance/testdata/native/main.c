/*
 * Runs frames from the standard input, each behind its length, through the header as a native program, where an address sanitizer watches: memory of
 * just the frame's size, and a function that touches all there is. Prints what became of each frame. With an argument, the lines of the standard input are
 * numbers instead.
 */
#include "leat.h"

static const char *paths[] = {"", "a", "b", "a.b", "a.0", "a.b.c", "b.1.a"};

static leat_result each(const leat_record *r) {
    leat_buf b = {0};
    leat_str text;
    int64_t n;
    double x;
    int yes;
    leat_put_json(&b, r->data);
    leat_put_json(&b, r->key);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        leat_put(&b, r->attrs[i].name);
        leat_put(&b, r->attrs[i].value);
    }
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        leat_str value = leat_json_get(r->data, paths[i]), changed = leat_json_set(r->data, paths[i], LEAT_STR("[1]"));
        if (value.ptr) {
            if (leat_json_string(value, &text)) leat_put(&b, text);
            if (leat_json_i64(value, &n)) leat_put_i64(&b, n);
            if (leat_json_f64(value, &x)) leat_put_i64(&b, x > 0);
            if (leat_json_bool(value, &yes)) leat_put_i64(&b, yes);
        }
        if (changed.ptr) leat_put(&b, changed);
    }
    leat_out *outs = leat_scratch(2 * sizeof *outs);
    memset(outs, 0, 2 * sizeof *outs);
    outs[0].data = leat_strn(b.ptr, b.len);
    outs[0].attrs = outs[0].partition = r->attrs;
    outs[0].attr_count = outs[0].partition_count = r->attr_count;
    outs[1].data = leat_strn(r->data.ptr + r->data.len / 2, r->data.len - r->data.len / 2);
    outs[1].key = r->key;
    return leat_emit(outs, 2);
}

static void batch(const leat_record *records, size_t count, leat_result *results) {
    for (size_t i = 0; i < count; i++) results[i] = each(&records[i]);
}

static int numbers(void) {
    char line[400];
    double x;
    while (fgets(line, sizeof line, stdin)) {
        size_t n = strcspn(line, "\n");
        char *text = malloc(n); /* so that nothing may be read behind it */
        memcpy(text, line, n);
        if (leat_json_f64(leat_strn(text, n), &x)) printf("%a\n", x);
        else printf("-\n");
        free(text);
    }
    return 0;
}

int main(int argc, char **argv) {
    uint32_t size;
    if (argc > 1) return strcmp(argv[1], "numbers") ? 1 : numbers();
    while (fread(&size, sizeof size, 1, stdin) == 1) {
        for (int all = 0; all < 2; all++) {
            char *frame = malloc(size);
            if (all == 0 && fread(frame, 1, size, stdin) != size) return 1;
            if (all == 1) memcpy(frame, leat__s.in.at, size);
            if (all == 1) free(leat__s.in.at);
            leat__s.in.at = frame;
            leat__s.in.size = size;
            uint64_t answer = all ? leat__transform(frame, size, NULL, batch) : leat__transform(frame, size, each, NULL);
            uint32_t sum = 0;
            for (size_t i = 0; answer && i < (uint32_t)answer; i++) sum = 31 * sum + (unsigned char)leat__s.out.at[i];
            printf("%u %u\n", (uint32_t)answer, sum);
        }
        free(leat__s.in.at);
    }
    return 0;
}
