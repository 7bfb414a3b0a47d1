//! How a key looks: brand, environment, body, checksum.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use zeroize::Zeroizing;

use super::{Environment, GenerateError, KeyToken};
use crate::ConfigError;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM: usize = 6;
/// 27 characters of base62 hold 160 bits.
const SHORTEST_BODY: usize = 27;
/// 32 characters hold 190 bits, 166 of them behind the display prefix; a whole `sk_live_` key still
/// fits one block of SHA-256.
const BODY: usize = 32;
const LONGEST: usize = 255;
const SHOWN: usize = 4;

/// How the keys of one brand look.
///
/// ```
/// use keygate::{Environment, KeyFormat};
///
/// let ours = KeyFormat::new("acme")?; // acme_live_…, acme_test_…, with a checksum
/// let named = KeyFormat::new("acme")?.environments("prod", "dev")?; // acme_prod_…, acme_dev_…
/// let theirs = KeyFormat::existing("old-", 20..=40)?; // whatever they once issued
/// # assert!(ours.generate(Environment::Test)?.reveal().starts_with("acme_test_"));
/// # assert!(named.generate(Environment::Live)?.reveal().starts_with("acme_prod_"));
/// # assert!(theirs.generate(Environment::Live).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyFormat {
    brand: String,
    prefixes: Vec<Prefix>,
    body: RangeInclusive<usize>,
    origin: Origin,
}

#[derive(Clone, Debug)]
struct Prefix {
    text: String,
    environment: Option<Environment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Issued here: base62 with a checksum.
    Ours,
    /// Issued here: base62 alone.
    OursUnchecked,
    /// Issued elsewhere.
    Existing,
}

impl KeyFormat {
    /// Keys of `brand`, which may hold underscores: `<brand>_live_…` and `<brand>_test_…`, 32
    /// characters of base62 (190 bits) and a checksum of 6.
    ///
    /// # Errors
    ///
    /// When `brand` is not 1 to 32 characters of `a-z`, `0-9` and `_` that begin with a letter and
    /// end with a letter or digit.
    pub fn new(brand: &str) -> Result<Self, ConfigError> {
        if !is_word(brand) {
            return Err(ConfigError::invalid("key brand", brand, WORD));
        }
        Ok(Self::of(brand))
    }

    fn of(brand: &str) -> Self {
        Self {
            brand: brand.to_owned(),
            prefixes: both(brand, "live", "test"),
            body: BODY..=BODY,
            origin: Origin::Ours,
        }
    }

    /// `sk_live_…` and `sk_test_…`.
    pub fn sk() -> Self {
        Self::of("sk")
    }

    /// `cvtk_live_…` and `cvtk_test_…`.
    pub fn cvtk() -> Self {
        Self::of("cvtk")
    }

    /// Keys that exist already: `prefix`, then as many characters as `body` tells, of those that a
    /// bearer token may hold (RFC 6750 section 2.1), without a checksum; with an empty prefix no dots,
    /// which mark a JWT. Such a key's environment is that of its record. No key is generated in this
    /// format.
    ///
    /// # Errors
    ///
    /// When `prefix` holds other characters, or `body` allows less than 16 or more than 255.
    pub fn existing(prefix: &str, body: RangeInclusive<usize>) -> Result<Self, ConfigError> {
        if !prefix.bytes().all(is_token68) || prefix.len() > 64 {
            return Err(ConfigError::invalid(
                "key prefix",
                prefix,
                "not at most 64 of a bearer token's characters",
            ));
        }
        if *body.start() < 16 || *body.end() > LONGEST || body.is_empty() {
            let given = format!("{body:?}");
            return Err(ConfigError::invalid("key length", given, "not within 16 to 255"));
        }
        let prefixes = vec![Prefix { text: prefix.to_owned(), environment: None }];
        Ok(Self { brand: prefix.to_owned(), prefixes, body, origin: Origin::Existing })
    }

    /// Other words for the environments than `live` and `test`.
    ///
    /// # Errors
    ///
    /// When a word would be no brand (see [`KeyFormat::new`]), both are the same, or the format is one
    /// of [existing](Self::existing) keys.
    pub fn environments(mut self, live: &str, test: &str) -> Result<Self, ConfigError> {
        self.check_ours("environment", live)?;
        for word in [live, test] {
            if !is_word(word) {
                return Err(ConfigError::invalid("environment", word, WORD));
            }
        }
        if live == test {
            return Err(ConfigError::invalid("environment", live, "names both environments"));
        }
        self.prefixes = both(&self.brand, live, test);
        Ok(self)
    }

    /// No environment in the text: `<brand>_…`. A key's environment is that of its record.
    #[must_use]
    pub fn without_environments(mut self) -> Self {
        if self.origin != Origin::Existing {
            self.prefixes = vec![Prefix { text: format!("{}_", self.brand), environment: None }];
        }
        self
    }

