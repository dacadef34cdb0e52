//! The guest that transforms/sdk/conformance specifies, in Rust.

use leat::{json, Failure, Level, Out, Outcome, Record, Transform};
use std::sync::atomic::{AtomicU32, Ordering};

struct Guest {
    mode: String,
    calls: u64,
    buffer: Vec<u8>,
}

impl Transform for Guest {
    fn new(config: &str) -> Result<Self, String> {
        let text = |name| json::get(config.as_bytes(), name).and_then(|v| v.string()).unwrap_or_default().into_owned();
        match text("refuse") {
            why if !why.is_empty() => Err(why),
            _ => Ok(Guest { mode: text("mode"), calls: 0, buffer: Vec::new() }),
        }
    }

    fn each<'a>(&'a mut self, r: &Record<'a>) -> leat::Result<'a> {
        self.calls += 1;
        let (word, rest) = cut(r.data, b' ');
        Ok(match word {
            b"upper" => {
                self.buffer.clear();
                self.buffer.extend_from_slice(r.data);
                self.buffer.make_ascii_uppercase();
                Outcome::data(&self.buffer)
            }
            b"drop" => Outcome::Drop,
            b"fail" => {
                let (code, reason) = cut(rest, b' ');
                return Err(Failure::new(owned(code), owned(reason)));
            }
            b"emit" => emit(number(rest)),
            b"key" => Outcome::One(Out::keep().key(rest)),
            b"attrs" => Outcome::One(pairs(rest).fold(Out::keep().no_attrs(), |out, (name, value)| out.attr(name, value))),
            b"partition" => Outcome::One(pairs(rest).fold(Out::keep(), |out, (name, value)| out.partition(name, value))),
            b"count" => {
                let (name, n) = cut(rest, b' ');
                leat::count(owned(name), number(n));
                Outcome::Keep
            }
            b"log" => {
                leat::log(Level::Warn, owned(rest));
                Outcome::Keep
            }
            b"boom" => panic!("boom"),
            b"whoami" => Outcome::data(whoami(r, &self.mode)),
            b"calls" => Outcome::data(self.calls.to_string()),
            b"tail" => Outcome::data(rest),
            b"big" => Outcome::data(vec![b'x'; number(rest) as usize]),
            b"longname" => Outcome::emit(vec![Out::data("fine"), Out::data("").partition("n".repeat(1 << 16), "v")]),
            b"spin" => loop {
                SINK.fetch_add(1, Ordering::Relaxed);
            },
            b"recurse" => Outcome::data(recurse(1).to_string()),
            b"hoard" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![b'x'; 1 << 20]);
                    SINK.fetch_add(hoard.len() as u32, Ordering::Relaxed);
                }
            }
            b"get" | b"text" | b"int" | b"set" => Outcome::data(read_json(word, rest).unwrap_or_else(|| b"-".to_vec())),
            _ => Outcome::Keep,
        })
    }
}

leat::transform!(Guest);

/// What happens to it is not left out by the compiler.
static SINK: AtomicU32 = AtomicU32::new(0);

#[allow(unconditional_recursion)]
fn recurse(n: u32) -> u32 {
    recurse(n + 1) + SINK.fetch_add(n, Ordering::Relaxed)
}

fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|&c| c == at) {
        Some(n) => (&text[..n], &text[n + 1..]),
        None => (text, b""),
    }
}

fn owned(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn number(text: &[u8]) -> i64 {
    owned(text).parse().unwrap_or(0)
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|&c| c == b' ').filter(|word| !word.is_empty()).map(|word| cut(word, b'='))
}

fn emit<'a>(n: i64) -> Outcome<'a> {
    Outcome::emit((0..n).map(|i| {
        let mut out = Out::data(i.to_string());
        if i % 2 == 1 {
            out = out.key(format!("key-{}", i));
        }
        if i % 3 == 2 {
            out = out.attr("n", i.to_string());
        }
        if i % 4 == 3 {
            out = out.partition("p", i.to_string()).partition("q", "");
        }
        out
    }))
}

fn whoami(r: &Record, mode: &str) -> String {
    let attrs: String = r.attrs.iter().map(|a| format!("{}={};", owned(a.name), owned(a.value))).collect();
    format!("{}|{}|{}|{}|{}|{}|{}", owned(r.key), r.shard, r.seq, r.sub, r.arrived, attrs, mode)
}

/// Does "get PATH JSON", "text PATH JSON", "int PATH JSON" and "set PATH VALUE JSON".
fn read_json(word: &[u8], rest: &[u8]) -> Option<Vec<u8>> {
    let (path, rest) = cut(rest, b' ');
    let path = std::str::from_utf8(path).ok()?;
    if word == b"set" {
        let (value, rest) = cut(rest, b' ');
        return json::set(rest, path, value);
    }
    let value = json::get(rest, path)?;
    match word {
        b"get" => Some(value.raw().to_vec()),
        b"int" => value.i64().map(|n| n.to_string().into_bytes()),
        _ => value.string().map(|text| text.into_owned().into_bytes()),
    }
}
