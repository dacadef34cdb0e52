use std::str::Utf8Error;

/// One record of a stream, or an output of the stage before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// The payload.
    pub data: &'a [u8],
    /// The partition key.
    pub key: &'a [u8],
    /// Small named values that travel with the record.
    pub attrs: Attrs<'a>,
    /// The shard; with `seq` and `sub` it identifies the record.
    pub shard: u32,
    /// The record's position in the shard.
    pub seq: u64,
    /// Which output of an earlier stage it is.
    pub sub: u32,
    /// When the stream got the record, in nanoseconds since the Unix epoch.
    pub arrived: i64,
}

impl<'a> Record<'a> {
    /// Makes a record for a test.
    pub fn new(data: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Record { data: data.as_ref(), key: b"key", ..Record::default() }
    }

    /// Returns the payload as text, if it is UTF-8.
    pub fn text(&self) -> Result<&'a str, Utf8Error> {
        std::str::from_utf8(self.data)
    }
}

/// A named value. The name has at most 65,535 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

/// The attributes of a record, which are decoded as they are looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attrs<'a> {
    pub(crate) block: &'a [u8],
}

impl<'a> Attrs<'a> {
    /// The number of attributes.
    pub fn len(&self) -> usize {
        self.block.get(..2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]) as usize)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of the first attribute of that name.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&'a [u8]> {
        self.iter().find(|a| a.name == name.as_ref()).map(|a| a.value)
    }

    /// The attributes, in order.
    pub fn iter(&self) -> impl Iterator<Item = Attr<'a>> {
        let (block, count) = (self.block, self.len());
        let mut at = 4 + 8 * count;
        (0..count).map_while(move |i| {
            let e = block.get(4 + 8 * i..12 + 8 * i)?;
            let name = block.get(at..)?.get(..u16::from_le_bytes([e[0], e[1]]) as usize)?;
            at += name.len();
            let value = block.get(at..)?.get(..u32::from_le_bytes([e[4], e[5], e[6], e[7]]) as usize)?;
            at += value.len();
            Some(Attr { name, value })
        })
    }
}
