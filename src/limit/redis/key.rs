//! How counts are named on the server.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::ConfigError;
use crate::limit::identity::{Parts, SEPARATOR};
use crate::limit::quota::{Algorithm, Quota};

const MAX_PREFIX: usize = 64;

/// Half of an identity's SHA-256: what nobody can choose to be another's. Names on the server so say
/// nothing of tenants and addresses, have one length, and hold no brace or colon of a client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest([u8; 16]);

impl Digest {
    pub(super) fn of(parts: Parts<'_>) -> Self {
        let hasher = Sha256::new().chain_update([parts.kind]).chain_update(parts.head);
        let whole = hasher.chain_update([SEPARATOR]).chain_update(parts.tail).finalize();
        let mut half = [0; 16];
        half.iter_mut().zip(whole).for_each(|(mine, byte)| *mine = byte);
        Self(half)
    }

    fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// The name of one count. The hash tag in its braces decides in which slot of a cluster it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(super) tag: Digest,
    owner: Digest,
    pub(super) name: Arc<str>,
}

impl Key {
    /// The count of `owner` under `quota` in the limit `limit`, beside the others of `tag`.
    pub(super) fn new(
        prefix: &str,
        tag: Digest,
        owner: Digest,
        quota: &Quota,
        limit: &str,
    ) -> Self {
        let letter = match quota.algorithm() {
            Algorithm::FixedWindow => 'f',
            Algorithm::SlidingWindow => 's',
            Algorithm::Gcra => 'g',
            Algorithm::CalendarMonth => 'm',
        };
        let (tagged, owned) = (tag.text(), owner.text());
        let (most, millis) = (quota.limit(), quota.millis());
        let name = format!("{prefix}{{{tagged}}}:{owned}:{letter}{most}/{millis}:{limit}");
        Self { tag, owner, name: name.into() }
    }

    /// The permits of `owner` in the limit `limit`, whatever number may run.
    pub(super) fn of_permits(prefix: &str, tag: Digest, owner: Digest, limit: &str) -> Self {
        let (tagged, owned) = (tag.text(), owner.text());
        let name = format!("{prefix}{{{tagged}}}:{owned}:c:{limit}");
        Self { tag, owner, name: name.into() }
    }

    /// Whose it is, for counting it in memory.
    pub(super) fn owner(&self) -> String {
        self.owner.text()
    }
}

/// # Errors
///
/// Unless it is at most 64 printable ASCII characters, without braces, which would make another hash
/// tag.
pub(super) fn check_prefix(prefix: String) -> Result<String, ConfigError> {
    let is_plain = |byte| matches!(byte, b'!'..=b'~') && byte != b'{' && byte != b'}';
    if prefix.len() > MAX_PREFIX || !prefix.bytes().all(is_plain) {
        let reason = "not at most 64 printable ASCII characters without braces";
        return Err(ConfigError::invalid("prefix of keys in Redis", prefix, reason));
    }
    Ok(prefix)
}
