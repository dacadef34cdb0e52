use crate::IntoBytes;
use std::borrow::Cow;

/// What becomes of a record, or why it fails.
pub type Result<'a> = core::result::Result<Outcome<'a>, Failure>;

/// What becomes of a record.
#[derive(Clone, Debug)]
pub enum Outcome<'a> {
    /// It goes on as it came.
    Keep,
    /// It ends here: it is not delivered, and that is not an error.
    Drop,
    /// It becomes one output.
    One(Out<'a>),
    /// It becomes several; none drops it.
    Emit(Vec<Out<'a>>),
    /// It goes to the dead letters.
    Fail(Failure),
}

impl<'a> Outcome<'a> {
    /// Replaces the record's data. A part of the record's own data costs no copy.
    pub fn data(data: impl IntoBytes<'a>) -> Self {
        Outcome::One(Out::data(data))
    }

    /// Replaces the record by several.
    pub fn emit(outs: impl IntoIterator<Item = Out<'a>>) -> Self {
        Outcome::Emit(outs.into_iter().collect())
    }

    /// Sends the record to the dead letters; see [`Failure::new`].
    pub fn fail(code: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Outcome::Fail(Failure::new(code, reason))
    }
}

/// Why a record goes to the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) code: Cow<'static, str>,
    pub(crate) reason: Cow<'static, str>,
}

impl Failure {
    /// `code` is for programs: lower case, words joined by dots and underscores, such as `csv.too_few_fields`. `reason` is a sentence for people.
    pub fn new(code: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Failure { code: code.into(), reason: reason.into() }
    }

    /// The code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// One output. Unless it says otherwise it has the key and the attributes of the record.
#[derive(Clone, Debug, Default)]
pub struct Out<'a> {
    pub(crate) data: Option<Cow<'a, [u8]>>,
    pub(crate) key: Cow<'a, [u8]>,
    pub(crate) attrs: Option<Vec<Pair<'a>>>,
    pub(crate) partition: Vec<Pair<'a>>,
}

pub(crate) type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> Out<'a> {
    /// An output with data of its own.
    pub fn data(data: impl IntoBytes<'a>) -> Self {
        Out { data: Some(data.into_bytes()), ..Out::default() }
    }

    /// An output with the record's data.
    pub fn keep() -> Self {
        Out::default()
    }

    /// Replaces the partition key, unless `key` is empty.
    pub fn key(mut self, key: impl IntoBytes<'a>) -> Self {
        self.key = key.into_bytes();
        self
    }

    /// Adds an attribute. The first call takes those of the record away.
    pub fn attr(mut self, name: impl IntoBytes<'a>, value: impl IntoBytes<'a>) -> Self {
        self.attrs.get_or_insert_with(Vec::new).push((name.into_bytes(), value.into_bytes()));
        self
    }

    /// Takes the attributes of the record away.
    pub fn no_attrs(mut self) -> Self {
        self.attrs.get_or_insert_with(Vec::new);
        self
    }

    /// Adds a value for `!{partitionKeyFromLambda:name}` in the prefix of a sink.
    pub fn partition(mut self, name: impl IntoBytes<'a>, value: impl IntoBytes<'a>) -> Self {
        self.partition.push((name.into_bytes(), value.into_bytes()));
        self
    }
}

/// What a function for [`each!`](crate::each) may return.
pub trait IntoOutcome<'a> {
    /// Returns the outcome.
    fn into_outcome(self) -> Outcome<'a>;
}

impl<'a> IntoOutcome<'a> for Outcome<'a> {
    fn into_outcome(self) -> Outcome<'a> {
        self
    }
}

impl<'a> IntoOutcome<'a> for Out<'a> {
    fn into_outcome(self) -> Outcome<'a> {
        Outcome::One(self)
    }
}

impl<'a, T: IntoOutcome<'a>> IntoOutcome<'a> for core::result::Result<T, Failure> {
    fn into_outcome(self) -> Outcome<'a> {
        match self {
            Ok(outcome) => outcome.into_outcome(),
            Err(failure) => Outcome::Fail(failure),
        }
    }
}
