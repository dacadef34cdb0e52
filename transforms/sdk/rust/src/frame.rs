//! The frames of leat_tx_1, as transforms/wasm/abi/ABI.md specifies them.

use crate::outcome::{Out, Outcome, Pair};
use crate::record::{Attrs, Record};

const HEADER: usize = 32;
const RECORD: usize = 48;
const RESULT: usize = 24;
const OUT: usize = 48;

const DATA_IN_INPUT: u32 = 1;
const KEY_IN_INPUT: u32 = 2;
const ATTRS_IN_INPUT: u32 = 4;

pub const BAD_RESULT: &str = "transform.bad_result";

fn u16_at(b: &[u8], at: usize) -> u64 {
    u16::from_le_bytes([b[at], b[at + 1]]) as u64
}

fn u32_at(b: &[u8], at: usize) -> u64 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]) as u64
}

fn u64_at(b: &[u8], at: usize) -> u64 {
    u32_at(b, at) | u32_at(b, at + 4) << 32
}

/// An INPUT frame whose header has been checked.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    frame: &'a [u8],
    table: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(frame: &'a [u8]) -> Option<Self> {
        if frame.len() < HEADER || &frame[..6] != b"LTX1\x01\x00" || u32_at(frame, 24) != frame.len() as u64 {
            return None;
        }
        let (head, count) = (u16_at(frame, 6), u32_at(frame, 8));
        let end = head + RECORD as u64 * count;
        if head < HEADER as u64 || head % 8 != 0 || end > frame.len() as u64 {
            return None;
        }
        Some(Input { frame, table: &frame[head as usize..end as usize] })
    }

    pub fn len(&self) -> usize {
        self.table.len() / RECORD
    }

    fn entry(&self, i: usize) -> &'a [u8] {
        &self.table[RECORD * i..][..RECORD]
    }

    fn field(&self, entry: &[u8], at: usize) -> Option<&'a [u8]> {
        self.frame.get(u32_at(entry, at) as usize..)?.get(..u32_at(entry, at + 4) as usize)
    }

    /// Decodes record i; None if a field lies outside the frame.
    #[inline]
    pub fn record(&self, i: usize) -> Option<Record<'a>> {
        let e = self.entry(i);
        let block = self.field(e, 32)?;
        let attrs = Attrs { block };
        if !block.is_empty() && attrs.iter().count() != attrs.len() {
            return None;
        }
        Some(Record {
            data: self.field(e, 16)?,
            key: self.field(e, 24)?,
            attrs,
            seq: u64_at(e, 0),
            arrived: u64_at(e, 8) as i64,
            shard: u32_at(e, 40) as u32,
            sub: u32_at(e, 44) as u32,
        })
    }
}

/// Builds OUTPUT frames: header | results | payload | outs. Its memory is used again for the next frame. Frames are 8-aligned, because their memory
/// is made of words.
#[derive(Default)]
pub struct Writer {
    words: Vec<u64>,
    len: usize,
    outs: Vec<u8>,
    done: usize,
}

impl Writer {
    pub const fn new() -> Self {
        Writer { words: Vec::new(), len: 0, outs: Vec::new(), done: 0 }
    }

    /// Begins the answer to a frame with so many records.
    pub fn reset(&mut self, records: usize) {
        self.len = 0;
        self.done = 0;
        self.outs.clear();
        self.room(HEADER + RESULT * records);
    }

    fn bytes(&mut self) -> &mut [u8] {
        // Eight bytes for each word; any bytes are fine.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr() as *mut u8, 8 * self.words.len()) }
    }

    /// Appends n bytes of any value and returns where.
    #[inline]
    fn room(&mut self, n: usize) -> usize {
        let at = self.len;
        self.len += n;
        if self.len > 8 * self.words.len() {
            self.grow();
        }
        at
    }

