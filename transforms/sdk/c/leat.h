/*
 * leat.h is the SDK for transforms written in C or C++: this one file. A transform is a function from a record to a result:
 *
 *     #include "leat.h"
 *
 *     static leat_result shout(const leat_record *r) {
 *         const char *from = r->data.ptr;
 *         size_t n = r->data.len;
 *         char *to = leat_reserve(n);
 *         for (size_t i = 0; i < n; i++) to[i] = from[i] >= 'a' && from[i] <= 'z' ? from[i] - 'a' + 'A' : from[i];
 *         return leat_data(to, n);
 *     }
 *
 *     LEAT_EACH(shout)
 *
 * leat builds a folder of such source by itself. By hand, with clang 13 or newer and lld:
 *
 *     clang --target=wasm32 -O3 -mbulk-memory -msimd128 -nostdlib -Wl,--no-entry -o shout.wasm shout.c
 *
 * or, to have the C library, with wasi-libc and --target=wasm32-wasi -mexec-model=reactor instead of -nostdlib -Wl,--no-entry.
 * It is C99 and C++11 with the extensions of clang. One source file of a module has LEAT_EACH or LEAT_BATCH; any may include the header.
 *
 * It also compiles natively, for tests: call the function with a leat_record of your own and look at the result.
 *
 * What a transform keeps in static variables stays between calls, but leat runs several instances, each with its own. A trap, such
 * as a division by zero or leat_panic, fails the record that the function was called for, and no other: leat goes on with a new instance.
 *
 * MIT License, as the rest of leat's SDKs.
 */
#ifndef LEAT_H
#define LEAT_H

#include <stddef.h>
#include <stdint.h>
#ifndef __wasm__ /* natively, for tests */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LEAT__FN __attribute__((unused)) static

/* ---- Records and results ---- */

/* leat_str is bytes that somebody else owns. They do not end with a zero. */
typedef struct leat_str {
    const char *ptr;
    size_t len;
} leat_str;

/* leat_attr is a named value. A name has at most 65,535 bytes. */
typedef struct leat_attr {
    leat_str name, value;
} leat_attr;

/* leat_record is one record of a stream, or an output of the stage before. What it points to is valid until the function returns. */
typedef struct leat_record {
    leat_str data;          /* the payload */
    leat_str key;           /* the partition key */
    const leat_attr *attrs; /* small named values that travel with the record */
    uint32_t attr_count;
    uint32_t shard; /* shard, seq and sub identify it: seq is its position in the shard, */
    uint64_t seq;   /* sub which output of an earlier stage it is */
    uint32_t sub;
    uint32_t index;  /* in the batch */
    int64_t arrived; /* when the stream got it, in nanoseconds since the Unix epoch */
} leat_record;

/* leat_out is one output. All zero, it is empty data with the record's key and attributes. */
typedef struct leat_out {
    leat_str data;
    int keep_data;          /* not 0: the record's data instead */
    leat_str key;           /* empty: that of the record */
    const leat_attr *attrs; /* NULL: those of the record; else these, even if there are none */
    uint32_t attr_count;
    uint32_t partition_count;
    const leat_attr *partition; /* values for !{partitionKeyFromLambda:name} in the prefix of a sink */
} leat_out;

typedef enum leat_kind { LEAT_NONE, LEAT_OUT, LEAT_EMIT, LEAT_DROP, LEAT_FAIL } leat_kind;

/* leat_result is what becomes of a record: make one by leat_keep, leat_data, leat_emit, leat_drop or leat_fail. To give a kept record or
 * new data another key, attributes or partition values, set the fields of out. leat copies what it points to: after the function has
 * returned for LEAT_EACH, and after the last record for LEAT_BATCH. */
typedef struct leat_result {
    leat_kind kind;
    leat_out out;
    const leat_out *outs;
    uint32_t out_count;
    leat_str code, reason;
} leat_result;

LEAT__FN inline leat_str leat_strn(const char *ptr, size_t len) {
    leat_str s;
    s.ptr = ptr;
    s.len = len;
    return s;
}

LEAT__FN inline leat_str leat_strz(const char *text) { return leat_strn(text, __builtin_strlen(text)); }

/* LEAT_STR makes one of a string literal. */
#define LEAT_STR(literal) leat_strn("" literal, sizeof(literal) - 1)

LEAT__FN inline leat_result leat__result(leat_kind kind) {
    leat_result r;
    __builtin_memset(&r, 0, sizeof r);
    r.kind = kind;
    return r;
}

/* leat_keep passes the record on as it came. */
LEAT__FN inline leat_result leat_keep(void) {
    leat_result r = leat__result(LEAT_OUT);
    r.out.keep_data = 1;
    return r;
}

/* leat_data replaces the record's data. A part of the record's own data costs no copy, nor does what leat_reserve returned. */
LEAT__FN inline leat_result leat_data(const void *ptr, size_t len) {
    leat_result r = leat__result(LEAT_OUT);
    r.out.data = leat_strn((const char *)ptr, len);
    return r;
}

/* leat_drop ends the record here: it is not delivered, and that is not an error. */
LEAT__FN inline leat_result leat_drop(void) { return leat__result(LEAT_DROP); }

/* leat_fail sends the record to the dead letters. code is for programs: lower case, words joined by dots and underscores, such as
 * csv.too_few_fields. reason is a sentence for people. */
LEAT__FN inline leat_result leat_fail(const char *code, leat_str reason) {
    leat_result r = leat__result(LEAT_FAIL);
    r.code = leat_strz(code);
    r.reason = reason;
    return r;
}

/* leat_emit replaces the record by several; none drops it. */
LEAT__FN inline leat_result leat_emit(const leat_out *outs, size_t count) {
    leat_result r = leat__result(count ? LEAT_EMIT : LEAT_DROP);
    r.outs = outs;
    r.out_count = (uint32_t)count;
    return r;
}

/* ---- leat's side ---- */