    /// Another length of the body, in characters of base62 (5.95 bits each).
    ///
    /// # Errors
    ///
    /// When `length` is below 27 (160 bits) or above 128, or the format is one of
    /// [existing](Self::existing) keys.
    pub fn body_length(mut self, length: usize) -> Result<Self, ConfigError> {
        self.check_ours("key length", length)?;
        if !(SHORTEST_BODY..=128).contains(&length) {
            return Err(ConfigError::invalid("key length", length, "not within 27 to 128"));
        }
        self.body = length..=length;
        Ok(self)
    }

    /// No checksum: a mistyped key costs a look into the store.
    #[must_use]
    pub fn without_checksum(mut self) -> Self {
        if self.origin == Origin::Ours {
            self.origin = Origin::OursUnchecked;
        }
        self
    }

    /// The keys of others look as they look.
    fn check_ours(&self, what: &'static str, value: impl ToString) -> Result<(), ConfigError> {
        match self.origin {
            Origin::Existing => Err(ConfigError::invalid(what, value, "set for existing keys")),
            Origin::Ours | Origin::OursUnchecked => Ok(()),
        }
    }

    /// Makes a key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// When the format is one of [existing](Self::existing) keys, or the system's generator fails.
    pub fn generate(&self, environment: Environment) -> Result<KeyToken, GenerateError> {
        if self.origin == Origin::Existing {
            return Err(GenerateError::ExistingOnly { prefix: self.brand.clone() });
        }
        // Room for all of it at once: growing would leave copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(LONGEST));
        text.push_str(self.prefix_of(environment));
        push_random(&mut text, *self.body.end())?;
        if self.origin == Origin::Ours {
            let checksum = checksum(text.as_bytes());
            text.extend(checksum.map(char::from));
        }
        Ok(KeyToken::new(text))
    }

    fn prefix_of(&self, environment: Environment) -> &str {
        self.prefixes
            .iter()
            .find(|prefix| prefix.environment.is_none_or(|of| of == environment))
            .map_or("", |prefix| &prefix.text)
    }

    /// What may be shown of `key` to tell it from others: its prefix and 4 characters.
    pub fn display_prefix(&self, key: &KeyToken) -> String {
        let key = key.reveal();
        let prefix = self.prefixes.iter().find(|prefix| key.starts_with(&prefix.text));
        let end = prefix.map_or(0, |prefix| prefix.text.len()) + SHOWN;
        key.get(..end).unwrap_or_default().to_owned()
    }

    fn is_well_formed(&self, body: &[u8], begun: &crc32fast::Hasher) -> bool {
        match self.origin {
            Origin::Existing | Origin::OursUnchecked => self.is_unchecked(body),
            Origin::Ours => {
                body.len() == self.body.end() + CHECKSUM
                    && is_base62(body)
                    && has_checksum(begun.clone(), body)
            }
        }
    }

    #[inline(never)]
    fn is_unchecked(&self, body: &[u8]) -> bool {
        let is_good = match self.origin {
            Origin::Existing => body.iter().all(|b| is_token68(*b)),
            Origin::Ours | Origin::OursUnchecked => is_base62(body),
        };
        self.body.contains(&body.len()) && is_good
    }
}

#[cold]
fn is_undotted(text: &[u8]) -> bool {
    !text.contains(&b'.')
}

const WORD: &str = "not 1 to 32 characters of a-z, 0-9 and _ from a letter to a letter or digit";

fn is_word(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.len() <= 32
        && text.bytes().all(allowed)
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && !text.ends_with('_')
}

fn both(brand: &str, live: &str, test: &str) -> Vec<Prefix> {
    [(live, Environment::Live), (test, Environment::Test)]
        .map(|(word, environment)| Prefix {
            text: format!("{brand}_{word}_"),
            environment: Some(environment),
        })
        .into()
}

fn is_token68(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b)
}

/// Looks at every byte, sixteen at a time, which is faster than to stop at the first bad one: it needs
/// no branches. The last sixteen may be looked at twice.
fn is_base62(text: &[u8]) -> bool {
    let (parts, rest) = text.as_chunks::<16>();
    let good = parts.iter().fold(true, |good, part| good & all_base62(part));
    good & text.last_chunk::<16>().map_or_else(|| all_base62(rest), |last| all_base62(last))
}

#[inline]
fn all_base62(text: &[u8]) -> bool {
    text.iter().fold(true, |good, byte| good & byte.is_ascii_alphanumeric())
}

/// CRC-32 of what stands before it, in base62: 62^6 is more than 2^32.
fn checksum(text: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32fast::hash(text) as usize;
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    digits
}

