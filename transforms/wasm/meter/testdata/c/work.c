// Loops of the kinds that transforms have, each returning a checksum. Build: see build.sh.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
#define EXPORT(name) __attribute__((export_name(name)))

static u8 text[1 << 16];
static u8 out[1 << 17];

EXPORT("prepare") void prepare(u32 seed) {
  for (u32 i = 0; i < sizeof text; i++) {
    seed = seed * 1664525 + 1013904223;
    u32 r = seed >> 24;
    text[i] = r < 8 ? '\n' : r < 40 ? ',' : r < 50 ? '"' : 'a' + r % 26;
  }
}

// csv finds the fields of lines, with quotes.
EXPORT("csv") u64 csv(u32 rounds) {
  u64 sum = 0;
  while (rounds--) {
    u32 field = 0, length = 0, quoted = 0;
    for (u32 i = 0; i < sizeof text; i++) {
      u8 c = text[i];
      if (quoted) {
        if (c == '"') quoted = 0; else length++;
      } else if (c == '"') {
        quoted = 1;
      } else if (c == ',' || c == '\n') {
        sum = sum * 31 + length + field;
        length = 0;
        field = c == '\n' ? 0 : field + 1;
      } else {
        length++;
      }
    }
  }
  return sum;
}

// upper copies with a change: a short loop.
EXPORT("upper") u64 upper(u32 rounds) {
  u64 sum = 0;
  while (rounds--) {
    for (u32 i = 0; i < sizeof text; i++) {
      u8 c = text[i];
      out[i] = c >= 'a' && c <= 'z' ? c - 32 : c;
    }
    sum = sum * 31 + out[rounds & 0xffff];
  }
  return sum;
}

// hash is FNV: the shortest loop, bound by its multiplication.
EXPORT("hash") u64 hash(u32 rounds) {
  u64 h = 14695981039346656037ull;
  while (rounds--)
    for (u32 i = 0; i < sizeof text; i++) h = (h ^ text[i]) * 1099511628211ull;
  return h;
}

// json escapes text into out.
static u8 *put(u8 *p, u8 c) { *p++ = c; return p; }
__attribute__((noinline)) static u8 *escape(u8 *p, u8 c) {
  if (c == '"' || c == '\\') { p = put(p, '\\'); return put(p, c); }
  if (c < 32) { p = put(p, '\\'); return put(p, 'n'); }
  return put(p, c);
}
EXPORT("json") u64 json(u32 rounds) {
  u64 sum = 0;
  while (rounds--) {
    u8 *p = out;
    for (u32 i = 0; i < sizeof text; i++) p = escape(p, text[i]);
    sum = sum * 31 + (p - out);
  }
  return sum;
}

// tree recurses.
__attribute__((noinline)) static u32 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
EXPORT("tree") u64 tree(u32 n) { return fib(n); }

// sort calls through pointers.
typedef int (*compare)(const u32 *, const u32 *);
static int up(const u32 *a, const u32 *b) { return *a < *b ? -1 : *a > *b; }
static int down(const u32 *a, const u32 *b) { return *a > *b ? -1 : *a < *b; }
static void quick(u32 *a, int lo, int hi, compare cmp) {
  while (lo < hi) {
    u32 pivot = a[(lo + hi) / 2];
    int i = lo, j = hi;
    while (i <= j) {
      while (cmp(&a[i], &pivot) < 0) i++;
      while (cmp(&a[j], &pivot) > 0) j--;
      if (i <= j) { u32 t = a[i]; a[i++] = a[j]; a[j--] = t; }
    }
    quick(a, lo, j, cmp);
    lo = i;
  }
}
EXPORT("sort") u64 sort(u32 rounds) {
  static u32 a[4096];
  u64 sum = 0;
  for (u32 r = 0; r < rounds; r++) {
    u32 seed = r;
    for (u32 i = 0; i < 4096; i++) a[i] = seed = seed * 1664525 + 1013904223;
    quick(a, 0, 4095, r & 1 ? up : down);
    sum = sum * 31 + a[r & 4095];
  }
  return sum;
}