#ifdef __wasm__
#define LEAT__IMPORT(name) __attribute__((import_module("leat"), import_name(name)))
LEAT__IMPORT("log") void leat__log(int32_t level, const char *ptr, size_t len);
LEAT__IMPORT("fail") void leat__fail(const char *ptr, size_t len);
LEAT__IMPORT("count") void leat__count(const char *ptr, size_t len, int64_t n);
#else /* lines go to the standard error, counters nowhere */
LEAT__FN void leat__log(int32_t level, const char *ptr, size_t len) { fprintf(stderr, "%d %.*s\n", (int)level, (int)len, ptr); }
LEAT__FN void leat__fail(const char *ptr, size_t len) { fprintf(stderr, "%.*s\n", (int)len, ptr); }
LEAT__FN void leat__count(const char *ptr, size_t len, int64_t n) { (void)ptr, (void)len, (void)n; }
#endif

enum { LEAT_DEBUG = -4, LEAT_INFO = 0, LEAT_WARN = 4, LEAT_ERROR = 8 };

/* leat_log writes a line to leat's log. Lines are limited in number, so log what is rare. */
LEAT__FN inline void leat_log(int level, leat_str line) { leat__log(level, line.ptr, line.len); }

/* leat_count adds n to one of the transform's counters: the metric leat_transform_count{name="…"}. There may be 256 names. */
LEAT__FN inline void leat_count(const char *name, int64_t n) { leat__count(name, __builtin_strlen(name), n); }

/* leat_panic ends the call: the record in work fails with why as the reason. */
__attribute__((noreturn)) LEAT__FN void leat_panic(const char *why) {
    leat__fail(why, __builtin_strlen(why));
    __builtin_trap();
}

/* ---- Memory ---- */

typedef struct leat__region {
    char *at;
    size_t size;
} leat__region;

typedef struct leat__chunk {
    struct leat__chunk *next;
    size_t size; /* with this header */
} leat__chunk;

typedef struct leat__state {
    leat__region in, out;    /* where frames are written: leat's and ours */
    size_t out_len;          /* bytes of out in use */
    leat__region outs;       /* the table of outs, until it is appended to out */
    uint32_t out_count;
    int batch;               /* the function is called for all records at once */
    leat__region spare[16];  /* memory that is used again */
    leat__region retired[16]; /* what out was before it moved: pointers into it stay good during the call */
    leat__chunk *first, *chunk;
    size_t chunk_at; /* bytes of chunk in use */
    leat__region permanent; /* what is left of it */
} leat__state;

/* One for all source files of a module; so is the number of the record in work, which leat reads after a trap. */
__attribute__((weak)) leat__state leat__s;
__attribute__((weak, used)) uint32_t leat_cursor;

#ifdef __wasm__
__asm__(".export_name leat_cursor, leat_cursor\n");

/* leat__more returns where so many more pages of 64 KiB begin, and leat__end where memory ends. */
LEAT__FN char *leat__more(size_t pages) {
    size_t old = __builtin_wasm_memory_grow(0, pages);
    return old == (size_t)-1 ? NULL : (char *)(old << 16);
}

LEAT__FN inline char *leat__end(void) { return (char *)(__builtin_wasm_memory_size(0) << 16); }
#else
LEAT__FN char *leat__more(size_t pages) { return (char *)malloc(pages << 16); }
LEAT__FN inline char *leat__end(void) { return NULL; }
#endif

/* leat__pages returns at least size bytes, from what was given back or new; none if the memory has reached its limit. Only pages of
 * its own are taken, so that malloc may work beside it. */
LEAT__FN leat__region leat__pages(size_t size) {
    leat__region r = {0, 0};
    for (int i = 0; i < 16; i++) {
        leat__region *s = &leat__s.spare[i];
        if (s->size >= size && s->size / 4 <= size) {
            r = *s;
            s->size = 0;
            return r;
        }
    }
    size_t pages = (size >> 16) + ((size & 0xffff) != 0);
    r.at = leat__more(pages);
    r.size = r.at ? pages << 16 : 0;
    return r;
}

LEAT__FN void leat__give_back(leat__region r) {
    leat__region *least = &leat__s.spare[0];
    for (int i = 1; i < 16; i++)
        if (leat__s.spare[i].size < least->size) least = &leat__s.spare[i];
    if (r.size > least->size) *least = r;
}

/* leat__extend makes r have at least size bytes where it is, if nothing follows it. */
LEAT__FN int leat__extend(leat__region *r, size_t size) {
    if (r->size == 0 || r->at + r->size != leat__end()) return 0;
    size_t pages = ((size - r->size) >> 16) + 1;
    if (leat__more(pages) == NULL) return 0;
    r->size += pages << 16;
    return 1;
}

/* leat__grow makes r have at least size bytes and keeps the first keep of them. What it was before is returned. */
__attribute__((noinline)) LEAT__FN leat__region leat__grow(leat__region *r, size_t size, size_t keep) {
    leat__region before = {0, 0};
    size_t roomy = size < 0x40000000 ? 2 * size : size; /* so that it moves 16 times at most */
    if (size > 0x7fffffff) leat_panic("out of memory");
    if (leat__extend(r, roomy) || leat__extend(r, size)) return before;
    leat__region to = leat__pages(roomy);
    if (to.size == 0) to = leat__pages(size);
    if (to.size == 0) leat_panic("out of memory");
    if (keep) __builtin_memcpy(to.at, r->at, keep);
    before = *r;
    *r = to;
    return before;
}

__attribute__((noinline)) LEAT__FN void leat__grow_out(size_t n) {
    leat__region before = leat__grow(&leat__s.out, leat__s.out_len + n, leat__s.out_len);
    if (before.size == 0) return;
    for (int i = 0; i < 16; i++)
        if (leat__s.retired[i].size == 0) {
            leat__s.retired[i] = before;
            return;
        }
}

