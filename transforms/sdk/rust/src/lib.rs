//! The SDK for transforms of leat in Rust. A transform is a function from a record to an outcome:
//!
//! ```
//! use leat::{Outcome, Record};
//!
//! fn shout<'a>(record: &Record<'a>) -> Outcome<'a> {
//!     Outcome::data(record.data.to_ascii_uppercase())
//! }
//!
//! leat::each!(shout);
//! ```
//!
//! One that has a configuration, or keeps something between records, is a type:
//!
//! ```
//! use leat::{json, Failure, Outcome, Record, Transform};
//!
//! struct Numbered {
//!     prefix: String,
//!     seen: u64,
//! }
//!
//! impl Transform for Numbered {
//!     fn new(config: &str) -> Result<Self, String> {
//!         let prefix = json::get(config.as_bytes(), "prefix").and_then(|v| v.string()).ok_or("prefix: it is missing")?;
//!         Ok(Numbered { prefix: prefix.into_owned(), seen: 0 })
//!     }
//!
//!     fn each<'a>(&'a mut self, record: &Record<'a>) -> leat::Result<'a> {
//!         if record.data.is_empty() {
//!             return Err(Failure::new("numbered.empty", "the record has no data"));
//!         }
//!         self.seen += 1;
//!         Ok(Outcome::data(format!("{}{}", self.prefix, self.seen)))
//!     }
//! }
//!
//! leat::transform!(Numbered);
//! ```
//!
//! leat builds a folder with such a `src/lib.rs` by itself, with a `Cargo.toml` or without. By hand, with `crate-type = ["cdylib"]`:
//!
//! ```sh
//! cargo build --release --target wasm32-wasip1
//! ```
//!
//! Transforms compile for every platform, so that their tests are ordinary tests: [`Record::new`] makes records for them.
//!
//! leat runs several instances of a module, each with a state of its own. A panic fails the record in work, with its message as the reason, and
//! no other: leat goes on with a new instance. `println!` and `eprintln!` go to leat's log, if the module is built for WASI.

#![warn(missing_docs)]

mod bytes;
mod frame;
#[doc(hidden)]
pub mod guest;
#[doc(hidden)]
#[cfg(not(feature = "own_allocator"))]
pub mod heap;
mod host;
pub mod json;
mod outcome;
mod record;

pub use bytes::IntoBytes;
pub use host::{count, log, Level};
pub use outcome::{Failure, IntoOutcome, Out, Outcome, Result};
pub use record::{Attr, Attrs, Record};

/// A transform that is called record by record. Register it by [`transform!`].
pub trait Transform: Sized {
    /// Makes the transform, once in each instance and before the first record. `config` is what the pipeline file says, as JSON; `null` if
    /// it says nothing. The error keeps the pipeline from starting and is shown to the user.
    fn new(config: &str) -> core::result::Result<Self, String>;

    /// Says what becomes of a record. The outcome may borrow from the record and from the transform; leat copies it.
    fn each<'a>(&'a mut self, record: &Record<'a>) -> Result<'a>;
}

/// A transform that is called for a whole batch: up to 500 records and 512 KiB, or one larger record. Register it by
/// [`batch_transform!`].
pub trait BatchTransform: Sized {
    /// As [`Transform::new`].
    fn new(config: &str) -> core::result::Result<Self, String>;

    /// Returns one outcome for each record, in order. If it panics, leat finds the guilty record by calling it with fewer.
    fn batch<'a>(&'a mut self, records: &'a [Record<'a>]) -> Vec<Outcome<'a>>;
}

/// Makes a module of a type that is a [`Transform`]. A crate has one such line.
#[macro_export]
macro_rules! transform {
    ($transform:ty) => {
        $crate::__exports!($crate::guest::Each<$transform>);
    };
}

/// Makes a module of a type that is a [`BatchTransform`].
#[macro_export]
macro_rules! batch_transform {
    ($transform:ty) => {
        $crate::__exports!($crate::guest::Batch<$transform>);
    };
}

/// Makes a module of a function from `&Record` to an [`Outcome`], or to what becomes one ([`IntoOutcome`]). It has no configuration.
#[macro_export]
macro_rules! each {
    ($function:expr) => {
        #[doc(hidden)]
        pub struct LeatEach;

        impl $crate::Transform for LeatEach {
            fn new(config: &str) -> core::result::Result<Self, String> {
                $crate::guest::no_config(config).map(|_| LeatEach)
            }
            fn each<'a>(&'a mut self, record: &$crate::Record<'a>) -> $crate::Result<'a> {
                Ok($crate::IntoOutcome::into_outcome($function(record)))
            }
        }

        $crate::transform!(LeatEach);
    };
}

/// Makes a module of a function from `&[Record]` to a `Vec<Outcome>`. It has no configuration.
#[macro_export]
macro_rules! batch {
    ($function:expr) => {
        #[doc(hidden)]
        pub struct LeatBatch;

        impl $crate::BatchTransform for LeatBatch {
            fn new(config: &str) -> core::result::Result<Self, String> {
                $crate::guest::no_config(config).map(|_| LeatBatch)
            }
            fn batch<'a>(&'a mut self, records: &'a [$crate::Record<'a>]) -> Vec<$crate::Outcome<'a>> {
                $function(records)
            }
        }

        $crate::batch_transform!(LeatBatch);
    };
}

/// Adds a manifest of the module, in JSON, as its custom section `leat.manifest`. The text is a literal.
#[macro_export]
macro_rules! describe {
    ($json:literal) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[link_section = "leat.manifest"]
            #[used]
            static MANIFEST: [u8; $json.len()] = $crate::guest::array::<{ $json.len() }>($json);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __exports {
    ($run:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            static GUEST: $crate::guest::Guest<$run> = $crate::guest::Guest::new();

            extern "C" {
                fn __wasm_call_ctors();
            }

            // Without this the linker would take the module for a command, and let every export begin with the constructors and end with the
            // destructors of the C library.
            #[no_mangle]
            pub extern "C" fn _initialize() {
                unsafe { __wasm_call_ctors() }
            }

            #[no_mangle]
            pub extern "C" fn leat_tx_1() {}

            #[no_mangle]
            pub extern "C" fn leat_alloc(size: u32) -> u32 {
                GUEST.alloc(size)
            }

            #[no_mangle]
            pub extern "C" fn leat_configure(at: u32, size: u32) -> u32 {
                GUEST.configure(at, size)
            }

            #[no_mangle]
            pub extern "C" fn leat_transform(at: u32, size: u32) -> u64 {
                GUEST.transform(at, size)
            }
        };
        $crate::__allocator!();
    };
}

// Modules count what they allocate, which leat transform bench shows. One that has an allocator of its own says so by a feature.
#[doc(hidden)]
#[macro_export]
#[cfg(not(feature = "own_allocator"))]
macro_rules! __allocator {
    () => {
        #[cfg(target_arch = "wasm32")]
        #[doc(hidden)]
        mod leat_heap {
            #[global_allocator]
            static HEAP: $crate::heap::Heap = $crate::heap::Heap::new();

            #[no_mangle]
            pub extern "C" fn leat_allocations() -> u64 {
                HEAP.allocations()
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(feature = "own_allocator")]
macro_rules! __allocator {
    () => {};
}
