//! Digests with a secret: what a stolen table of digests is worth nothing without.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::KeyDigest;
use crate::ConfigError;
use crate::lifecycle::Upgrades;

/// NIST SP 800-107 section 5.3.4: a secret as long as the digest is as strong as it.
const SHORTEST: usize = 32;
/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;
/// Each retired pepper costs an unknown key one more look into the store.
const MOST_RETIRED: usize = 8;

/// A secret of the service that is mixed into digests: HMAC-SHA-256 (RFC 2104) of a key's text.
///
/// `Debug` is redacted, and the memory is zeroed when the last clone is dropped.
#[derive(Clone)]
pub struct Pepper(Arc<Zeroizing<[u8; BLOCK]>>);

impl Pepper {
    /// A pepper of at least 32 bytes, from a secret store or the environment; never from the database
    /// that holds the digests. The bytes given are zeroed.
    ///
    /// # Errors
    ///
    /// When there are less than 32 bytes, or all are the same.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, ConfigError> {
        let secret = Zeroizing::new(secret.into());
        if secret.len() < SHORTEST {
            return Err(ConfigError::unusable("pepper", "shorter than 32 bytes"));
        }
        if secret.windows(2).all(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::unusable("pepper", "one byte over and over"));
        }
        Ok(Self(Arc::new(block(&secret))))
    }

    /// What a store keeps of `key`.
    ///
    /// ```
    /// use keygate::{KeyDigest, Pepper};
    ///
    /// // RFC 4231 says "what do ya want for nothing?"; this secret is long enough.
    /// let pepper = Pepper::new("a secret of thirty-two bytes or more")?;
    /// assert_ne!(pepper.digest("sk_live_abc"), KeyDigest::of("sk_live_abc"));
    /// # Ok::<(), keygate::ConfigError>(())
    /// ```
    pub fn digest(&self, key: &str) -> KeyDigest {
        self.digest_bytes(key.as_bytes())
    }

    pub(crate) fn digest_bytes(&self, key: &[u8]) -> KeyDigest {
        let inner = self.pass(0x36).chain_update(key).finalize();
        KeyDigest::from_bytes(self.pass(0x5C).chain_update(inner).finalize().into())
    }

    fn pass(&self, pad: u8) -> Sha256 {
        let padded = Zeroizing::new(self.0.map(|byte| byte ^ pad));
        Sha256::new_with_prefix(*padded)
    }
}

/// RFC 2104 section 2: a secret longer than a block is hashed first.
fn block(secret: &[u8]) -> Zeroizing<[u8; BLOCK]> {
    let mut block = Zeroizing::new([0; BLOCK]);
    if let Some(start) = block.get_mut(..secret.len()) {
        start.copy_from_slice(secret);
    } else {
        let mut digest: [u8; 32] = Sha256::digest(secret).into();
        block[..32].copy_from_slice(&digest);
        digest.zeroize();
    }
    block
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper([redacted])")
    }
}

/// In which ways the digests of a store may have been made.
///
/// A key is looked up by its digest of now; only when there is none, by those of former times. A key
/// that is found so is handed to [`upgrades`](Self::upgrades), if there are any.
///
/// ```
/// use keygate::lifecycle::Upgrades;
/// use keygate::store::MemoryStore;
/// use keygate::{AuthLayer, Pepper, Peppers};
///
/// let upgrades = Upgrades::new();
/// let peppers = Peppers::new(Pepper::new("this year's secret, 32 bytes or more")?)
///     .retired(Pepper::new("last year's secret, 32 bytes or more")?)?
///     .accept_plain() // and those from before there was a pepper
///     .upgrades(&upgrades);
/// let gate = AuthLayer::new(MemoryStore::new()).peppers(peppers);
/// # let _ = gate;
/// # Ok::<(), keygate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Peppers {
    current: Pepper,
    retired: Vec<Pepper>,
    plain: bool,
    upgrades: Option<Upgrades>,
}

impl Peppers {
    /// All digests are made with `current`.
    pub fn new(current: Pepper) -> Self {
        Self { current, retired: Vec::new(), plain: false, upgrades: None }
    }

    /// Digests that were made with `pepper` are good still. Those retired last should come first.
    ///
    /// # Errors
    ///
    /// When it is the ninth.
    pub fn retired(mut self, pepper: Pepper) -> Result<Self, ConfigError> {
        if self.retired.len() == MOST_RETIRED {
            return Err(ConfigError::invalid("retired peppers", MOST_RETIRED + 1, "more than 8"));
        }
        self.retired.push(pepper);
        Ok(self)
    }

    /// Digests that were made without a pepper are good still.
    #[must_use]
    pub fn accept_plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Where keys are noted that were found by a digest of former times, to keep them under one of
    /// now. Without it they stay as they are.
    #[must_use]
    pub fn upgrades(mut self, upgrades: &Upgrades) -> Self {
        self.upgrades = Some(upgrades.clone());
        self
    }

    /// The pepper with which digests are made now.
    pub fn current(&self) -> &Pepper {
        &self.current
    }

    /// The digests under which `key` may be kept beside that of now, in the order in which they are
    /// tried. Each is made when it is asked for.
    pub(crate) fn former<'k>(&'k self, key: &'k [u8]) -> impl Iterator<Item = KeyDigest> + 'k {
        let plain = self.plain.then(|| KeyDigest::of_bytes(key));
        self.retired.iter().map(|pepper| pepper.digest_bytes(key)).chain(plain)
    }

    pub(crate) fn has_former(&self) -> bool {
        self.plain || !self.retired.is_empty()
    }

    pub(crate) fn noted(&self) -> Option<&Upgrades> {
        self.upgrades.as_ref()
    }
}
