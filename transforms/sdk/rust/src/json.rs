//! Finds and changes single values of a JSON text without building a tree. It is no validator: of what it skips it looks at quotes and brackets
//! alone.
//!
//! A path names keys, and numbers of array elements, between dots: `user.tags.0`; the empty path is the whole text. A key that holds
//! a dot cannot be named. Of several equal keys the last counts.

use std::borrow::Cow;

/// The JSON text of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

/// Returns the value at a path.
pub fn get<'a>(json: &'a [u8], path: &str) -> Option<Value<'a>> {
    let (from, to) = find(json, path)?;
    Some(Value(&json[from..to]))
}

/// Returns `json` with `value`, which is JSON text, at a path: in place of the one there is, else as the last member of its object. None
/// if there is no such object, or no such element.
pub fn set(json: &[u8], path: &str, value: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let value = value.as_ref();
    let mut out = Vec::with_capacity(json.len() + value.len() + path.len() + 8);
    if let Some((from, to)) = find(json, path) {
        out.extend_from_slice(&json[..from]);
        out.extend_from_slice(value);
        out.extend_from_slice(&json[to..]);
        return Some(out);
    }
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let (from, to) = find(json, parent)?;
    if path.is_empty() || json[from] != b'{' {
        return None;
    }
    let end = from + json[from..to - 1].iter().rposition(|&c| !blank(c))? + 1;
    out.extend_from_slice(&json[..end]);
    if json[end - 1] != b'{' {
        out.push(b',');
    }
    quote(&mut out, name);
    out.push(b':');
    out.extend_from_slice(value);
    out.extend_from_slice(&json[end..]);
    Some(out)
}

/// Appends text as a JSON string, quotes included.
pub fn quote(out: &mut Vec<u8>, text: impl AsRef<[u8]>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &c in text.as_ref() {
        match c {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', c]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[(c >> 4) as usize], HEX[(c & 15) as usize]]),
            _ => out.push(c),
        }
    }
    out.push(b'"');
}

impl<'a> Value<'a> {
    /// The text itself.
    pub fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// What a string says; None if it is none. Half a surrogate pair, and bytes that are not UTF-8, are U+FFFD.
    pub fn string(&self) -> Option<Cow<'a, str>> {
        if self.0.first() != Some(&b'"') || skip_string(self.0, 0) != Some(self.0.len()) {
            return None;
        }
        let text = &self.0[1..self.0.len() - 1];
        if !text.contains(&b'\\') {
            return Some(String::from_utf8_lossy(text));
        }
        let bytes = unescape(text)?;
        Some(Cow::Owned(match String::from_utf8_lossy(&bytes) {
            Cow::Owned(s) => s,
            Cow::Borrowed(_) => String::from_utf8(bytes).ok()?,
        }))
    }

    /// The integer; None if it is none, or does not fit.
    pub fn i64(&self) -> Option<i64> {
        self.number()?.parse().ok()
    }

    /// The number; None if it is none, or too large.
    pub fn f64(&self) -> Option<f64> {
        self.number()?.parse().ok().filter(|n: &f64| n.is_finite())
    }

    /// Text that Rust's parsers take, if JSON does too.
    fn number(&self) -> Option<&'a str> {
        let digits = self.0.strip_prefix(b"-").unwrap_or(self.0);
        let ok = match digits {
            [b'0', b'0'..=b'9', ..] => false,
            [b'0'..=b'9', ..] => {
                digits.last().map_or(false, |c| c.is_ascii_digit()) && !digits.windows(2).any(|w| w[0] == b'.' && !w[1].is_ascii_digit())
            }
            _ => false,
        };
        if ok {
            std::str::from_utf8(self.0).ok()
        } else {
            None
        }
    }

    /// true or false; None if it is neither.
    pub fn bool(&self) -> Option<bool> {
        match self.0 {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        self.0 == b"null"
    }
}

fn blank(c: u8) -> bool {
    matches!(c, b' ' | b'\n' | b'\t' | b'\r')
}