    #[cold]
    fn grow(&mut self) {
        let words = self.len / 8 + 1;
        self.words.reserve(words - self.words.len());
        let roomy = self.words.capacity().min(2 * words);
        self.words.resize(roomy, 0);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> (usize, usize) {
        let at = self.room(bytes.len());
        self.bytes()[at..at + bytes.len()].copy_from_slice(bytes);
        (at, bytes.len())
    }

    fn put_attrs(&mut self, attrs: &[Pair]) -> Option<(usize, usize)> {
        if attrs.is_empty() {
            return Some((0, 0));
        }
        let size = attrs.iter().fold(4 + 8 * attrs.len() as u64, |n, (name, value)| n + (name.len() + value.len()) as u64);
        if attrs.len() > 0xffff || attrs.iter().any(|(name, _)| name.len() > 0xffff) || size > i32::MAX as u64 {
            return None;
        }
        let (at, _) = self.put(&(attrs.len() as u32).to_le_bytes());
        for (name, value) in attrs {
            self.put(&(name.len() as u32).to_le_bytes());
            self.put(&(value.len() as u32).to_le_bytes());
        }
        for (name, value) in attrs {
            self.put(name);
            self.put(value);
        }
        Some((at, self.len - at))
    }

    /// Appends an output of record i; None if its attributes cannot be encoded.
    #[inline]
    fn put_out(&mut self, input: &Input, i: usize, out: &Out) -> Option<()> {
        let entry = input.entry(i);
        let mut e = [0; OUT];
        let mut flags = 0;
        let set = |e: &mut [u8; OUT], at: usize, (off, len): (usize, usize)| {
            e[at..at + 4].copy_from_slice(&(off as u32).to_le_bytes());
            e[at + 4..at + 8].copy_from_slice(&(len as u32).to_le_bytes());
        };
        match &out.data {
            None => {
                flags |= DATA_IN_INPUT;
                e[8..16].copy_from_slice(&entry[16..24]);
            }
            Some(data) => match within(input, entry, data) {
                Some(off) => {
                    flags |= DATA_IN_INPUT;
                    set(&mut e, 8, (off, data.len()));
                }
                None => set(&mut e, 8, self.put(data)),
            },
        }
        if out.key.is_empty() {
            flags |= KEY_IN_INPUT;
            e[16..24].copy_from_slice(&entry[24..32]);
        } else {
            set(&mut e, 16, self.put(&out.key));
        }
        match &out.attrs {
            None => {
                flags |= ATTRS_IN_INPUT;
                e[24..32].copy_from_slice(&entry[32..40]);
            }
            Some(attrs) => set(&mut e, 24, self.put_attrs(attrs)?),
        }
        if !out.partition.is_empty() {
            set(&mut e, 32, self.put_attrs(&out.partition)?);
        }
        e[..4].copy_from_slice(&u32::to_le_bytes(flags));
        e[4..8].copy_from_slice(&(i as u32).to_le_bytes());
        self.outs.extend_from_slice(&e);
        Some(())
    }

    /// Writes the result of the next record.
    #[inline]
    pub fn result(&mut self, input: &Input, outcome: &Outcome) {
        let first = self.outs.len();
        let status = match outcome {
            Outcome::Keep => 1,
            Outcome::Drop => 2,
            Outcome::Emit(outs) if outs.is_empty() => 2,
            Outcome::One(out) => {
                if out.data.is_none() && out.key.is_empty() && out.attrs.is_none() && out.partition.is_empty() {
                    1
                } else if self.put_out(input, self.done, out).is_some() {
                    0
                } else {
                    return self.bad_attributes(first);
                }
            }
            Outcome::Emit(outs) => {
                if outs.iter().any(|out| self.put_out(input, self.done, out).is_none()) {
                    return self.bad_attributes(first);
                }
                0
            }
            Outcome::Fail(failure) => return self.fail(first, &failure.code, &failure.reason),
        };
        let (n, first) = ((self.outs.len() - first) / OUT, first / OUT);
        let at = HEADER + RESULT * self.done;
        let e = &mut self.bytes()[at..at + RESULT];
        e[..8].copy_from_slice(&(status | (first as u64) << 32).to_le_bytes());
        e[8..16].copy_from_slice(&(n as u64).to_le_bytes());
        e[16..].fill(0);
        self.done += 1;
    }

    #[cold]
    fn bad_attributes(&mut self, first: usize) {
        self.fail(first, BAD_RESULT, "attributes or partition keys are too many, or a name is longer than 65,535 bytes");
    }

    /// Writes that the next record failed, for good. Outputs that it has made so far are taken back.
    fn fail(&mut self, first: usize, code: &str, reason: &str) {
        self.outs.truncate(first);
        let (code, reason) = (&code.as_bytes()[..code.len().min(0xffff)], &reason.as_bytes()[..reason.len().min(0xffff)]);
        let (code_at, _) = self.put(code);
        let (reason_at, _) = self.put(reason);
        let at = HEADER + RESULT * self.done;
        let e = &mut self.bytes()[at..at + RESULT];
        e[..8].copy_from_slice(&(3 | 4 << 8 | ((first / OUT) as u64) << 32).to_le_bytes());
        e[8..12].fill(0);
        e[12..16].copy_from_slice(&(code_at as u32).to_le_bytes());
        e[16..18].copy_from_slice(&(code.len() as u16).to_le_bytes());
        e[18..20].copy_from_slice(&(reason.len() as u16).to_le_bytes());
        e[20..].copy_from_slice(&(reason_at as u32).to_le_bytes());
        self.done += 1;
    }

    /// Completes the frame, which is valid until the next reset.
    pub fn finish(&mut self) -> &[u8] {
        self.room(self.len.wrapping_neg() & 7);
        let outs = std::mem::take(&mut self.outs);
        let (at, len) = self.put(&outs);
        self.outs = outs;
        let done = self.done;
        let h = &mut self.bytes()[..HEADER];
        h[..8].copy_from_slice(b"LTR1\x01\x00\x20\x00");
        h[8..12].copy_from_slice(&(done as u32).to_le_bytes());
        h[12..16].copy_from_slice(&((len / OUT) as u32).to_le_bytes());
        h[16..20].copy_from_slice(&(HEADER as u32).to_le_bytes());
        h[20..24].copy_from_slice(&(at as u32).to_le_bytes());
        h[24..].fill(0);
        let len = self.len;
        &self.bytes()[..len]
    }
}

/// Where in the frame data lies, if it lies within the data of the entry's record.
#[inline]
fn within(input: &Input, entry: &[u8], data: &[u8]) -> Option<usize> {
    let at = (data.as_ptr() as usize).checked_sub(input.frame.as_ptr() as usize)?;
    let (from, len) = (u32_at(entry, 16) as usize, u32_at(entry, 20) as usize);
    if !data.is_empty() && at >= from && at + data.len() <= from + len {
        Some(at)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
