//! JSON objects in which no member name occurs twice, at any depth.
//!
//! RFC 7519 section 4 lets a parser take the last of two members of one name. Whoever reads the
//! same token with another parser may take the first, so such tokens are refused.

mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use smallvec::SmallVec;

use self::reader::Reader;
use crate::Timestamp;

/// So many members need no allocation: more than most headers and claims sets have.
const FEW: usize = 12;

/// The members of an object, in no order.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(SmallVec<[Member<'a>; FEW]>);

#[derive(Debug, Default)]
struct Member<'a> {
    tag: Tag,
    name: Cow<'a, str>,
    value: Value<'a>,
}

/// Why a text is not such an object. Nothing of the text stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("no JSON from byte {0} on, or too deeply nested")]
    Syntax(usize),
    #[error("not an object")]
    NoObject,
    #[error("a member name occurs twice")]
    Repeated,
    #[error("exp, nbf and iat must be numbers of seconds since 1970")]
    NoDate,
}

/// A value that had to be text and is not.
pub(crate) struct NoText;

/// The name of a member that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'n> {
    tag: Tag,
    text: &'n str,
}

impl<'n> Name<'n> {
    #[inline]
    pub(crate) const fn of(text: &'n str) -> Self {
        Self { tag: Tag::of(text), text }
    }
}

/// Members that have to be dates where they are there (RFC 7519 section 4.1).
pub(crate) const EXP: Name<'_> = Name::of("exp");
pub(crate) const NBF: Name<'_> = Name::of("nbf");
pub(crate) const IAT: Name<'_> = Name::of("iat");

/// A name's length and first letters: short names are equal if their tags are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tag(u64);

impl Tag {
    const LETTERS: usize = 7;

    #[inline]
    const fn of(name: &str) -> Self {
        let name = name.as_bytes();
        let length = if name.len() > 0xFF { 0xFF } else { name.len() };
        let mut tag = (length as u64) << (8 * Self::LETTERS);
        let mut index = 0;
        while index < name.len() && index < Self::LETTERS {
            tag |= (name[index] as u64) << (8 * index);
            index += 1;
        }
        Self(tag)
    }
}

impl Member<'_> {
    #[inline]
    fn is(&self, name: Name<'_>) -> bool {
        self.tag == name.tag && (name.text.len() <= Tag::LETTERS || self.name == name.text)
    }
}

/// As much of a value as the rules for headers and claims look at.
#[derive(Debug, Default)]
pub(crate) enum Value<'a> {
    #[default]
    Null,
    False,
    True,
    Whole(u64),
    /// 0, or a number that is negative, has a fraction or is very large. Finite.
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object,
}

impl<'a> Object<'a> {
    /// Reads an object and nothing behind it, in place: it is too large to be handed about.
    pub(crate) fn read(&mut self, text: &'a str) -> Result<(), JsonError> {
        let mut reader = Reader::new(text);
        if reader.token() != Some(b'{') {
            return Err(JsonError::NoObject);
        }
        reader.members(|reader| {
            self.0.push(Member::default());
            let Some(member) = self.0.last_mut() else { return Ok(()) };
            reader.name(&mut member.name)?;
            member.tag = Tag::of(&member.name);
            reader.value(&mut member.value)
        })?;
        reader.end()?;
        match self.repeats() {
            true => Err(JsonError::Repeated),
            false => self.check_dates(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, name: Name<'_>) -> Option<&Value<'a>> {
        self.0.iter().find(|own| own.is(name)).map(|own| &own.value)
    }

    /// A member that has to be text if it is there.
    #[inline]
    pub(crate) fn text(&self, name: Name<'_>) -> Result<Option<&str>, NoText> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(NoText),
        }
    }

    pub(crate) fn date(&self, name: Name<'_>) -> Option<Timestamp> {
        self.get(name).and_then(Value::date)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A few names are compared each with each.
    fn repeats(&self) -> bool {
        let members = self.0.as_slice();
        if members.len() > FEW {
            return occurs_twice(members, |member| &member.name);
        }
        let mut later = members.iter().enumerate().skip(1);
        later.any(|(i, one)| {
            let name = Name { tag: one.tag, text: &one.name };
            members[..i].iter().any(|other| other.is(name))
        })
    }

    fn check_dates(&self) -> Result<(), JsonError> {
        let is_date = |name| self.get(name).is_none_or(|value| value.date().is_some());
        match [EXP, NBF, IAT].into_iter().all(is_date) {
            true => Ok(()),
            false => Err(JsonError::NoDate),
        }
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

    /// RFC 7519 section 2: seconds since 1970, perhaps with a fraction.
    pub(crate) fn date(&self) -> Option<Timestamp> {
        const NANOS_PER_SEC: f64 = 1e9;
        match self {
            Self::Whole(secs) => Some(Timestamp::from_secs(*secs)),
            // `as` saturates.
            Self::Float(secs) if *secs >= 0.0 => {
                Some(Timestamp::from_nanos((secs * NANOS_PER_SEC) as u64))
            }
            _ => None,
        }
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
