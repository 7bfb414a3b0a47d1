//! Texts that stand in the claims, kept without being copied.

/// A text within the claims of a token, or what its escapes meant.
#[derive(Debug)]
pub(crate) enum Text {
    Within { start: usize, end: usize },
    Own(Box<str>),
}

impl Text {
    /// `part` as it stands in `whole`, if it is a piece of it.
    #[inline]
    pub(crate) fn of(part: &str, whole: &str) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        let end = start.wrapping_add(part.len());
        match whole.get(start..end) {
            // What stands where a piece of `whole` stands is that piece.
            Some(_) => Self::Within { start, end },
            None => Self::Own(part.into()),
        }
    }

    /// The text; `whole` is what it was made from.
    pub(crate) fn within<'t>(&'t self, whole: &'t str) -> &'t str {
        match self {
            Self::Within { start, end } => whole.get(*start..*end).unwrap_or_default(),
            Self::Own(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn a_piece_is_kept_by_its_place_and_anything_else_as_itself() {
        let whole = "a whole text";
        assert!(matches!(Text::of(&whole[2..7], whole), Text::Within { start: 2, end: 7 }));
        assert!(matches!(Text::of("elsewhere", whole), Text::Own(_)));
        for part in [&whole[2..7], &whole[..0], whole, "elsewhere", ""] {
            assert_eq!(Text::of(part, whole).within(whole), part);
        }
    }
}
