//! One value for each kind of refusal; the codes and texts that an envelope uses.

use std::borrow::Cow;

use super::Rendered;
use crate::RejectionKind;

/// One `T` for each [`RejectionKind`].
#[derive(Clone, Debug)]
pub(super) struct ByKind<T>([T; RejectionKind::ALL.len()]);

impl<T> ByKind<T> {
    pub(super) fn from_fn(value: impl FnMut(RejectionKind) -> T) -> Self {
        Self(RejectionKind::ALL.map(value))
    }

    pub(super) const fn get(&self, kind: RejectionKind) -> &T {
        &self.0[kind as usize]
    }

    pub(super) fn set(&mut self, kind: RejectionKind, value: T) {
        self.0[kind as usize] = value;
    }
}

impl ByKind<Rendered> {
    /// See [`Rendered::lasting`].
    pub(super) fn lasting(&'static self) -> Self {
        Self::from_fn(|kind| self.get(kind).lasting())
    }
}

/// Code and text of each kind.
#[derive(Clone, Debug)]
pub(super) struct Wording {
    codes: ByKind<Cow<'static, str>>,
    texts: ByKind<Cow<'static, str>>,
}

impl Wording {
    /// Codes by `code`, texts by `text`.
    pub(super) fn new<C: Into<Cow<'static, str>>>(
        code: impl Fn(RejectionKind) -> C,
        text: impl Fn(RejectionKind) -> &'static str,
    ) -> Self {
        Self {
            codes: ByKind::from_fn(|kind| code(kind).into()),
            texts: ByKind::from_fn(|kind| text(kind).into()),
        }
    }

    pub(super) fn code(&self, kind: RejectionKind) -> &str {
        self.codes.get(kind)
    }

    pub(super) fn text(&self, kind: RejectionKind) -> &str {
        self.texts.get(kind)
    }

    pub(super) fn set_code(&mut self, kind: RejectionKind, code: Cow<'static, str>) {
        self.codes.set(kind, code);
    }

    pub(super) fn set_text(&mut self, kind: RejectionKind, text: Cow<'static, str>) {
        self.texts.set(kind, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_its_own_value() {
        let names = ByKind::from_fn(RejectionKind::code);
        for kind in RejectionKind::ALL {
            assert_eq!(*names.get(kind), kind.code());
        }
    }
}