fn skip_blank(json: &[u8], mut at: usize) -> usize {
    while at < json.len() && blank(json[at]) {
        at += 1;
    }
    at
}

/// Returns the place after the string whose opening quote is at a place.
fn skip_string(json: &[u8], at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut at = at + 1;
    while at < json.len() {
        if let Some(Ok(eight)) = json.get(at..at + 8).map(<[u8; 8]>::try_from) {
            // Eight bytes at a time, unless one of them is a quote or a backslash.
            let w = u64::from_le_bytes(eight);
            let (q, s) = (w ^ (ONES * b'"' as u64), w ^ (ONES * b'\\' as u64));
            if ((q.wrapping_sub(ONES) & !q) | (s.wrapping_sub(ONES) & !s)) & ONES << 7 == 0 {
                at += 8;
                continue;
            }
        }
        match json[at] {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// Returns the place after the value at a place.
fn skip_value(json: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    while at < json.len() {
        match json[at] {
            b'"' => at = skip_string(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\n' | b'\t' | b'\r' => {
                if depth == 0 {
                    return None;
                }
                at += 1;
                continue;
            }
            _ => {
                while at < json.len() && !matches!(json[at], b',' | b':' | b'}' | b']' | b'"') && !blank(json[at]) {
                    at += 1;
                }
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Returns where the value at a path begins and ends.
fn find(json: &[u8], path: &str) -> Option<(usize, usize)> {
    let from = skip_blank(json, 0);
    let mut value = (from, json.len());
    if path.is_empty() {
        return Some((from, skip_value(json, from)?));
    }
    for step in path.split('.') {
        value = member(&json[..value.1], value.0, step)?;
    }
    Some(value)
}

/// Returns the value that a step of a path names in the object or array at a place.
fn member(json: &[u8], at: usize, step: &str) -> Option<(usize, usize)> {
    let end = match json.get(at)? {
        b'{' => b'}',
        b'[' => b']',
        _ => return None,
    };
    let wanted = if end == b']' { step.parse::<usize>().ok().filter(|n| n.to_string() == step)? } else { 0 };
    let (mut at, mut index, mut found) = (skip_blank(json, at + 1), 0, None);
    while *json.get(at)? != end {
        let mut matches = index == wanted;
        if end == b'}' {
            let key = (at, if json[at] == b'"' { skip_string(json, at)? } else { return None });
            let text = &json[key.0 + 1..key.1 - 1];
            matches = text == step.as_bytes() || text.contains(&b'\\') && unescape(text).map_or(false, |t| t == step.as_bytes());
            at = skip_blank(json, key.1);
            if *json.get(at)? != b':' {
                return None;
            }
            at = skip_blank(json, at + 1);
        }
        let value = (at, skip_value(json, at)?);
        if matches {
            found = Some(value);
            if end == b']' {
                return found;
            }
        }
        index += 1;
        at = skip_blank(json, value.1);
        match json.get(at)? {
            b',' => at = skip_blank(json, at + 1),
            c if *c == end => {}
            _ => return None,
        }
    }
    found
}

/// Returns what the text between the quotes of a string says.
fn unescape(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    while let Some((&c, rest)) = text.split_first() {
        text = rest;
        if c != b'\\' {
            out.push(c);
            continue;
        }
        let (&c, rest) = text.split_first()?;
        text = rest;
        out.push(match c {
            b'"' | b'\\' | b'/' => c,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut unit = hex4(text)?;
                text = &text[4..];
                if let (0xd800..=0xdbff, [b'\\', b'u', rest @ ..]) = (unit, text) {
                    if let Some(low @ 0xdc00..=0xdfff) = hex4(rest) {
                        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        text = &rest[4..];
                    }
                }
                let mut utf8 = [0; 4];
                out.extend_from_slice(char::from_u32(unit).unwrap_or('\u{fffd}').encode_utf8(&mut utf8).as_bytes());
                continue;
            }
            _ => return None,
        });
    }
    Some(out)
}

fn hex4(text: &[u8]) -> Option<u32> {
    let digits = text.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;
