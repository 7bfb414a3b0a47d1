//! Scopes: what a credential may be used for (RFC 6749 section 3.3).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ConfigError;

/// One scope such as `read:conversations`.
///
/// Its characters are those of RFC 6749's `scope-token`: visible ASCII without `"` and `\`.
/// A *held* scope that ends in `:*`, such as `read:*`, grants every scope with the part before `*`.
///
/// ```
/// use keygate::Scope;
///
/// let held = Scope::new("read:*")?;
/// assert!(held.grants(&Scope::new("read:customers")?));
/// assert!(!held.grants(&Scope::new("write:customers")?));
/// assert!(Scope::new("two words").is_err());
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Reads one scope.
    ///
    /// # Errors
    ///
    /// When `text` is empty or holds a character outside RFC 6749's `scope-token`.
    pub fn new(text: &str) -> Result<Self, ConfigError> {
        if is_scope_token(text) {
            Ok(Self(text.into()))
        } else {
            Err(ConfigError::invalid("scope", text, "not a scope-token of RFC 6749"))
        }
    }

    /// The scope's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when whoever holds `self` may do what `needed` asks.
    pub fn grants(&self, needed: &Scope) -> bool {
        grants(self.0.as_bytes(), needed.0.as_bytes())
    }
}

fn grants(held: &[u8], needed: &[u8]) -> bool {
    held == needed
        || held.strip_suffix(b"*").is_some_and(|all| all.ends_with(b":") && needed.starts_with(all))
}

/// True when one of the scopes in a space-separated list grants `needed`.
pub(crate) fn grants_any(list: &str, needed: &Scope) -> bool {
    // Scopes are short: to look at each byte takes less than to prepare for looking at many at once.
    let mut held = list.as_bytes().split(|byte| *byte == b' ');
    held.any(|held| grants(held, needed.0.as_bytes()))
}

pub(crate) fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_scope_byte)
}

pub(crate) const fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The scopes that a credential holds. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(Arc<[Scope]>);

impl ScopeSet {
    /// Reads scopes, one a text.
    ///
    /// # Errors
    ///
    /// When one of them is no scope; see [`Scope::new`].
    pub fn new<T: AsRef<str>>(scopes: impl IntoIterator<Item = T>) -> Result<Self, ConfigError> {
        scopes.into_iter().map(|scope| Scope::new(scope.as_ref())).collect()
    }

    /// Reads a space-separated list, the form of OAuth's `scope`.
    ///
    /// # Errors
    ///
    /// When a part of it is no scope.
    pub fn parse(list: &str) -> Result<Self, ConfigError> {
        Self::new(list.split(' ').filter(|part| !part.is_empty()))
    }

    /// True when one of the scopes grants `needed`.
    pub fn grants(&self, needed: &Scope) -> bool {
        self.0.iter().any(|held| held.grants(needed))
    }

    /// The scopes.
    pub fn iter(&self) -> std::slice::Iter<'_, Scope> {
        self.0.iter()
    }

    /// True when there is no scope.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut scopes: Vec<_> = scopes.into_iter().collect();
        scopes.sort();
        scopes.dedup();
        Self(scopes.into())
    }
}

impl<'a> IntoIterator for &'a ScopeSet {
    type Item = &'a Scope;
    type IntoIter = std::slice::Iter<'a, Scope>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What a credential may do at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Access {
    /// Everything that its tenant may do.
    Full,
    /// What the scopes name.
    Scopes(ScopeSet),
}

impl Access {
    /// True when `needed` is within reach.
    pub fn grants(&self, needed: &Scope) -> bool {
        match self {
            Self::Full => true,
            Self::Scopes(scopes) => scopes.grants(needed),
        }
    }
}

impl From<ScopeSet> for Access {
    fn from(scopes: ScopeSet) -> Self {
        Self::Scopes(scopes)
    }
}
