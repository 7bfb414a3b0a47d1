//! Tests of what can't be seen from outside.

mod flight;