/* leat_scratch returns n bytes, 8-aligned and not cleared, which are freed when the function returns. */
LEAT__FN inline void *leat_scratch(size_t n) {
    leat__state *s = &leat__s;
    n = (n + 7) & ~(size_t)7;
    if (s->chunk == NULL || n > s->chunk->size - s->chunk_at) {
        leat__chunk *next = s->chunk ? s->chunk->next : s->first;
        if (next == NULL || next->size - sizeof *next < n) {
            if (n > 0x7fffffff) leat_panic("out of memory");
            leat__region r = leat__pages(n + sizeof *next);
            if (r.size == 0) leat_panic("out of memory");
            leat__chunk *c = (leat__chunk *)r.at;
            c->size = r.size;
            c->next = next;
            if (s->chunk) s->chunk->next = c;
            else s->first = c;
            next = c;
        }
        s->chunk = next;
        s->chunk_at = sizeof *next;
    }
    void *p = (char *)s->chunk + s->chunk_at;
    s->chunk_at += n;
    return p;
}

/* leat__room makes room for n bytes at the end of the answer. */
LEAT__FN inline char *leat__room(size_t n) {
    if (n > leat__s.out.size - leat__s.out_len) leat__grow_out(n);
    return leat__s.out.at + leat__s.out_len;
}

/* leat_reserve returns n bytes for leat_data, in the answer itself, so that they are not copied again. They are valid until the next
 * call of leat_reserve: for several outputs use leat_scratch. */
LEAT__FN inline char *leat_reserve(size_t n) { return leat__s.batch ? (char *)leat_scratch(n) : leat__room(n); }

LEAT__FN inline void leat__free_scratch(void) { leat__s.chunk = NULL; }

/* leat_permanent returns n bytes, 8-aligned and 0, that are never freed: for configuration, not for records. */
LEAT__FN void *leat_permanent(size_t n) {
    leat__region *p = &leat__s.permanent;
    n = (n + 7) & ~(size_t)7;
    if (n > p->size) *p = n > 0x7fffffff ? leat__s.permanent : leat__pages(n);
    if (n > p->size) leat_panic("out of memory");
    void *at = p->at;
    p->at += n;
    p->size -= n;
    __builtin_memset(at, 0, n);
    return at;
}

/* leat_permanent_str copies a string to such memory. */
LEAT__FN leat_str leat_permanent_str(leat_str s) {
    char *to = (char *)leat_permanent(s.len);
    __builtin_memcpy(to, s.ptr, s.len);
    return leat_strn(to, s.len);
}

#if defined(__wasm__) && !defined(__wasi__) /* without a C library: what compilers call */
__attribute__((weak)) void *memmove(void *to, const void *from, size_t n) {
#ifdef __wasm_bulk_memory__
    __builtin_memmove(to, from, n);
#else
    char *t = (char *)to;
    const char *f = (const char *)from;
    if (t < f)
        for (size_t i = 0; i < n; i++) t[i] = ((const volatile char *)f)[i];
    else
        while (n--) t[n] = ((const volatile char *)f)[n];
#endif
    return to;
}

__attribute__((weak)) void *memcpy(void *to, const void *from, size_t n) { return memmove(to, from, n); }

__attribute__((weak)) void *memset(void *to, int c, size_t n) {
#ifdef __wasm_bulk_memory__
    __builtin_memset(to, c, n);
#else
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = (char)c;
#endif
    return to;
}

__attribute__((weak)) int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

__attribute__((weak)) size_t strlen(const char *s) {
    size_t n = 0;
    while (((const volatile char *)s)[n]) n++;
    return n;
}
#endif

LEAT__FN inline int leat_equal(leat_str a, leat_str b) { return a.len == b.len && __builtin_memcmp(a.ptr, b.ptr, a.len) == 0; }

/* ---- Frames ---- (transforms/wasm/abi/ABI.md) */

typedef leat_result leat_each_fn(const leat_record *);
/* leat_batch_fn fills results, one for each of the count records. */
typedef void leat_batch_fn(const leat_record *records, size_t count, leat_result *results);
/* leat_config_fn gets what the pipeline file says under config, as JSON, null if nothing. It returns NULL, or why the configuration is
 * refused. The text is freed when it returns: leat_permanent_str. */
typedef const char *leat_config_fn(leat_str config);

enum { LEAT__HEADER = 32, LEAT__RECORD = 48, LEAT__RESULT = 24, LEAT__OUT = 48 };

LEAT__FN inline uint16_t leat__u16(const char *p) { uint16_t v; __builtin_memcpy(&v, p, 2); return v; }
LEAT__FN inline uint32_t leat__u32(const char *p) { uint32_t v; __builtin_memcpy(&v, p, 4); return v; }
LEAT__FN inline uint64_t leat__u64(const char *p) { uint64_t v; __builtin_memcpy(&v, p, 8); return v; }
LEAT__FN inline void leat__put16(char *p, size_t v) { uint16_t w = (uint16_t)v; __builtin_memcpy(p, &w, 2); }
LEAT__FN inline void leat__put32(char *p, size_t v) { uint32_t w = (uint32_t)v; __builtin_memcpy(p, &w, 4); }
LEAT__FN inline void leat__put64(char *p, uint64_t v) { __builtin_memcpy(p, &v, 8); }

/* leat__alloc makes room for a frame of leat; 0 if there is none. */
LEAT__FN uint32_t leat__alloc(uint32_t size) {
    leat__region *in = &leat__s.in;
    if (size > in->size && !leat__extend(in, size)) {
        if (in->size) leat__give_back(*in);
        *in = leat__pages(size > 65536 ? size : 65536);
    }
    return in->size < size ? 0 : (uint32_t)(uintptr_t)in->at;
}

