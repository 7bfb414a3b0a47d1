//! Paths and methods, and what is said of them.

use http::Method;

use crate::{ConfigError, RejectionKind};

/// Rules by pattern and method.
#[derive(Clone, Debug)]
pub(crate) struct Paths<T> {
    router: matchit::Router<usize>,
    /// Each pattern with its rules; the router has their index.
    patterns: Vec<(String, Vec<Rule<T>>)>,
}

#[derive(Clone, Debug)]
struct Rule<T> {
    method: Option<Method>,
    says: T,
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self { router: matchit::Router::default(), patterns: Vec::new() }
    }
}

impl<T> Paths<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Adds a rule, for one method or all.
    ///
    /// # Errors
    ///
    /// When `path` is no pattern or contradicts another.
    pub(crate) fn add(
        &mut self,
        method: Option<Method>,
        path: &str,
        says: T,
    ) -> Result<(), ConfigError> {
        let rule = Rule { method, says };
        if let Some((_, rules)) = self.patterns.iter_mut().find(|(pattern, _)| pattern == path) {
            rules.push(rule);
            return Ok(());
        }
        if !path.starts_with('/') {
            return Err(ConfigError::invalid("route", path, "does not begin with a slash"));
        }
        self.router.insert(path, self.patterns.len()).map_err(|_| {
            ConfigError::invalid("route", path, "no pattern, or contradicts another")
        })?;
        self.patterns.push((path.to_owned(), vec![rule]));
        Ok(())
    }

    /// What is said of a path and a method; `None` where no rule names them.
    ///
    /// # Errors
    ///
    /// When the path can be read in two ways.
    pub(crate) fn find(&self, path: &str, method: &Method) -> Result<Option<&T>, RejectionKind> {
        if !is_plain(path) || self.is_another_without_slash(path) {
            return Err(RejectionKind::InvalidPath);
        }
        Ok(self.pattern(path).and_then(|(_, rules)| fitting(rules, method)))
    }

    /// All that is said of any path.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.patterns.iter().flat_map(|(_, rules)| rules).map(|rule| &rule.says)
    }

    fn pattern(&self, path: &str) -> Option<&(String, Vec<Rule<T>>)> {
        self.router.at(path).ok().and_then(|found| self.patterns.get(*found.value))
    }

    /// A service that ignores a trailing slash would serve what another rule protects. A pattern that
    /// ends with a slash means it.
    fn is_another_without_slash(&self, path: &str) -> bool {
        let Some(bare) = path.strip_suffix('/') else { return false };
        let pattern = |path| self.pattern(path).map(|(pattern, _)| pattern.as_str());
        let (with, without) = (pattern(path), pattern(bare));
        without.is_some() && with != without && !with.is_some_and(|with| with.ends_with('/'))
    }
}

fn fitting<'p, T>(rules: &'p [Rule<T>], method: &Method) -> Option<&'p T> {
    let fits = |rule: &&Rule<T>| match &rule.method {
        None => true,
        Some(of) => of == method || (of == Method::GET && method == Method::HEAD),
    };
    rules.iter().find(fits).map(|rule| &rule.says)
}

fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    let odd = |byte: &u8| matches!(byte, b'\\' | b';' | b'#' | 0..=0x20 | 0x7f..);
    path.starts_with('/')
        && !bytes.iter().any(odd)
        && !path[1..].split('/').rev().skip(1).any(str::is_empty)
        && !path.split('/').any(|segment| segment == "." || segment == "..")
        && path.split('%').skip(1).all(is_plain_escape)
}

/// Only what can't stand for itself may be escaped: an escaped letter, `.`, `/` or `\` is a way
/// around a rule (RFC 3986 section 6.2.2.2).
fn is_plain_escape(after_percent: &str) -> bool {
    let byte = after_percent.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
    byte.is_some_and(|byte| {
        !byte.is_ascii_alphanumeric() && !byte.is_ascii_control() && !b"-._~/\\;%".contains(&byte)
    })
}
