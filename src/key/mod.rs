//! Is this API key real? Formats, tokens, digests and the records kept of them.
//!
//! A key reads `<brand>_<environment>_<body><checksum>`, for example `sk_live_` and 38 characters.
//! One double-click selects the whole; its checksum tells a typing error from an unknown key without
//! asking a store; what is stored is its SHA-256 [`KeyDigest`] and a [display
//! prefix](KeyFormat::display_prefix), never the key.
//!
//! ```
//! use keygate::{Environment, KeyDigest, KeyFormat};
//!
//! let format = KeyFormat::new("acme_corp")?;
//! let key = format.generate(Environment::Live)?;
//! assert!(key.reveal().starts_with("acme_corp_live_"));
//! assert_eq!(KeyDigest::of(key.reveal()), key.digest());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod digest;
mod environment;
mod format;
mod id;
mod pepper;
mod record;
mod rotation;
mod token;
pub(crate) mod verify;

pub use digest::KeyDigest;
pub use environment::{Environment, EnvironmentPolicy};
pub use format::KeyFormat;
pub(crate) use format::{Formats, Reading};
pub use pepper::{Pepper, Peppers};
pub use record::{KeyId, KeyRecord, KeyStatus};
pub use rotation::RotationPolicy;
pub use token::{GenerateError, KeyToken};
