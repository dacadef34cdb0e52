//! What leat offers to a module. Elsewhere, as in tests, log lines go to the standard error and counters nowhere.

/// The importance of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    /// For whoever writes the transform.
    Debug = -4,
    /// Worth knowing.
    Info = 0,
    /// May need attention.
    Warn = 4,
    /// Needs attention.
    Error = 8,
}

/// Writes a line to leat's log. Lines are limited in number, so log what is rare.
pub fn log(level: Level, line: impl AsRef<str>) {
    sys::log(level, line.as_ref());
}

/// Adds `n` to one of the transform's counters: the metric `leat_transform_count{name="…"}`. There may be 256 names.
pub fn count(name: impl AsRef<str>, n: i64) {
    sys::count(name.as_ref(), n);
}

pub(crate) use sys::fail;

#[cfg(target_arch = "wasm32")]
mod sys {
    mod import {
        #[link(wasm_import_module = "leat")]
        extern "C" {
            pub fn log(level: i32, at: *const u8, size: usize);
            pub fn fail(at: *const u8, size: usize);
            pub fn count(at: *const u8, size: usize, n: i64);
        }
    }

    // leat reads the text during the call and nothing else.
    pub fn log(level: super::Level, line: &str) {
        unsafe { import::log(level as i32, line.as_ptr(), line.len()) }
    }

    pub fn fail(reason: &str) {
        unsafe { import::fail(reason.as_ptr(), reason.len()) }
    }

    pub fn count(name: &str, n: i64) {
        unsafe { import::count(name.as_ptr(), name.len(), n) }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod sys {
    pub fn log(level: super::Level, line: &str) {
        eprintln!("{:?} {}", level, line);
    }

    pub fn fail(_: &str) {}

    pub fn count(_: &str, _: i64) {}
}
