//! The module's side of leat_tx_1, which the macros export.

use crate::frame::{Input, Writer};
use crate::{host, json, BatchTransform, Outcome, Transform};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};

/// The record in work, which leat reads after a trap.
#[cfg_attr(target_arch = "wasm32", no_mangle)]
#[allow(non_upper_case_globals)]
pub static leat_cursor: AtomicU32 = AtomicU32::new(0);

const NO_RECORD: u32 = u32::MAX;

/// Something that makes answers to frames.
pub trait Run: Sized {
    fn new(config: &str) -> Result<Self, String>;
    /// Writes one result for each record; None if the frame breaks the rules.
    fn run(&mut self, input: &Input, writer: &mut Writer) -> Option<()>;
}

pub struct Each<T>(T);

impl<T: Transform> Run for Each<T> {
    fn new(config: &str) -> Result<Self, String> {
        T::new(config).map(Each)
    }

    #[inline]
    fn run(&mut self, input: &Input, writer: &mut Writer) -> Option<()> {
        for i in 0..input.len() {
            leat_cursor.store(i as u32, Ordering::Relaxed);
            let record = input.record(i)?;
            match self.0.each(&record) {
                Ok(outcome) => writer.result(input, &outcome),
                Err(failure) => writer.result(input, &Outcome::Fail(failure)),
            }
        }
        Some(())
    }
}

pub struct Batch<T>(T);

impl<T: BatchTransform> Run for Batch<T> {
    fn new(config: &str) -> Result<Self, String> {
        T::new(config).map(Batch)
    }

    fn run(&mut self, input: &Input, writer: &mut Writer) -> Option<()> {
        leat_cursor.store(NO_RECORD, Ordering::Relaxed);
        let records = (0..input.len()).map(|i| input.record(i)).collect::<Option<Vec<_>>>()?;
        let outcomes = self.0.batch(&records);
        assert!(outcomes.len() == records.len(), "the transform returned {} outcomes for {} records", outcomes.len(), records.len());
        for outcome in &outcomes {
            writer.result(input, outcome);
        }
        Some(())
    }
}

/// The state of a module.
pub struct Guest<R>(UnsafeCell<State<R>>);

// A module has one thread, and leat makes one call at a time.
unsafe impl<R> Sync for Guest<R> {}

struct State<R> {
    arena: Vec<u64>,
    writer: Writer,
    run: Option<R>,
}

/// What the arena may keep, in bytes, after a frame that needed more.
const ROOMY: usize = 1 << 20;

impl<R: Run> Guest<R> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Guest(UnsafeCell::new(State { arena: Vec::new(), writer: Writer::new(), run: None }))
    }

    #[allow(clippy::mut_from_ref)]
    fn state(&self) -> &mut State<R> {
        unsafe { &mut *self.0.get() } // see Sync
    }

    /// leat_alloc.
    pub fn alloc(&self, size: u32) -> u32 {
        let s = self.state();
        let words = (size as usize / 8 + 1).max(64 << 10 >> 3);
        if words > s.arena.len() || 8 * s.arena.len() > ROOMY && 8 * words <= ROOMY {
            s.arena = Vec::new();
            if s.arena.try_reserve_exact(words).is_err() {
                return 0;
            }
            s.arena.resize(words, 0);
        }
        s.arena.as_mut_ptr() as usize as u32
    }

    /// The bytes that leat has written to the arena.
    fn frame(arena: &[u64], at: u32, size: u32) -> Option<&[u8]> {
        if at as usize != arena.as_ptr() as usize || size as usize > 8 * arena.len() {
            return None;
        }
        Some(unsafe { std::slice::from_raw_parts(arena.as_ptr() as *const u8, size as usize) })
        // words are initialized bytes
    }

    /// leat_configure.
    pub fn configure(&self, at: u32, size: u32) -> u32 {
        std::panic::set_hook(Box::new(|info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(|s| s.as_str()));
            let place = info.location().map(|l| format!(" (in {}:{})", l.file(), l.line())).unwrap_or_default();
            host::fail(&format!("panic: {}{}", text.unwrap_or("without a message"), place));
        }));
        let s = self.state();
        let config = Self::frame(&s.arena, at, size).and_then(|b| json::get(b, "config")).and_then(|v| std::str::from_utf8(v.raw()).ok());
        match config.ok_or_else(|| "leat's configuration is not as leat_tx_1 says".to_string()).and_then(R::new) {
            Ok(run) => {
                s.run = Some(run);
                0
            }
            Err(why) => {
                host::fail(&why);
                1
            }
        }
    }

    /// leat_transform.
    pub fn transform(&self, at: u32, size: u32) -> u64 {
        let s = self.state();
        let answer = Self::frame(&s.arena, at, size).and_then(Input::new).zip(s.run.as_mut()).and_then(|(input, run)| {
            s.writer.reset(input.len());
            run.run(&input, &mut s.writer)
        });
        if answer.is_none() {
            host::fail("the frame does not keep the rules of leat_tx_1");
            return 0;
        }
        let frame = s.writer.finish();
        (frame.as_ptr() as usize as u64) << 32 | frame.len() as u64
    }
}

/// For transforms without a configuration.
pub fn no_config(config: &str) -> Result<(), String> {
    if config == "null" {
        Ok(())
    } else {
        Err("this transform takes no config".to_string())
    }
}

/// The bytes of a text, for a section of the module.
pub const fn array<const N: usize>(text: &str) -> [u8; N] {
    let (bytes, mut array, mut i) = (text.as_bytes(), [0; N], 0);
    while i < N {
        array[i] = bytes[i];
        i += 1;
    }
    array
}
