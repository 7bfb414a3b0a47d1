//! Reads JSON (RFC 8259) in one pass, from left to right.
//!
//! It takes exactly what `serde_json` takes, but for names that occur twice. What is rare in tokens,
//! escapes and numbers that are not whole, is left to `serde_json`.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{FEW, JsonError, Number, Value, occurs_twice};

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

    /// An object. `take` gets the name of each member, whose value it has to read.
    pub(super) fn members(
        &mut self,
        mut take: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.items(b'{', b'}', |reader| {
            if reader.token() != Some(b'"') {
                return Err(reader.wrong());
            }
            let name = reader.string()?;
            reader.pass(b':')?;
            take(reader, name)
        })
    }

    pub(super) fn value(&mut self) -> Result<Value<'a>, JsonError> {
        match self.token() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'[') => self.list(),
            Some(b'{') => self.object(),
            Some(b't') => self.word("true", Value::Flag(true)),
            Some(b'f') => self.word("false", Value::Flag(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.wrong()),
        }
    }

    fn list(&mut self) -> Result<Value<'a>, JsonError> {
        let mut list = Vec::new();
        self.items(b'[', b']', |reader| {
            list.push(reader.value()?);
            Ok(())
        })?;
        Ok(Value::List(list))
    }

    fn object(&mut self) -> Result<Value<'a>, JsonError> {
        let mut names = SmallVec::<[Cow<'a, str>; FEW]>::new();
        self.members(|reader, name| {
            reader.value()?;
            names.push(name);
            Ok(())
        })?;
        match occurs_twice(&names, |name| name) {
            true => Err(JsonError::Repeated),
            false => Ok(Value::Object),
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

    /// A text, from its first quotation mark on.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let start = self.at + 1;
        let end = start + plain(self.text.as_bytes().get(start..).unwrap_or_default());
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return self.escaped(end);
        }
        let text = self.text.get(start..end).ok_or_else(|| self.wrong())?;
        self.at = end + 1;
        Ok(Cow::Borrowed(text))
    }

    /// A text in which a backslash stands at `at`, if it is one.
    #[cold]
    fn escaped(&mut self, mut at: usize) -> Result<Cow<'a, str>, JsonError> {
        loop {
            match self.text.as_bytes().get(at) {
                Some(b'\\') => at += 2,
                Some(b'"') => break,
                Some(_) => at += 1,
                None => return Err(self.wrong()),
            }
        }
        let text = self.text.get(self.at..=at).and_then(|text| serde_json::from_str(text).ok());
        let text = text.ok_or_else(|| self.wrong())?;
        self.at = at + 1;
        Ok(Cow::Owned(text))
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        const AFTER: fn(&u8) -> bool =
            |byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let rest = self.rest();
        let digits = &rest[..rest.iter().position(AFTER).unwrap_or(rest.len())];
        let number = whole(digits).map(Number::Whole).or_else(|| other(digits));
        let number = number.ok_or_else(|| self.wrong())?;
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

fn whole(digits: &[u8]) -> Option<u64> {
    let has_form = match digits {
        [b'0'] => true,
        [b'1'..=b'9', ..] => digits.len() <= MAX_DIGITS,
        _ => false,
    };
    let value = |value: u64, digit: &u8| {
        digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'))
    };
    has_form.then(|| digits.iter().try_fold(0, value)).flatten()
}

/// Asked for as a number: with serde_json's `arbitrary_precision`, which any crate of a build can
/// turn on, an untyped number would arrive as a map.
fn other(digits: &[u8]) -> Option<Number> {
    let number: f64 = serde_json::from_slice(digits).ok()?;
    number.is_finite().then_some(Number::Other(number))
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