/* leat__begin checks the frame's header and makes an answer with no results yet. It returns the number of records, or -1. */
LEAT__FN int32_t leat__begin(const char *frame, uint32_t size) {
    leat__state *s = &leat__s;
    uint64_t count, head;
    if (frame != s->in.at || size < LEAT__HEADER || size > s->in.size || __builtin_memcmp(frame, "LTX1\1\0", 6) != 0) return -1;
    head = leat__u16(frame + 6);
    count = leat__u32(frame + 8);
    if (leat__u32(frame + 24) != size || head < LEAT__HEADER || head % 8 || head + LEAT__RECORD * count > size) return -1;
    for (int i = 0; i < 16; i++)
        if (s->retired[i].size) {
            leat__give_back(s->retired[i]);
            s->retired[i].size = 0;
        }
    s->out_len = s->out_count = 0;
    s->out_len = (size_t)(leat__room(LEAT__HEADER + LEAT__RESULT * count) - s->out.at) + LEAT__HEADER + LEAT__RESULT * count;
    leat_cursor = 0;
    leat__free_scratch();
    return (int32_t)count;
}

/* leat__read decodes record i; 0 if a field of it lies outside the frame. */
LEAT__FN inline int leat__read(const char *frame, uint32_t size, uint32_t i, leat_record *r) {
    const char *e = frame + leat__u16(frame + 6) + LEAT__RECORD * i;
    uint64_t at[3], len[3];
    for (int k = 0; k < 3; k++) {
        at[k] = leat__u32(e + 16 + 8 * k);
        len[k] = leat__u32(e + 20 + 8 * k);
        if (at[k] + len[k] > size) return 0;
    }
    r->seq = leat__u64(e);
    r->arrived = (int64_t)leat__u64(e + 8);
    r->shard = leat__u32(e + 40);
    r->sub = leat__u32(e + 44);
    r->index = i;
    r->data = leat_strn(frame + at[0], len[0]);
    r->key = leat_strn(frame + at[1], len[1]);
    r->attrs = NULL;
    r->attr_count = 0;
    if (__builtin_expect(len[2] == 0, 1)) return 1;
    const char *block = frame + at[2];
    uint64_t n = len[2] < 4 ? 0 : leat__u16(block), text = 4 + 8 * n;
    if (n == 0 || text > len[2]) return 0;
    leat_attr *attrs = (leat_attr *)leat_scratch(n * sizeof *attrs);
    for (uint64_t k = 0; k < n; k++) {
        uint64_t name = leat__u16(block + 4 + 8 * k), value = leat__u32(block + 8 + 8 * k);
        if (text + name + value > len[2]) return 0;
        attrs[k].name = leat_strn(block + text, name);
        attrs[k].value = leat_strn(block + text + name, value);
        text += name + value;
    }
    r->attrs = attrs;
    r->attr_count = (uint32_t)n;
    return 1;
}

/* leat__put appends bytes to the answer, unless they are there already, and returns where they are. */
LEAT__FN inline size_t leat__put(leat_str b) {
    leat__state *s = &leat__s;
    size_t at = s->out_len;
    if (b.len == 0) return at;
    if (b.ptr != s->out.at + at) {
        char *to = leat__room(b.len);
        __builtin_memmove(to, b.ptr, b.len);
    }
    s->out_len = at + b.len;
    return at;
}

/* leat__put_attrs appends an attribute block and says in entry where it is; 0 if it cannot be encoded. */
LEAT__FN int leat__put_attrs(char *entry, const leat_attr *attrs, uint32_t n) {
    uint64_t size = 4 + 8 * (uint64_t)n;
    leat__put64(entry, 0);
    if (n == 0) return 1;
    for (uint32_t i = 0; i < n; i++) {
        if (attrs[i].name.len > 65535) return 0;
        size += attrs[i].name.len + (uint64_t)attrs[i].value.len;
    }
    if (n > 65535 || size > 0x7fffffff) return 0;
    char *p = leat__room(size), *text = p + 4 + 8 * n;
    leat__put32(p, n);
    for (uint32_t i = 0; i < n; i++) {
        leat_str name = attrs[i].name, value = attrs[i].value;
        leat__put32(p + 4 + 8 * i, name.len);
        leat__put32(p + 8 + 8 * i, value.len);
        if (name.len) __builtin_memcpy(text, name.ptr, name.len);
        if (value.len) __builtin_memcpy(text + name.len, value.ptr, value.len);
        text += name.len + value.len;
    }
    leat__put32(entry, leat__s.out_len);
    leat__put32(entry + 4, size);
    leat__s.out_len += size;
    return 1;
}

/* leat__put_out appends an output of record r, whose entry in leat's frame is e; 0 if its attributes cannot be encoded. */
LEAT__FN inline int leat__put_out(const leat_record *r, const char *e, const leat_out *o) {
    leat__state *s = &leat__s;
    uint32_t flags = 0;
    size_t at = LEAT__OUT * (size_t)s->out_count;
    if (at + LEAT__OUT > s->outs.size) {
        leat__region before = leat__grow(&s->outs, at + LEAT__OUT, at);
        if (before.size) leat__give_back(before);
    }
    char *to = s->outs.at + at;
    leat__put32(to + 4, r->index);
    if (o->keep_data) {
        flags |= 1;
        leat__put64(to + 8, leat__u64(e + 16));
    } else if (o->data.ptr >= r->data.ptr && (size_t)(o->data.ptr - r->data.ptr) <= r->data.len &&
               o->data.len <= r->data.len - (size_t)(o->data.ptr - r->data.ptr)) {
        flags |= 1;
        leat__put32(to + 8, (size_t)(o->data.ptr - s->in.at));
        leat__put32(to + 12, o->data.len);
    } else {
        leat__put32(to + 8, leat__put(o->data));
        leat__put32(to + 12, o->data.len);
    }
    if (o->key.len == 0) {
        flags |= 2;
        leat__put64(to + 16, leat__u64(e + 24));
    } else {
        leat__put32(to + 16, leat__put(o->key));
        leat__put32(to + 20, o->key.len);
    }
    if (o->attrs == NULL) {
        flags |= 4;
        leat__put64(to + 24, leat__u64(e + 32));
    } else if (!leat__put_attrs(to + 24, o->attrs, o->attr_count)) {
        return 0;
    }
    if (!leat__put_attrs(to + 32, o->partition, o->partition_count)) return 0;
    leat__put32(to, flags);
    leat__put64(to + 40, 0);
    s->out_count++;
    return 1;
}

