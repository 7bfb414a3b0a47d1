//! How the answer looks.
