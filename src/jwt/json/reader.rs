//! Reads JSON (RFC 8259) in one pass, from left to right.
//!
//! It takes exactly what `serde_json` takes, but for names that occur twice. What is rare in tokens,
//! escapes and numbers that are not whole, is left to `serde_json`.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{FEW, JsonError, Value, occurs_twice};

/// How deep objects and lists may stand within each other: `serde_json`'s bound.
const MAX_DEPTH: usize = 127;

/// Digits that any whole number may have and fit.
const MAX_DIGITS: usize = 19;

pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// The next byte that is no white space. It is still to be read.
    #[inline]
    pub(super) fn token(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Nothing may be left.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        match self.token() {
            None => Ok(()),
            Some(_) => Err(self.wrong()),
        }
    }

    /// An object. `member` reads a name and a value.
    #[inline]
    pub(super) fn members(
        &mut self,
        member: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.items(b'{', b'}', member)
    }

    /// A member's name, and what stands between it and the value. It is read in place: to hand it on
    /// while it has just been written takes longer than to write it.
    #[inline]
    pub(super) fn name(&mut self, place: &mut Cow<'a, str>) -> Result<(), JsonError> {
        if self.token() != Some(b'"') {
            return Err(self.wrong());
        }
        *place = match self.plain_text() {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(self.escaped()?),
        };
        self.pass(b':')
    }

    /// A value, in place too.
    #[inline]
    pub(super) fn value(&mut self, place: &mut Value<'a>) -> Result<(), JsonError> {
        *place = match self.token() {
            Some(b'"') => match self.plain_text() {
                Some(text) => Value::Text(Cow::Borrowed(text)),
                None => Value::Text(Cow::Owned(self.escaped()?)),
            },
            Some(b'1'..=b'9') => match self.whole() {
                Some(number) => Value::Whole(number),
                None => Value::Float(self.number()?),
            },
            first => return self.other(first, place),
        };
        Ok(())
    }

    #[inline(never)]
    fn other(&mut self, first: Option<u8>, place: &mut Value<'a>) -> Result<(), JsonError> {
        *place = match first {
            Some(b'[') => Value::List(self.list()?),
            Some(b'{') => self.object().map(|()| Value::Object)?,
            Some(b'-' | b'0') => Value::Float(self.number()?),
            Some(b't') => self.word("true", Value::True)?,
            Some(b'f') => self.word("false", Value::False)?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(self.wrong()),
        };
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<Value<'a>>, JsonError> {
        let mut list = Vec::new();
        self.items(b'[', b']', |reader| {
            let mut value = Value::Null;
            reader.value(&mut value)?;
            list.push(value);
            Ok(())
        })?;
        Ok(list)
    }

    /// Nobody looks into an object within the outermost one, but its names may not repeat either.
    fn object(&mut self) -> Result<(), JsonError> {
        let mut names = SmallVec::<[Cow<'a, str>; FEW]>::new();
        self.members(|reader| {
            let mut name = Cow::Borrowed("");
            reader.name(&mut name)?;
            names.push(name);
            reader.value(&mut Value::Null)
        })?;
        match occurs_twice(&names, |name| name) {
            true => Err(JsonError::Repeated),
            false => Ok(()),
        }
    }

    /// What stands between two brackets, with a comma between each.
    fn items(
        &mut self,
        open: u8,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.pass(open)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong());
        }
        if self.token() != Some(close) {
            item(self)?;
            while self.token() == Some(b',') {
                self.at += 1;
                item(self)?;
            }
        }
        self.depth -= 1;
        self.pass(close)
    }

    #[inline]
    fn pass(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.token() != Some(byte) {
            return Err(self.wrong());
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.wrong());
        }
        self.at += word.len();
        Ok(value)
    }

    /// A text without escapes, from its first quotation mark on. None is passed otherwise.
    #[inline]
    fn plain_text(&mut self) -> Option<&'a str> {
        let start = self.at + 1;
        let end = start + plain(self.text.as_bytes().get(start..)?);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        let text = self.text.get(start..end)?;
        self.at = end + 1;
        Some(text)
    }

    /// Any text, from its first quotation mark on.
    #[cold]
    fn escaped(&mut self) -> Result<String, JsonError> {
        let mut end = self.at + 1;
        loop {
            match self.text.as_bytes().get(end) {
                Some(b'\\') => end += 2,
                Some(b'"') => break,
                Some(_) => end += 1,
                None => return Err(self.wrong()),
            }
        }
        let text = self.text.get(self.at..=end).and_then(|text| serde_json::from_str(text).ok());
        let text = text.ok_or_else(|| self.wrong())?;
        self.at = end + 1;
        Ok(text)
    }

    /// A whole number that fits, and nothing that a number could go on with. None is passed otherwise.
    #[inline]
    fn whole(&mut self) -> Option<u64> {
        let mut number = 0;
        for (index, byte) in self.rest().iter().enumerate() {
            match byte {
                b'0'..=b'9' if index < MAX_DIGITS => number = number * 10 + u64::from(byte - b'0'),
                b'0'..=b'9' | b'.' | b'e' | b'E' => return None,
                _ => {
                    self.at += index;
                    return Some(number);
                }
            }
        }
        // An object does not end with a number.
        None
    }

    /// Any number. Asked for as one: with serde_json's `arbitrary_precision`, which any crate of a
    /// build can turn on, an untyped one would arrive as a map.
    #[cold]
    fn number(&mut self) -> Result<f64, JsonError> {
        const AFTER: fn(&u8) -> bool =
            |byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let rest = self.rest();
        let digits = &rest[..rest.iter().position(AFTER).unwrap_or(rest.len())];
        let number: f64 = serde_json::from_slice(digits).map_err(|_| self.wrong())?;
        if !number.is_finite() {
            return Err(self.wrong());
        }
        self.at += digits.len();
        Ok(number)
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[cold]
    fn wrong(&self) -> JsonError {
        JsonError::Syntax(self.at)
    }
}

/// How many bytes come before the first quotation mark, backslash or control character.
#[inline]
fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let found = marks(u64::from_le_bytes(*word));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_mark = |byte: &u8| matches!(byte, b'"' | b'\\' | ..=0x1F);
    let before = rest.iter().position(is_mark).unwrap_or(rest.len());
    words.len() * 8 + before
}

/// The highest bit of the lowest byte that is a quotation mark, a backslash or a control character.
/// Bits of higher bytes say nothing: each subtraction may borrow from the next byte.
#[inline]
const fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const TOPS: u64 = ONES << 7;
    let quotes = word ^ (ONES * b'"' as u64);
    let backslashes = word ^ (ONES * b'\\' as u64);
    let zero = quotes.wrapping_sub(ONES) & !quotes | backslashes.wrapping_sub(ONES) & !backslashes;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (zero | control) & TOPS
}