LEAT__FN inline char *leat__entry(uint32_t i) { return leat__s.out.at + LEAT__HEADER + LEAT__RESULT * i; }

LEAT__FN void leat__put_failure(uint32_t i, uint32_t first, leat_str code, leat_str reason) {
    if (code.len > 65535) code.len = 65535;
    if (reason.len > 65535) reason.len = 65535;
    leat__s.out_count = first;
    size_t code_at = leat__put(code), reason_at = leat__put(reason);
    char *e = leat__entry(i);
    leat__put64(e, 3 | 4 << 8 | (uint64_t)first << 32); /* failed, permanent */
    leat__put32(e + 8, 0);
    leat__put32(e + 12, code_at);
    leat__put16(e + 16, code.len);
    leat__put16(e + 18, reason.len);
    leat__put32(e + 20, reason_at);
}

/* leat__put_result writes the result of record r. */
LEAT__FN inline void leat__put_result(const char *frame, const leat_record *r, const leat_result *res) {
    leat__state *s = &leat__s;
    const char *e = frame + leat__u16(frame + 6) + LEAT__RECORD * r->index;
    uint32_t first = s->out_count, status = 0;
    int good = 1;
    switch (res->kind) {
    case LEAT_OUT:
        if (res->out.keep_data && !res->out.key.len && !res->out.attrs && !res->out.partition_count) status = 1;
        else good = leat__put_out(r, e, &res->out);
        break;
    case LEAT_EMIT:
        for (uint32_t i = 0; i < res->out_count && good; i++) good = leat__put_out(r, e, &res->outs[i]);
        break;
    case LEAT_DROP:
        status = 2;
        break;
    case LEAT_FAIL:
        leat__put_failure(r->index, first, res->code, res->reason);
        return;
    default:
        leat__put_failure(r->index, first, LEAT_STR("transform.bad_result"),
                          LEAT_STR("the transform returned an empty result; use leat_keep, leat_data, leat_emit, leat_drop or leat_fail"));
        return;
    }
    if (!good) {
        leat__put_failure(r->index, first, LEAT_STR("transform.bad_result"),
                          LEAT_STR("attributes or partition keys are too many, or a name is longer than 65,535 bytes"));
        return;
    }
    char *to = leat__entry(r->index);
    leat__put64(to, status | (uint64_t)first << 32);
    leat__put64(to + 8, s->out_count - first);
    leat__put64(to + 16, 0);
}

/* leat__finish completes the answer for count records. */
LEAT__FN uint64_t leat__finish(int32_t count) {
    leat__state *s = &leat__s;
    size_t outs = LEAT__OUT * (size_t)s->out_count, pad = -s->out_len & 7;
    char *to = leat__room(pad + outs);
    if (outs) __builtin_memcpy(to + pad, s->outs.at, outs);
    char *h = s->out.at;
    __builtin_memcpy(h, "LTR1\1\0\40\0", 8);
    leat__put32(h + 8, (size_t)count);
    leat__put32(h + 12, s->out_count);
    leat__put32(h + 16, LEAT__HEADER);
    leat__put32(h + 20, s->out_len + pad);
    leat__put64(h + 24, 0);
    return (uint64_t)(uintptr_t)h << 32 | (s->out_len + pad + outs);
}

LEAT__FN uint64_t leat__bad_frame(void) {
    const char *why = "the frame does not keep the rules of leat_tx_1";
    leat__fail(why, __builtin_strlen(why));
    return 0;
}

/* leat__transform answers a frame. It is inlined, and with it the function. */
__attribute__((always_inline)) LEAT__FN inline uint64_t leat__transform(const char *frame, uint32_t size, leat_each_fn *each, leat_batch_fn *batch) {
    int32_t count = leat__begin(frame, size);
    if (count < 0) return leat__bad_frame();
    leat__s.batch = each == NULL;
    if (each) {
        for (int32_t i = 0; i < count; i++) {
            leat_record r;
            leat_cursor = (uint32_t)i;
            if (!leat__read(frame, size, (uint32_t)i, &r)) return leat__bad_frame();
            leat_result res = each(&r);
            leat__put_result(frame, &r, &res);
            leat__free_scratch();
        }
        return leat__finish(count);
    }
    leat_cursor = UINT32_MAX; /* leat finds the guilty record of a batch by itself */
    leat_record *records = (leat_record *)leat_scratch((size_t)count * sizeof *records);
    leat_result *results = (leat_result *)leat_scratch((size_t)count * sizeof *results);
    for (int32_t i = 0; i < count; i++)
        if (!leat__read(frame, size, (uint32_t)i, &records[i])) return leat__bad_frame();
    __builtin_memset(results, 0, (size_t)count * sizeof *results);
    batch(records, (size_t)count, results);
    for (int32_t i = 0; i < count; i++) leat__put_result(frame, &records[i], &results[i]);
    return leat__finish(count);
}

/* ---- Text ---- */

/* leat_buf is text that grows, in scratch memory: leat_buf b = {0}; leat_puts(&b, "…"); return leat_data(b.ptr, b.len); */
typedef struct leat_buf {
    char *ptr;
    size_t len, size;
} leat_buf;

/* leat_room makes room for n more bytes and returns where they go; add to len what is used. */
LEAT__FN inline char *leat_room(leat_buf *b, size_t n) {
    if (n > b->size - b->len) {
        if (n > 0x3fffffff || b->len > 0x1fffffff) leat_panic("out of memory");
        size_t size = 2 * b->len + n + 64;
        char *to = (char *)leat_scratch(size);
        if (b->len) __builtin_memcpy(to, b->ptr, b->len);
        b->ptr = to;
        b->size = size;
    }
    return b->ptr + b->len;
}

