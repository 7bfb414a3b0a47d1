//! JSON objects in which no member name occurs twice, at any depth.
//!
//! RFC 7519 section 4 lets a parser take the last of two members of one name. Whoever reads the
//! same token with another parser may take the first, so such tokens are refused.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;

use super::error::JwtError;
use crate::Timestamp;

const NANOS_PER_SEC: f64 = 1e9;

/// What serde_json makes of a number where its feature `arbitrary_precision` is on.
const ARBITRARY_PRECISION: &str = "$serde_json::private::Number";

/// So many members need no allocation: more than most headers and claims sets have.
const FEW: usize = 12;

/// The members of an object, in no order.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(SmallVec<[Member<'a>; FEW]>);

#[derive(Debug)]
struct Member<'a> {
    tag: Tag,
    name: Cow<'a, str>,
    value: Value<'a>,
}

/// A name's length and first letters: short names are equal if their tags are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag(u64);

impl Tag {
    const LETTERS: usize = 7;

    #[inline]
    const fn of(name: &str) -> Self {
        let name = name.as_bytes();
        let mut letters = [0; 8];
        let mut index = 0;
        while index < name.len() && index < Self::LETTERS {
            letters[index] = name[index];
            index += 1;
        }
        letters[Self::LETTERS] = if name.len() > 0xFF { 0xFF } else { name.len() as u8 };
        Self(u64::from_le_bytes(letters))
    }
}

impl Member<'_> {
    #[inline]
    fn is(&self, tag: Tag, name: &str) -> bool {
        self.tag == tag && (name.len() <= Tag::LETTERS || self.name == name)
    }
}

/// As much of a value as the rules for headers and claims look at.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Null,
    Flag(bool),
    Number,
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    /// A member of the outermost object named `exp`, `nbf` or `iat`.
    Time(Timestamp),
    Other,
}

impl<'a> Object<'a> {
    /// Reads an object and nothing behind it, in place: it is too large to be handed about.
    pub(crate) fn read(&mut self, text: &'a str) -> Result<(), serde_json::Error> {
        // Any other start would make serde quote the text in its error.
        if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
            return Err(serde_json::Error::custom("not an object"));
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        reader.deserialize_map(Members(self))?;
        reader.end()
    }

    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        let tag = Tag::of(name);
        self.0.iter().find(|own| own.is(tag, name)).map(|own| &own.value)
    }

    /// A member that has to be text if it is there; `wrong` if it is anything else.
    pub(crate) fn text(&self, name: &str, wrong: JwtError) -> Result<Option<&str>, JwtError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> Value<'a> {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The members of a list, or the value itself; none for each that is no text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = Option<&str>> {
        let members = match self {
            Self::List(list) => list.as_slice(),
            other => std::slice::from_ref(other),
        };
        members.iter().map(Self::text)
    }

    fn date<A: MapAccess<'a>>(map: &mut A) -> Result<Self, A::Error> {
        // serde's own error quotes the value.
        map.next_value::<NumericDate>()
            .map(|date| Self::Time(date.0))
            .map_err(|_| A::Error::custom("exp, nbf and iat must be numbers of seconds since 1970"))
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'o, 'a>(&'o mut Object<'a>);

impl<'de> Visitor<'de> for Members<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Object(members) = self.0;
        while let Some(Name(name)) = map.next_key()? {
            let value = match &*name {
                "exp" | "nbf" | "iat" => Value::date(&mut map)?,
                _ => map.next_value()?,
            };
            members.push(Member { tag: Tag::of(&name), name, value });
        }
        match repeats(members) {
            true => Err(A::Error::custom("a member name occurs twice")),
            false => Ok(()),
        }
    }
}

/// A few names are compared each with each.
fn repeats(members: &[Member<'_>]) -> bool {
    if members.len() > FEW {
        return occurs_twice(members, |member| &member.name);
    }
    let later = members.iter().enumerate().skip(1);
    later.into_iter().any(|(i, one)| members[..i].iter().any(|a| a.is(one.tag, &one.name)))
}

fn check_unique<'a, T, E: Error>(items: &[T], name: fn(&T) -> &Cow<'a, str>) -> Result<(), E> {
    match occurs_twice(items, name) {
        true => Err(E::custom("a member name occurs twice")),
        false => Ok(()),
    }
}

/// A few names are compared each with each; of many, neighbours in their order.
fn occurs_twice<'a, T>(items: &[T], name: fn(&T) -> &Cow<'a, str>) -> bool {
    if items.len() <= FEW {
        let names = items.iter().enumerate();
        return names.skip(1).any(|(i, item)| items[..i].iter().any(|a| name(a) == name(item)));
    }
    let mut names: Vec<&Cow<'a, str>> = items.iter().map(name).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = SmallVec::<[Cow<'de, str>; FEW]>::new();
        while let Some(Name(name)) = map.next_key()? {
            map.next_value::<Value<'de>>()?;
            names.push(name);
        }
        check_unique(&names, |name| name)?;
        match names.as_slice() {
            [name] if name == ARBITRARY_PRECISION => Ok(Value::Number),
            _ => Ok(Value::Other),
        }
    }
}

/// RFC 7519 section 2: seconds since 1970, perhaps with a fraction.
///
/// Asked for as a number: with serde_json's `arbitrary_precision`, which any crate of a build can
/// turn on, an untyped number arrives as a map.
struct NumericDate(Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(DateVisitor)
    }
}

struct DateVisitor;

impl Visitor<'_> for DateVisitor {
    type Value = NumericDate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds since 1970")
    }

    fn visit_u64<E>(self, secs: u64) -> Result<NumericDate, E> {
        Ok(NumericDate(Timestamp::from_secs(secs)))
    }

    fn visit_i64<E: Error>(self, secs: i64) -> Result<NumericDate, E> {
        let secs = u64::try_from(secs).map_err(E::custom)?;
        self.visit_u64(secs)
    }

    fn visit_f64<E: Error>(self, secs: f64) -> Result<NumericDate, E> {
        if secs.is_finite() && secs >= 0.0 {
            // `as` saturates.
            Ok(NumericDate(Timestamp::from_nanos((secs * NANOS_PER_SEC) as u64)))
        } else {
            Err(E::custom("out of range"))
        }
    }
}
