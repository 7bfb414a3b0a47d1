use crate::Shared;

pub(crate) const TESTS: &[(&str, Shared)] = &[];