LEAT__FN inline void leat_put(leat_buf *b, leat_str s) {
    char *to = leat_room(b, s.len);
    if (s.len) __builtin_memcpy(to, s.ptr, s.len);
    b->len += s.len;
}

LEAT__FN inline void leat_puts(leat_buf *b, const char *text) { leat_put(b, leat_strz(text)); }

LEAT__FN void leat_put_u64(leat_buf *b, uint64_t n) {
    char text[20];
    size_t at = sizeof text;
    do text[--at] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    leat_put(b, leat_strn(text + at, sizeof text - at));
}

LEAT__FN void leat_put_i64(leat_buf *b, int64_t n) {
    if (n < 0) leat_put(b, LEAT_STR("-"));
    leat_put_u64(b, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

/* leat_put_json appends s as a JSON string, quotes included. Bytes that are not UTF-8 stay as they are. */
LEAT__FN void leat_put_json(leat_buf *b, leat_str s) {
    static const char hex[] = "0123456789abcdef";
    char *to = leat_room(b, 6 * s.len + 2);
    *to++ = '"';
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\') *to++ = '\\', *to++ = (char)c;
        else if (c >= ' ') *to++ = (char)c;
        else if (c == '\n') *to++ = '\\', *to++ = 'n';
        else if (c == '\r') *to++ = '\\', *to++ = 'r';
        else if (c == '\t') *to++ = '\\', *to++ = 't';
        else {
            __builtin_memcpy(to, "\\u00", 4);
            to[4] = hex[c >> 4];
            to[5] = hex[c & 15];
            to += 6;
        }
    }
    *to++ = '"';
    b->len = (size_t)(to - b->ptr);
}

/* ---- JSON ----
 *
 * What follows finds and changes single values of a JSON text without building a tree. It reads no byte outside the text, whatever the text
 * holds, but it is no validator: of what it skips it looks at quotes and brackets alone.
 *
 * A path names keys, and numbers of array elements, between dots: "user.tags.0"; "" is the whole text. A key that holds a dot cannot be
 * named. Of several equal keys the last counts.
 */

LEAT__FN inline int leat__blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

LEAT__FN inline const char *leat__skip_blank(const char *p, const char *end) {
    while (p < end && leat__blank(*p)) p++;
    return p;
}

/* leat__skip_string returns the place after the string whose opening quote is at p; NULL if it does not end. */
LEAT__FN const char *leat__skip_string(const char *p, const char *end) {
    for (p++; p < end; p++) {
        if (end - p >= 8) { /* eight bytes at a time, unless one of them is a quote or a backslash */
            uint64_t w = leat__u64(p), ones = 0x0101010101010101, q = w ^ ones * '"', s = w ^ ones * '\\';
            if ((((q - ones) & ~q) | ((s - ones) & ~s)) >> 7 & ones) goto one;
            p += 7;
            continue;
        }
    one:
        if (*p == '"') return p + 1;
        if (*p == '\\') p++;
    }
    return NULL;
}

/* leat__skip_value returns the place after the value at p; NULL if there is none. */
LEAT__FN const char *leat__skip_value(const char *p, const char *end) {
    size_t depth = 0;
    while (p < end) {
        switch (*p) {
        case '"':
            if ((p = leat__skip_string(p, end)) == NULL) return NULL;
            break;
        case '{': case '[':
            depth++;
            p++;
            continue;
        case '}': case ']':
            if (depth == 0) return NULL;
            depth--;
            p++;
            break;
        case ',': case ':': case ' ': case '\n': case '\t': case '\r':
            if (depth == 0) return NULL;
            p++;
            continue;
        default:
            while (p < end && *p != ',' && *p != ':' && *p != '}' && *p != ']' && *p != '"' && !leat__blank(*p)) p++;
        }
        if (depth == 0) return p;
    }
    return NULL;
}

LEAT__FN int leat__hex4(const char *p, const char *end) {
    int v = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = v << 4 | d;
    }
    return v;
}

/* leat_json_string sets text to what a JSON string says, which is in scratch memory if it has escapes; 0 if raw is no string. Half a
 * surrogate pair is U+FFFD. */
LEAT__FN int leat_json_string(leat_str raw, leat_str *text) {
    const char *p = raw.ptr + 1, *end = raw.ptr + raw.len - 1;
    if (raw.len < 2 || raw.ptr[0] != '"' || leat__skip_string(raw.ptr, raw.ptr + raw.len) != raw.ptr + raw.len) return 0;
    const char *plain = p;
    while (plain < end && *plain != '\\') plain++;
    if (plain == end) {
        *text = leat_strn(p, (size_t)(end - p));
        return 1;
    }
    char *to = (char *)leat_scratch(raw.len), *at = to;
    while (p < end) {
        if (*p != '\\') {
            *at++ = *p++;
            continue;
        }
        int c = p[1], low;
        p += 2;
        switch (c) {
        case '"': case '\\': case '/': *at++ = (char)c; continue;
        case 'b': *at++ = '\b'; continue;
        case 'f': *at++ = '\f'; continue;
        case 'n': *at++ = '\n'; continue;
        case 'r': *at++ = '\r'; continue;
        case 't': *at++ = '\t'; continue;
        case 'u': break;
        default: return 0;
        }
        if ((c = leat__hex4(p, end)) < 0) return 0;
        p += 4;
        if (c >= 0xd800 && c < 0xe000) {
            if (c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' && (low = leat__hex4(p + 2, end)) >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            } else {
                c = 0xfffd;
            }
        }
        if (c < 0x80) *at++ = (char)c;
        else if (c < 0x800) *at++ = (char)(0xc0 | c >> 6), *at++ = (char)(0x80 | (c & 63));
        else if (c < 0x10000) *at++ = (char)(0xe0 | c >> 12), *at++ = (char)(0x80 | (c >> 6 & 63)), *at++ = (char)(0x80 | (c & 63));
        else *at++ = (char)(0xf0 | c >> 18), *at++ = (char)(0x80 | (c >> 12 & 63)), *at++ = (char)(0x80 | (c >> 6 & 63)), *at++ = (char)(0x80 | (c & 63));
    }
    *text = leat_strn(to, (size_t)(at - to));
    return 1;
}

