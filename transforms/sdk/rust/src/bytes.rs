use std::borrow::Cow;

/// What can be the bytes of an output: borrowed or owned, text or not.
pub trait IntoBytes<'a> {
    /// Returns the bytes.
    fn into_bytes(self) -> Cow<'a, [u8]>;
}

macro_rules! borrowed {
    ($($type:ty => $value:ident . $method:ident),*) => {$(
        impl<'a> IntoBytes<'a> for &'a $type {
            fn into_bytes(self) -> Cow<'a, [u8]> {
                let $value = self;
                Cow::Borrowed($value.$method())
            }
        }
    )*};
}

borrowed!(str => s.as_bytes, String => s.as_bytes, [u8] => s.as_ref, Vec<u8> => s.as_slice);

impl<'a, const N: usize> IntoBytes<'a> for &'a [u8; N] {
    fn into_bytes(self) -> Cow<'a, [u8]> {
        Cow::Borrowed(self)
    }
}

impl<'a> IntoBytes<'a> for String {
    fn into_bytes(self) -> Cow<'a, [u8]> {
        Cow::Owned(String::into_bytes(self))
    }
}

impl<'a> IntoBytes<'a> for Vec<u8> {
    fn into_bytes(self) -> Cow<'a, [u8]> {
        Cow::Owned(self)
    }
}

impl<'a> IntoBytes<'a> for Cow<'a, [u8]> {
    fn into_bytes(self) -> Cow<'a, [u8]> {
        self
    }
}

impl<'a> IntoBytes<'a> for Cow<'a, str> {
    fn into_bytes(self) -> Cow<'a, [u8]> {
        match self {
            Cow::Borrowed(s) => Cow::Borrowed(s.as_bytes()),
            Cow::Owned(s) => Cow::Owned(String::into_bytes(s)),
        }
    }
}
