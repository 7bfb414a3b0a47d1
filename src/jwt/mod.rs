//! Is this JWT real?