/* leat__step finds the value that a step of a path names in the object or array at p; NULL if there is none. The place after it is in
 * *to. */
LEAT__FN const char *leat__step(const char *p, const char *end, leat_str step, const char **to) {
    const char *found = NULL;
    int object = p < end && *p == '{';
    if (p == end || (*p != '{' && *p != '[')) return NULL;
    p = leat__skip_blank(p + 1, end);
    for (uint32_t index = 0; p < end && *p != (object ? '}' : ']'); index++) {
        int match;
        if (object) {
            leat_str key;
            const char *start = p;
            if (*p != '"' || (p = leat__skip_string(p, end)) == NULL) return NULL;
            match = leat_json_string(leat_strn(start, (size_t)(p - start)), &key) && leat_equal(key, step);
            p = leat__skip_blank(p, end);
            if (p == end || *p != ':') return NULL;
            p = leat__skip_blank(p + 1, end);
        } else {
            char text[10];
            size_t at = sizeof text;
            uint32_t n = index;
            do text[--at] = (char)('0' + n % 10);
            while ((n /= 10) != 0);
            match = leat_equal(leat_strn(text + at, sizeof text - at), step);
        }
        const char *value = p;
        if ((p = leat__skip_value(p, end)) == NULL) return NULL;
        if (match) {
            found = value;
            *to = p;
            if (!object) return found;
        }
        p = leat__skip_blank(p, end);
        if (p < end && *p == ',') p = leat__skip_blank(p + 1, end);
        else if (p == end || *p != (object ? '}' : ']')) return NULL;
    }
    return p < end ? found : NULL;
}

/* leat_json_get returns the JSON text of the value at path, without blanks around it; its ptr is NULL if there is none. */
LEAT__FN leat_str leat_json_get(leat_str json, const char *path) {
    const char *end = json.ptr + json.len, *p = leat__skip_blank(json.ptr, end), *to;
    leat_str none = {NULL, 0};
    if (*path == 0) return (to = leat__skip_value(p, end)) == NULL ? none : leat_strn(p, (size_t)(to - p));
    for (;;) {
        size_t n = 0;
        while (path[n] && path[n] != '.') n++;
        p = leat__step(p, end, leat_strn(path, n), &to);
        if (p == NULL) return none;
        if (path[n] == 0) return leat_strn(p, (size_t)(to - p));
        path += n + 1;
        end = to;
    }
}

/* leat_json_i64 sets n to the integer that raw is; 0 if it is none, or does not fit. */
LEAT__FN int leat_json_i64(leat_str raw, int64_t *n) {
    size_t i = raw.len && raw.ptr[0] == '-';
    uint64_t v = 0, most = (uint64_t)INT64_MAX + i;
    if (i == raw.len || (raw.ptr[i] == '0' && raw.len > i + 1)) return 0;
    for (size_t k = i; k < raw.len; k++) {
        uint64_t d = (uint64_t)(unsigned char)raw.ptr[k] - '0';
        if (d > 9 || v > (most - d) / 10) return 0;
        v = 10 * v + d;
    }
    *n = i ? (int64_t)(0 - v) : (int64_t)v;
    return 1;
}

/* leat_json_f64 sets x to the number that raw is; 0 if it is none, or too large. Up to 15 digits and 22 places are exact, which is what most
 * data has; with more, the last bits of x may be off. With a C library, strtod is exact. */
LEAT__FN int leat_json_f64(leat_str raw, double *x) {
    static const double tens[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *p = raw.ptr, *end = p + raw.len;
    int negative = p < end && *p == '-', exp = 0, e = 0;
    uint64_t digits = 0;
    p += negative;
    if (p == end || *p < '0' || *p > '9' || (*p == '0' && p + 1 < end && p[1] >= '0' && p[1] <= '9')) return 0;
    for (int point = 0; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = 1;
            continue;
        }
        if (digits < UINT64_MAX / 10 - 1) digits = 10 * digits + (uint64_t)(*p - '0');
        else exp++; /* more than there is room for */
        exp -= point;
    }
    if (p[-1] == '.') return 0;
    if (p < end && (*p == 'e' || *p == 'E')) {
        int minus = ++p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) p++;
        if (p == end) return 0;
        for (; p < end && *p >= '0' && *p <= '9'; p++) e = e < 100000000 ? 10 * e + (*p - '0') : e;
        if (p[-1] < '0' || p[-1] > '9') return 0;
        exp += minus ? -e : e;
    }
    if (p != end) return 0;
    double v = (double)digits;
    if (exp > 400) exp = 400; /* as good as without end */
    for (; exp < 0 && v != 0; exp += exp < -22 ? 22 : -exp) v /= tens[exp < -22 ? 22 : -exp];
    for (; exp > 0; exp -= exp > 22 ? 22 : exp) v *= tens[exp > 22 ? 22 : exp];
    *x = negative ? -v : v;
    return v <= 1.7976931348623157e308;
}

/* leat_json_bool sets b to 1 or 0; 0 is returned if raw is neither true nor false. */
LEAT__FN int leat_json_bool(leat_str raw, int *b) {
    *b = leat_equal(raw, LEAT_STR("true"));
    return *b || leat_equal(raw, LEAT_STR("false"));
}

/* leat_json_set returns json, in scratch memory, with value, which is JSON text, at path: in place of the one there is, else as the
 * last member of its object. Its ptr is NULL if there is no such object, or no such element. */
