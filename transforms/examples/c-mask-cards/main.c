/*
 * Masks the numbers of payment cards in any text: 13 to 19 digits, with single blanks or dashes between them, whose check digit is right. All but the
 * last four become stars: 4111 1111 1111 1111 is **** **** **** 1111 afterwards. A record without any goes on as it came.
 */
#include "leat.h"

enum { SHORTEST = 13, LONGEST = 19 };

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* is_card reports whether digits have a right check digit, by Luhn's algorithm: every second digit from the right counts twice. */
static int is_card(const char *digits, int n) {
    int sum = 0;
    if (n < SHORTEST || n > LONGEST) return 0;
    for (int i = 0; i < n; i++) {
        int d = digits[n - 1 - i] - '0';
        if (i % 2) d = 2 * d > 9 ? 2 * d - 9 : 2 * d;
        sum += d;
    }
    return sum % 10 == 0;
}

/* run returns the place after a number that begins at a place, and its digits; n is more than LONGEST if there are too many. */
static size_t run(const char *text, size_t at, size_t len, char *digits, int *n) {
    size_t end = at;
    for (*n = 0; at < len; at++) {
        if (is_digit(text[at])) {
            if (*n < LONGEST) digits[*n] = text[at];
            ++*n;
            end = at + 1;
        } else if ((text[at] != ' ' && text[at] != '-') || at != end) {
            break;
        }
    }
    return end;
}

static leat_result mask(const leat_record *r) {
    const char *text = r->data.ptr;
    size_t len = r->data.len;
    char *copy = NULL, digits[LONGEST];
    for (size_t at = 0; at < len;) {
        if (!is_digit(text[at])) {
            at++;
            continue;
        }
        int n;
        size_t end = run(text, at, len, digits, &n);
        if (is_card(digits, n)) {
            if (copy == NULL) {
                copy = leat_reserve(len);
                memcpy(copy, text, len);
            }
            for (int left = n - 4; left > 0; at++) {
                if (!is_digit(text[at])) continue;
                copy[at] = '*';
                left--;
            }
            leat_count("cards", 1);
        }
        at = end;
    }
    return copy ? leat_data(copy, len) : leat_keep();
}

LEAT_EACH(mask)
