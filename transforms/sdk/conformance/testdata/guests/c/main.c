/* The guest that transforms/sdk/conformance specifies, in C. */
#include "leat.h"

static leat_str mode, refusal;
static int64_t calls;

static const char *zero_terminated(leat_str s) {
    char *to = leat_permanent(s.len + 1);
    for (size_t i = 0; i < s.len; i++) to[i] = s.ptr[i];
    return to;
}

static const char *configure(leat_str config) {
    if (leat_json_string(leat_json_get(config, "mode"), &mode)) mode = leat_permanent_str(mode);
    if (leat_json_string(leat_json_get(config, "refuse"), &refusal) && refusal.len) return zero_terminated(refusal);
    return NULL;
}

/* cut returns what stands before the first c in rest, and leaves what stands after it. */
static leat_str cut(leat_str *rest, char c) {
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] != c) n++;
    leat_str word = leat_strn(rest->ptr, n);
    size_t after = n < rest->len ? n + 1 : n;
    *rest = leat_strn(rest->ptr + after, rest->len - after);
    return word;
}

static int64_t number(leat_str text) {
    int64_t n = 0;
    return leat_json_i64(text, &n) ? n : 0;
}

/* pairs returns the attributes that text names, such as a=b c=d. */
static leat_attr *pairs(leat_str text, uint32_t *count) {
    leat_attr *attrs = leat_scratch((text.len + 1) * sizeof *attrs);
    *count = 0;
    while (text.len) {
        leat_str value = cut(&text, ' ');
        if (value.len == 0) continue;
        attrs[*count].name = cut(&value, '=');
        attrs[(*count)++].value = value;
    }
    return attrs;
}

static leat_str decimal(int64_t n) {
    leat_buf b = {0};
    leat_put_i64(&b, n);
    return leat_strn(b.ptr, b.len);
}

static leat_result emit(int64_t n) {
    leat_out *outs = leat_scratch((size_t)n * sizeof *outs);
    for (int64_t i = 0; i < n; i++) {
        leat_out o = {0};
        o.data = decimal(i);
        if (i % 2 == 1) {
            leat_buf b = {0};
            leat_puts(&b, "key-");
            leat_put(&b, o.data);
            o.key = leat_strn(b.ptr, b.len);
        }
        if (i % 3 == 2) {
            leat_attr *a = leat_scratch(sizeof *a);
            a->name = LEAT_STR("n");
            a->value = o.data;
            o.attrs = a;
            o.attr_count = 1;
        }
        if (i % 4 == 3) {
            leat_attr *a = leat_scratch(2 * sizeof *a);
            a[0].name = LEAT_STR("p");
            a[0].value = o.data;
            a[1].name = LEAT_STR("q");
            a[1].value = LEAT_STR("");
            o.partition = a;
            o.partition_count = 2;
        }
        outs[i] = o;
    }
    return leat_emit(outs, (size_t)n);
}

static leat_result whoami(const leat_record *r) {
    leat_buf b = {0};
    leat_put(&b, r->key);
    leat_puts(&b, "|");
    leat_put_u64(&b, r->shard);
    leat_puts(&b, "|");
    leat_put_u64(&b, r->seq);
    leat_puts(&b, "|");
    leat_put_u64(&b, r->sub);
    leat_puts(&b, "|");
    leat_put_i64(&b, r->arrived);
    leat_puts(&b, "|");
    for (uint32_t i = 0; i < r->attr_count; i++) {
        leat_put(&b, r->attrs[i].name);
        leat_puts(&b, "=");
        leat_put(&b, r->attrs[i].value);
        leat_puts(&b, ";");
    }
    leat_puts(&b, "|");
    leat_put(&b, mode);
    return leat_data(b.ptr, b.len);
}

/* json does "get PATH JSON", "text PATH JSON", "int PATH JSON" and "set PATH VALUE JSON". */
static leat_result json(leat_str word, leat_str rest) {
    leat_str name = cut(&rest, ' '), value = {0}, out = {0};
    char *path = leat_scratch(name.len + 1);
    memcpy(path, name.ptr, name.len);
    path[name.len] = 0;
    if (leat_equal(word, LEAT_STR("set"))) {
        value = cut(&rest, ' ');
        out = leat_json_set(rest, path, value);
    } else {
        leat_str found = leat_json_get(rest, path);
        int64_t n;
        if (leat_equal(word, LEAT_STR("get"))) out = found;
        else if (leat_equal(word, LEAT_STR("int"))) out = leat_json_i64(found, &n) ? decimal(n) : out;
        else leat_json_string(found, &out);
    }
    if (out.ptr == NULL) out = LEAT_STR("-");
    return leat_data(out.ptr, out.len);
}

static volatile int sink;

static int recurse(int n) {
    volatile char frame[64];
    frame[n & 63] = (char)n;
    return recurse(n + 1) + frame[0];
}

static leat_result each(const leat_record *r) {
    leat_str rest = r->data, word = cut(&rest, ' ');
    leat_result res;
    calls++;
#define IS(text) leat_equal(word, LEAT_STR(text))
    if (IS("upper")) {
        char *to = leat_reserve(r->data.len);
        for (size_t i = 0; i < r->data.len; i++) {
            char c = r->data.ptr[i];
            to[i] = c >= 'a' && c <= 'z' ? c - ('a' - 'A') : c;
        }
        return leat_data(to, r->data.len);
    }
    if (IS("drop")) return leat_drop();
    if (IS("fail")) {
        leat_str code = cut(&rest, ' ');
        res = leat_fail("", rest);
        res.code = code;
        return res;
    }
    if (IS("emit")) return emit(number(rest));
    if (IS("key")) {
        res = leat_keep();
        res.out.key = rest;
        return res;
    }
    if (IS("attrs")) {
        res = leat_keep();
        res.out.attrs = pairs(rest, &res.out.attr_count);
        return res;
    }
    if (IS("partition")) {
        res = leat_keep();
        res.out.partition = pairs(rest, &res.out.partition_count);
        return res;
    }
    if (IS("count")) {
        leat_str name = cut(&rest, ' ');
        leat_count(zero_terminated(name), number(rest));
    }
    if (IS("log")) leat_log(LEAT_WARN, rest);
    if (IS("boom")) leat_panic("boom");
    if (IS("whoami")) return whoami(r);
    if (IS("calls")) {
        leat_str text = decimal(calls);
        return leat_data(text.ptr, text.len);
    }
    if (IS("tail")) return leat_data(rest.ptr, rest.len);
    if (IS("big")) {
        size_t n = (size_t)number(rest);
        char *to = leat_reserve(n);
        memset(to, 'x', n);
        return leat_data(to, n);
    }
    if (IS("longname")) {
        leat_out *outs = leat_scratch(2 * sizeof *outs);
        leat_attr *a = leat_scratch(sizeof *a);
        memset(outs, 0, 2 * sizeof *outs);
        outs[0].data = LEAT_STR("fine");
        a->name = leat_strn(leat_scratch(65536), 65536);
        memset((char *)a->name.ptr, 'n', 65536);
        a->value = LEAT_STR("v");
        outs[1].partition = a;
        outs[1].partition_count = 1;
        return leat_emit(outs, 2);
    }
    if (IS("spin"))
        for (;;) sink++;
    if (IS("recurse")) sink = recurse(1);
    if (IS("hoard"))
        for (;;) memset(leat_scratch(1 << 20), 'x', 1 << 20);
    if (IS("get") || IS("text") || IS("int") || IS("set")) return json(word, rest);
    return leat_keep();
}

LEAT_EACH_CONFIG(each, configure)