fn has_checksum(mut begun: crc32fast::Hasher, body: &[u8]) -> bool {
    let Some((text, digits)) = body.split_last_chunk::<CHECKSUM>() else { return false };
    begun.update(text);
    let number =
        digits.iter().fold(0, |sum, digit| sum * 62 + u64::from(VALUES[usize::from(*digit)]));
    number == u64::from(begun.finalize())
}

/// What each byte stands for as a digit of base62, and 255 for those that are none.
const VALUES: [u8; 256] = {
    let (mut values, mut digit) = ([u8::MAX; 256], 0);
    while digit < BASE62.len() {
        values[BASE62[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

pub(super) fn push_random(text: &mut String, count: usize) -> Result<(), GenerateError> {
    let full = text.len() + count;
    let mut bytes = Zeroizing::new([0; 64]);
    while text.len() < full {
        getrandom::fill(&mut *bytes).map_err(GenerateError::Random)?;
        // Of 256 values 248 are four times 62: the others would make some characters likelier.
        let even = bytes.iter().filter(|byte| **byte < 248);
        let digits = even.map(|byte| char::from(BASE62[usize::from(byte % 62)]));
        let missing = full - text.len();
        text.extend(digits.take(missing));
    }
    Ok(())
}

/// What a text is, by the formats configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It begins like none of the formats' keys.
    Foreign,
    /// It begins like a key but can't be one: wrong length, characters or checksum.
    Malformed,
    /// It can be a key, of this environment if its text names one.
    Key(Option<Environment>),
}

/// All formats of a gate, by prefix, the longest first.
#[derive(Clone, Debug)]
pub(crate) struct Formats(Vec<Family>);

/// All formats whose keys begin alike, those that name their environment there first.
#[derive(Clone, Debug)]
struct Family {
    prefix: String,
    /// The checksum of the prefix, from which that of each key goes on.
    begun: crc32fast::Hasher,
    formats: Vec<(Option<Environment>, KeyFormat)>,
}

impl Default for Formats {
    fn default() -> Self {
        Self::by_prefix(vec![KeyFormat::sk()])
    }
}

impl Formats {
    /// No text is a key.
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Formats may share a prefix, so that a brand can move from one to another.
    ///
    /// # Errors
    ///
    /// When one prefix means both environments.
    pub(crate) fn new(formats: Vec<KeyFormat>) -> Result<Self, ConfigError> {
        let all = Self::by_prefix(formats);
        for Family { prefix, formats, .. } in &all.0 {
            let mut named = formats.iter().filter_map(|(environment, _)| *environment);
            let first = named.next();
            if named.any(|environment| Some(environment) != first) {
                let reason = "means both environments";
                return Err(ConfigError::invalid("key prefix", prefix, reason));
            }
        }
        Ok(all)
    }

    fn by_prefix(formats: Vec<KeyFormat>) -> Self {
        let mut all: Vec<Family> = Vec::new();
        for format in formats {
            for Prefix { text, environment } in &format.prefixes {
                let of_it = (*environment, format.clone());
                match all.iter_mut().find(|family| family.prefix == *text) {
                    Some(family) => family.formats.push(of_it),
                    None => all.push(Family::of(text, of_it)),
                }
            }
        }
        all.sort_by_key(|family| Reverse(family.prefix.len()));
        for family in &mut all {
            family.formats.sort_by_key(|(environment, _)| environment.is_none());
        }
        Self(all)
    }

    /// Reads `text` by the formats with the longest prefix with which it begins.
    #[inline]
    pub(crate) fn read(&self, text: &[u8]) -> Reading {
        let Some(family) = self.family(text) else { return Reading::Foreign };
        let body = &text[family.prefix.len()..];
        for (environment, format) in &family.formats {
            if format.is_well_formed(body, &family.begun) {
                return Reading::Key(*environment);
            }
        }
        Reading::Malformed
    }

    #[inline]
    fn family(&self, text: &[u8]) -> Option<&Family> {
        self.0.iter().find(|family| family.begins(text))
    }

    /// The prefix with which `text` begins and 4 more characters, if it is one of ours.
    pub(crate) fn display<'t>(&self, text: &'t [u8]) -> Option<&'t str> {
        let shown = text.get(..self.family(text)?.prefix.len() + SHOWN)?;
        std::str::from_utf8(shown).ok().filter(|shown| shown.bytes().all(|b| b.is_ascii_graphic()))
    }
}

impl Family {
    fn of(prefix: &str, format: (Option<Environment>, KeyFormat)) -> Self {
        let mut begun = crc32fast::Hasher::new();
        begun.update(prefix.as_bytes());
        Self { prefix: prefix.to_owned(), begun, formats: vec![format] }
    }

    /// Keys without a prefix have no dots: what has some is a JWT.
    fn begins(&self, text: &[u8]) -> bool {
        match self.prefix.as_bytes() {
            [] => is_undotted(text),
            prefix => text.starts_with(prefix),
        }
    }
}
