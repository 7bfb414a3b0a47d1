use crate::Private;

pub(crate) const TESTS: &[(&str, Private)] = &[];