LEAT__FN leat_str leat_json_set(leat_str json, const char *path, leat_str value) {
    leat_str none = {NULL, 0}, parent = leat_json_get(json, ""), there = leat_json_get(json, path);
    const char *name = path, *from, *end = json.ptr + json.len;
    leat_buf b = {NULL, 0, 0};
    if (there.ptr) {
        leat_put(&b, leat_strn(json.ptr, (size_t)(there.ptr - json.ptr)));
        leat_put(&b, value);
        from = there.ptr + there.len;
    } else {
        for (const char *p = path; *p; p++)
            if (*p == '.') name = p + 1;
        if (name != path) {
            char *up = (char *)leat_scratch((size_t)(name - path));
            __builtin_memcpy(up, path, (size_t)(name - path) - 1);
            up[name - path - 1] = 0;
            parent = leat_json_get(json, up);
        }
        if (*path == 0 || parent.ptr == NULL || *parent.ptr != '{') return none;
        from = parent.ptr + parent.len - 1; /* the closing brace */
        const char *last = from;
        while (leat__blank(last[-1])) last--;
        leat_put(&b, leat_strn(json.ptr, (size_t)(last - json.ptr)));
        if (last[-1] != '{') leat_put(&b, LEAT_STR(","));
        leat_put_json(&b, leat_strz(name));
        leat_put(&b, LEAT_STR(":"));
        leat_put(&b, value);
        from = last;
    }
    leat_put(&b, leat_strn(from, (size_t)(end - from)));
    return leat_strn(b.ptr, b.len);
}

/* ---- Exports ---- */

/* leat__configure hands config to the transform, which refuses any but null if it has no function for it. */
LEAT__FN uint32_t leat__configure(const char *json, uint32_t size, leat_config_fn *configure) {
    leat_str config = leat_json_get(leat_strn(json, size), "config");
    const char *why = NULL;
    if (config.ptr == NULL) why = "leat's configuration is not as leat_tx_1 says";
    else if (configure) why = configure(config);
    else if (!leat_equal(config, LEAT_STR("null"))) why = "this transform takes no config";
    leat__free_scratch();
    if (why == NULL) return 0;
    leat__fail(why, __builtin_strlen(why));
    return 1;
}

#if defined(__wasi__) || !defined(__wasm__) /* wasi-libc has an _initialize of its own, with -mexec-model=reactor */
#define LEAT__INITIALIZE
#else
void __wasm_call_ctors(void);
#define LEAT__INITIALIZE LEAT__EXPORT("_initialize", void, leat__initialize, (void), { __wasm_call_ctors(); })
#endif

#ifdef __cplusplus
}
#define LEAT__C extern "C"
#else
#define LEAT__C
#endif

#ifdef __wasm__
#define LEAT__AS(name) __attribute__((export_name(name), used))
#else
#define LEAT__AS(name) __attribute__((used))
#endif

#define LEAT__EXPORT(as, type, name, params, ...) \
    LEAT__C LEAT__AS(as) type name params;        \
    LEAT__C type name params __VA_ARGS__

#define LEAT__MODULE(each, batch, configure)                                                                                      \
    LEAT__INITIALIZE                                                                                                              \
    LEAT__EXPORT("leat_tx_1", void, leat__marker, (void), {})                                                                     \
    LEAT__EXPORT("leat_alloc", uint32_t, leat__exported_alloc, (uint32_t size), { return leat__alloc(size); })                    \
    LEAT__EXPORT("leat_configure", uint32_t, leat__exported_configure, (const char *at, uint32_t size),                           \
                 { return leat__configure(at, size, configure); })                                                                \
    LEAT__EXPORT("leat_transform", uint64_t, leat__exported_transform, (const char *at, uint32_t size),                           \
                 { return leat__transform(at, size, each, batch); })                                                              \
    LEAT__COUNTER

/* Modules count what they allocate, which leat transform bench shows: without the C library nothing, with it what the linker's --wrap
 * sends here. leat's builds define LEAT_COUNT and give the linker these names. */
#if !defined(__wasm__) || (defined(__wasi__) && !defined(LEAT_COUNT))
#define LEAT__COUNTER
#elif !defined(__wasi__)
#define LEAT__COUNTER LEAT__EXPORT("leat_allocations", uint64_t, leat__allocations, (void), { return 0; })
#else
#define LEAT__COUNTED(name, params, args)     \
    LEAT__C void *__real_##name params;       \
    LEAT__C void *__wrap_##name params;       \
    LEAT__C void *__wrap_##name params {      \
        leat__allocated++;                    \
        return __real_##name args;            \
    }

#define LEAT__COUNTER                                                                                                             \
    static uint64_t leat__allocated;                                                                                              \
    LEAT__COUNTED(malloc, (size_t size), (size))                                                                                  \
    LEAT__COUNTED(calloc, (size_t n, size_t size), (n, size))                                                                     \
    LEAT__COUNTED(realloc, (void *at, size_t size), (at, size))                                                                   \
    LEAT__COUNTED(aligned_alloc, (size_t alignment, size_t size), (alignment, size))                                              \
    LEAT__EXPORT("leat_allocations", uint64_t, leat__allocations, (void), { return leat__allocated; })
#endif

/* LEAT_EACH makes a module of a leat_each_fn, which is called record by record; LEAT_BATCH of a leat_batch_fn, which gets up to 500 records and
 * 512 KiB, or one larger record. The second forms have a leat_config_fn too, which is called once, before the first record. */
#define LEAT_EACH(each) LEAT__MODULE(each, NULL, NULL)
#define LEAT_EACH_CONFIG(each, configure) LEAT__MODULE(each, NULL, configure)
#define LEAT_BATCH(batch) LEAT__MODULE(NULL, batch, NULL)
#define LEAT_BATCH_CONFIG(batch, configure) LEAT__MODULE(NULL, batch, configure)

/* LEAT_DESCRIBE("{…}") is optional: a manifest of the module in JSON. */
#define LEAT_DESCRIBE(json)                                                            \
    LEAT__EXPORT("leat_describe", uint64_t, leat__exported_describe, (void), {         \
        return (uint64_t)(uintptr_t)("" json) << 32 | (sizeof(json) - 1);              \
    })

#endif
