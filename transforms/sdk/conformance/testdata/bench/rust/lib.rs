//! Keeps records or, with a config, makes their letters large: what a crossing costs, and a loop over the bytes.

use leat::{json, Outcome, Record, Transform};

struct Bench {
    upper: bool,
    buffer: Vec<u8>,
}

impl Transform for Bench {
    fn new(config: &str) -> Result<Self, String> {
        let upper = json::get(config.as_bytes(), "upper").and_then(|v| v.bool()).unwrap_or(false);
        Ok(Bench { upper, buffer: Vec::new() })
    }

    fn each<'a>(&'a mut self, r: &Record<'a>) -> leat::Result<'a> {
        if !self.upper {
            return Ok(Outcome::Keep);
        }
        self.buffer.clear();
        self.buffer.extend(r.data.iter().map(u8::to_ascii_uppercase));
        Ok(Outcome::data(&self.buffer))
    }
}

leat::transform!(Bench);
