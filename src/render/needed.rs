//! The scopes that a challenge asks for (RFC 6750 section 3).

use std::ptr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::HeaderValue;

use crate::policy::is_scope_token;

/// The scopes that would have been enough, space-separated.
#[derive(Debug)]
pub(crate) struct Needed {
    list: Arc<str>,
    /// The first line to which they were added, and what that made: a policy is one gate's mostly,
    /// and says the same of each request that it refuses.
    added: OnceLock<(HeaderValue, HeaderValue)>,
}

impl Needed {
    pub(crate) fn new(list: impl Into<Arc<str>>) -> Self {
        Self { list: list.into(), added: OnceLock::new() }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.list
    }

    /// A challenge's line with these scopes; `None` where it can name none of them.
    pub(super) fn added_to(&self, line: &HeaderValue) -> Option<HeaderValue> {
        match self.added.get() {
            // The line is kept alive, so that one at the same address is the same.
            Some((to, made)) if ptr::eq(to.as_bytes(), line.as_bytes()) => Some(made.clone()),
            _ => self.add_to(line),
        }
    }

    #[inline(never)]
    fn add_to(&self, line: &HeaderValue) -> Option<HeaderValue> {
        let made = with_scopes(line, &self.list)?;
        if self.added.get().is_none() {
            // Another thread may have been faster.
            let _ = self.added.set((line.clone(), made.clone()));
        }
        Some(made)
    }
}

/// A scope with a character outside `scope-token` (RFC 6749 section 3.3) is left out whole: without
/// the character it would be another scope.
fn with_scopes(line: &HeaderValue, list: &str) -> Option<HeaderValue> {
    let mut text = Vec::with_capacity(line.len() + SCOPE.len() + list.len() + 1);
    text.extend_from_slice(line.as_bytes());
    let mut before = SCOPE;
    for scope in list.split(' ').filter(|scope| is_scope_token(scope)) {
        text.extend_from_slice(before);
        text.extend_from_slice(scope.as_bytes());
        before = b" ";
    }
    if before == SCOPE {
        return None;
    }
    text.push(b'"');
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

const SCOPE: &[u8] = b", scope=\"";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_added_to_a_line_once_and_to_each_other_line_anew() {
        let needed = Needed::new("read:a read:b");
        let [one, other] = ["Bearer realm=\"one\"", "Bearer realm=\"two\""]
            .map(|line| HeaderValue::try_from(line.to_owned()).unwrap());

        let first = needed.added_to(&one).unwrap();
        let again = needed.added_to(&one.clone()).unwrap();
        let another = needed.added_to(&other).unwrap();
        let back = needed.added_to(&one).unwrap();

        assert_eq!(first, "Bearer realm=\"one\", scope=\"read:a read:b\"");
        assert_eq!(another, "Bearer realm=\"two\", scope=\"read:a read:b\"");
        assert_eq!((&again, &back), (&first, &first));
        assert!(ptr::eq(again.as_bytes(), first.as_bytes()), "it was made again");
    }

    #[test]
    fn a_line_that_says_the_same_elsewhere_in_memory_is_taken_for_another() {
        let needed = Needed::new("read:a");
        let line = |text: &str| HeaderValue::try_from(text.to_owned()).unwrap();

        let first = needed.added_to(&line("Bearer"));
        let second = needed.added_to(&line("Bearer"));

        assert_eq!(first, second);
        assert_eq!(first.unwrap(), "Bearer, scope=\"read:a\"");
    }

    #[test]
    fn no_line_names_what_is_no_scope() {
        let line = HeaderValue::from_static("Bearer");
        for list in ["", " ", "a\"b", "\u{e4}", "a\\"] {
            assert_eq!(Needed::new(list).added_to(&line), None, "{list}");
        }
        let mixed = Needed::new("  a  b\"  c ").added_to(&line);
        assert_eq!(mixed.unwrap(), "Bearer, scope=\"a c\"");
    }
}
